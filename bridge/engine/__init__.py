"""Holds records from their delivery until they are settled."""
