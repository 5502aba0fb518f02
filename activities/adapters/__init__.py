"""The ports' implementations: Postgres, Kafka, payment and carrier gateways."""
