"""What mappings are made of: from a record's bytes to a checked model. Pure."""
