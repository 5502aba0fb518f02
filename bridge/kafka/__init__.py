"""The Kafka side: polls, commits, and what happens when partitions come and go."""
