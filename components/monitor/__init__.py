"""Drift and quality over time, and what to do about it."""
