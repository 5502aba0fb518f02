"""The bridge: each Kafka record becomes one idempotent call on Temporal, and its offset is committed afterwards."""
