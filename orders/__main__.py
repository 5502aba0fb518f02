"""``python -m orders`` and the console script."""


def main() -> None:
    """Runs the command line."""
    raise SystemExit("not wired yet")


if __name__ == "__main__":
    main()
