"""``python -m orders``, and the console script."""

from orders.processes.leaving import leave


def main() -> None:
    """Runs the command line and leaves with its exit status."""
    from orders.cli.app import app  # noqa: PLC0415 - imported here so that Ctrl-C during start-up is caught below

    try:
        app(prog_name="orders")
    except SystemExit as ended:
        leave(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    leave(0)


if __name__ == "__main__":
    main()
