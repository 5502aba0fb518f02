"""The console: pages for people who approve orders and for operators, rendered on the server."""
