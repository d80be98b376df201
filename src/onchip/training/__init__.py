"""Runs and sweeps: from settings to records."""
