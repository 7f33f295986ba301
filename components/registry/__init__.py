"""Content-addressed releases, the gate between champion and challenger, and who served when."""
