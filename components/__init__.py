"""What Shelfwise knows about shopping; needs no orchestrator, server or UI to import."""
