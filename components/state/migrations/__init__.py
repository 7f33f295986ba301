"""Alembic migrations of the state, run by `Store` when it opens a database."""
