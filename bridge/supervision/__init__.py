"""Waits for the servers at the start, and notices when nothing moves any more."""
