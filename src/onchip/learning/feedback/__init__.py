"""Spatial credit: which error reaches the layer below a synapse."""
