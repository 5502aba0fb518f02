"""Real servers that demand TLS and credentials, each in a good form and in every bad one that the tests need."""
