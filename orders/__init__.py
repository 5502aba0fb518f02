"""The application: settings, logging, command line, processes, and what wires the rooms together."""
