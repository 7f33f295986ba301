"""Visitor history to a slate of products with reasons."""
