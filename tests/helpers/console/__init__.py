"""The console's pages from invented data, without a server."""
