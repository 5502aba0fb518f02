"""Everything that is known of one order, from Kafka, Temporal and Postgres: ``orders explain``."""
