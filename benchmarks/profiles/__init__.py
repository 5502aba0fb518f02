"""What each process spends the processor on while orders go through: ``python -m benchmarks.profiles``."""
