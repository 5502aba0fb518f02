"""The container image: built, looked into, and run until an order is completed. By `make try-image` only."""
