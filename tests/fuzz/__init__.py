"""What reads strangers' bytes, given bytes of any kind: in the suite for moments, by ``make fuzz`` for minutes."""
