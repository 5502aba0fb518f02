"""The application: settings, logging, command line, processes, and the wiring of all the rooms."""
