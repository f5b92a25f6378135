"""The base of every error that a user can cause."""


class SkipstoneError(Exception):
    """Bad input: a file, a layer, an option or a configuration that cannot be used.

    The message is one line that names the thing and says what to do. The command line prints it and exits with
    status 2; nothing is half-written.
    """
