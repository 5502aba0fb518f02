"""A measurement of one's own installation: orders are sent through it, and what they took and left is counted."""
