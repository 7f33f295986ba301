"""Decides whether tables may go on: expectations, quarantine and the validation report."""
