"""Dead letters, for an operator: found, read, sent again, and deleted."""
