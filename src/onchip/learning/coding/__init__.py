"""Representation of errors: real numbers or spikes."""
