"""Names of the classes that a network tells apart, for `--labels`."""

from __future__ import annotations

from pathlib import Path

from models.errors import SkipstoneError
from models.zoo import cifar10, mnist

LABELS: dict[str, tuple[str, ...]] = {
    "cifar10": cifar10.CLASSES,
    "mnist": mnist.CLASSES,
    "keyword_spotting": (
        *("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"),
        *("unknown", "background noise"),
    ),
    "visual_wake_words": ("person", "no person"),
}
"""In the order of the zoo's networks' outputs."""


def read_labels(labels: str | None, classes: int) -> tuple[str, ...]:
    """The names of so many classes: a name of `LABELS`, or a text file with a name a line; None numbers them.

    Raises:
        SkipstoneError: neither, or not so many.
    """
    if labels is None:
        return tuple(f"class {index}" for index in range(classes))
    if labels in LABELS:
        names = LABELS[labels]
    elif Path(labels).is_file():
        try:
            lines = Path(labels).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise SkipstoneError(f"{labels}: labels are a text file, a name a line") from None
        names = tuple(line.strip() for line in lines if line.strip())
    else:
        raise SkipstoneError(f"{labels}: neither a file of labels nor one of {', '.join(LABELS)}")
    if len(names) != classes:
        raise SkipstoneError(f"{labels}: has {len(names)} labels; the program gives {classes} values: give as many")
    return names
