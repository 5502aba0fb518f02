"""Programs of those who use the system: small, whole, and tested."""
