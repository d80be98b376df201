"""Temporal credit: how earlier time steps enter an update."""
