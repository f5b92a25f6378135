"""Why a file could not be imported."""

from models.errors import SkipstoneError


class ImporterError(SkipstoneError):
    """A file that is damaged or not supported; the message names it, the layer and the reason."""
