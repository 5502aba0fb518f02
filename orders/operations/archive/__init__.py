"""Journals of orders that are long over, moved out of the database into files; and customers forgotten."""
