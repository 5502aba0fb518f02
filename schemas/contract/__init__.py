"""The published contract's documents, made from the models."""
