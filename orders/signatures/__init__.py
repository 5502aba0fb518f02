"""Signatures of messages in Kafka: by them a decision says who vouches for it, whoever may write."""
