"""Spatial credit: the error that reaches each layer."""
