"""Records that were set aside: one format, written and read."""
