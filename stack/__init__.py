"""Local servers for development and tests: Apache Kafka, Temporal and PostgreSQL, real ones."""
