"""Raw lines in, canonical tables out: sources, catalogue, sessions, clickthroughs and splits."""
