"""The approval log: whether what is recorded of orders is whole and as it was recorded."""
