"""What can go wrong, by kind; each message says what happened and what to do."""

from orders.processes.exit_status import ExitStatus


class OrdersError(Exception):
    """An expected error: its text is one sentence that says what happened and what to do next.

    Args:
        message: the sentence, for a person.
        status: the exit status that the command ends with.
    """

    def __init__(self, message: str, status: ExitStatus = ExitStatus.FAILURE) -> None:
        super().__init__(message)
        self.status = status


class UnreachableError(OrdersError):
    """A server did not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitStatus.UNREACHABLE)


class WrongSettingsError(OrdersError):
    """A setting is missing, malformed, or contradicts another."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitStatus.USAGE)


class UnknownOrderError(OrdersError):
    """Nobody knows the order."""

    def __init__(self, order_id: str) -> None:
        super().__init__(
            f"order {order_id!r} is unknown: check the id, or send its order.created "
            f"(orders start {order_id} --payment-id ...)"
        )
