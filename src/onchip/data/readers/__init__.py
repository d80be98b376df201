"""Checked reading of each file format, and the cache of decoded pictures."""
