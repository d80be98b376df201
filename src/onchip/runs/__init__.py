"""Configuration, records and files of runs; none of it needs torch to be imported."""
