"""Documentation, and the program that writes its tables."""
