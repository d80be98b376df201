"""Temporal credit: what of the past counts in an update."""
