"""Feature maps in the activation memory, and the operations that their non-zero activations make."""

from __future__ import annotations

import random
from typing import Any

from hw.config import WORD_ELEMENTS
from hw.control.tests.layers import LayerCase


class Features:
    """A random feature map, stored as distances from its zero point.

    Attributes
    ----------
    words
        The activation memory with the map in its ring, which must hold all rows. All the rest is noise.
    """

    def __init__(self, case: LayerCase, density: float, rng: random.Random) -> None:
        self._case = case
        largest = (1 << case.config.activation_bits) - 1
        rows, columns = len(case.geometry.rows), case.conv.size[1]
        assert case.mapping.resident
        self.words = [[rng.randint(0, largest)] * WORD_ELEMENTS for _ in range(case.config.activation_words)]
        self._pixels: dict[tuple[int, int], list[int]] = {}
        for pixel in ((row, column) for row in range(rows) for column in range(columns)):
            channels = [rng.randint(1, largest) if rng.random() < density else 0 for _ in range(case.conv.channels)]
            self._pixels[pixel] = channels
            for word in range(case.mapping.input_pixel_words):
                elements = channels[word * WORD_ELEMENTS :][:WORD_ELEMENTS]
                padding = [0] * (WORD_ELEMENTS - len(elements))
                self.words[case.address(pixel, word)] = elements + padding

    def operations(self, unit: tuple[int, int], base: int) -> list[dict[str, int]]:
        """What a unit's window makes of the map, in order: a `PixelOperation` each, without the tag."""
        return [
            operation
            for number, taps in enumerate(self._case.outputs(unit))
            for operation in self._output(taps, base, number == len(self._case.outputs(unit)) - 1)
        ]

    def _output(self, taps: list[Any], base: int, pool_last: bool) -> list[dict[str, int]]:
        case = self._case
        operations = [
            self._operation(stored, (base + tap.number * case.conv.channels + channel) % case.config.weight_depth)
            for tap in taps
            if tap.pixel
            for channel, stored in enumerate(self._pixels[tap.pixel])
            if stored
        ]
        final = taps[-1].pixel
        tail = (case.mapping.input_pixel_words - 1) * WORD_ELEMENTS
        if final is None or not any(self._pixels[final][tail:]):
            operations.append({"activation": 0, "weights": 0, "null": 1})
        for index, operation in enumerate(operations):
            operation["first"] = int(index == 0)
            operation["last"] = int(index == len(operations) - 1)
            operation["pool_last"] = int(pool_last)
        return operations

    def _operation(self, stored: int, weights: int) -> dict[str, int]:
        negative = stored > self._case.fields["input"]["threshold"]
        value = stored - (1 << self._case.config.activation_bits) if negative else stored
        return {"activation": value, "weights": weights, "null": 0}
