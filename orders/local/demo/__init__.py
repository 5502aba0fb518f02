"""The demonstration: orders sent through Kafka, what they come to, and whether that is what was expected."""
