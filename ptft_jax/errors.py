"""What the user is told in one line, without a traceback."""


class UsageError(ValueError):
    """The user asked for something impossible; the message says what to change."""
