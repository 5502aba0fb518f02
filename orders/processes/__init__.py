"""The processes: bridge and worker, their health and their end."""
