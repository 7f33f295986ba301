"""Prefect flows: when, again and whether; what is made from which stays with DVC."""
