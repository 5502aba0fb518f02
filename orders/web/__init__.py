"""The faces over HTTP: the REST API for programs, and what it shares with the console for people."""
