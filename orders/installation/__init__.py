"""What an installation needs before the first order: tables, topics, search attributes."""
