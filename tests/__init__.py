"""Tests, from many and fast to few and slow."""
