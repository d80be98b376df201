"""How long tests wait for something that must happen."""

PATIENCE = 300.0
"""Seconds after which a test that waits has failed: many times what it takes on a slow and busy machine."""
