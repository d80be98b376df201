"""Damaged files of every format that the package reads: an error in one line, or what the whole file says."""
