"""Parameters with which the post-processor divides the sum of a window by its number of positions."""

from __future__ import annotations


def division(count: int, zero_point: int) -> dict[str, int]:
    """The fields of `MapParameters` for the average of `count` activations, stored with that zero point.

    The factor is (floor(2**(31 + right) / count) + 1) x 2**-(31 + right), a little more than 1 / count: so little that
    only halves are moved, away from zero. The bias brings back the sum of the activations themselves.
    """
    right = (count - 1).bit_length() - 1
    multiplier = (1 << (31 + right)) // count + 1
    return {"bias": count * zero_point, "multiplier": multiplier, "shift": -right, "single_rounding": 1}
