"""What can go wrong, by kind. Each message is a sentence for a person: what happened, and what to do next.

A face says what a kind means where it stands: the command line as an exit status, an API as a status of HTTP.
"""


class OrdersError(Exception):
    """An expected error: what was asked for could not be done. The kinds below say more."""


class UsageError(OrdersError):
    """The request itself is wrong; the same request will never be right."""


class WrongSettingsError(OrdersError):
    """A setting is missing, malformed, or contradicts another."""


class RefusedAtTheDoorError(WrongSettingsError):
    """A server does not let us in: a certificate, a password or a right is missing or wrong, there or here.

    Args:
        mistake: which one, as logs have it.
        sentence: what is wrong.
        action: what to do.
    """

    def __init__(self, mistake: str, sentence: str, action: str) -> None:
        super().__init__(f"{sentence}: {action}")
        self.mistake, self.sentence, self.action = mistake, sentence, action


class NotFoundError(OrdersError):
    """What was asked for is not there: an order, a dead letter, a topic."""


class UnreachableError(OrdersError):
    """A server did not answer; the same request may succeed later."""


class NotInTimeError(OrdersError):
    """What was waited for has not happened in the time allowed."""


class NeedsAPersonError(OrdersError):
    """A process stopped lest it do harm. Started again, it would go on with the harm, so a person has to look first."""


class BeginsAnewError(OrdersError):
    """A process stopped as going on could lose something. Started again it begins anew, from what is kept elsewhere."""


class StoppedError(OrdersError):
    """Ctrl-C, or a signal to stop, came before all was done."""
