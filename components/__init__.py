"""Everything Shelfwise knows about shopping; importable without an orchestrator, a server or a UI."""
