"""Tests of components/merchandise."""
