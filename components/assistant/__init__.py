"""Message to typed command to an answer made from results only."""
