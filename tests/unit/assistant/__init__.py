"""Tests of the assistant's rooms."""
