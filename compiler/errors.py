"""Errors of the compiler."""

from models.errors import SkipstoneError


class CompilerError(SkipstoneError):
    """A layer that a configuration cannot hold. The message names the layer, the limit and what to change."""
