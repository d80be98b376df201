"""Scans over time, without modules or autograd: what the engine spends its time in."""
