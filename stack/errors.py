"""The one exception of this package."""


class StackError(Exception):
    """The local servers cannot do what was asked.

    Its message is for a person: what happened, what to do next, and where the log is, if there is one.
    """
