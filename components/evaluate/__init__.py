"""Metrics, intervals and protocols; knows models only through contracts."""
