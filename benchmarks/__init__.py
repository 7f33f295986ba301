"""Measurements and endurance trials: run by hand or by `make bench`, never as timed tests."""
