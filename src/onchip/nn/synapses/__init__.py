"""Synapses: the bilinear maps that rules train."""
