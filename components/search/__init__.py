"""Query to ranked products."""
