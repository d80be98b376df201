"""What lies on disk: checked reading of each file format, and the store of decoded pictures."""
