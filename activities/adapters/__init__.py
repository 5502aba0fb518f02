"""Implementations of the activities' ports: Postgres, Kafka, and the payment and carrier gateways."""
