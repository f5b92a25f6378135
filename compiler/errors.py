"""Errors of the compiler, and the base of all errors that a user sees, for those who know only the compiler."""

from models.errors import SkipstoneError

__all__ = ["CompilerError", "SkipstoneError"]


class CompilerError(SkipstoneError):
    """A layer that a configuration cannot hold. The message names the layer, the limit and what to change."""
