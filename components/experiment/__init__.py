"""Assignment, sample ratio, sequential tests and interleaving."""
