"""Random layers of the vector unit, and what has to come of them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.descriptor import Operation, add_left_shift
from models.golden.fixed_point import multiply_by_quantised_multiplier

Ints = npt.NDArray[np.int64]

OPERATIONS = SUM, MAXIMUM, ADD = tuple(map(Operation, (Operation.SUM, Operation.MAXIMUM, Operation.ADD)))


def core(*, post_lanes: int = 8, **changes: Any) -> CoreConfig:
    """A small core: 256 words of activations, maps of up to 31 x 31 pixels and 80 channels."""
    settings = {"groups": 2, "lanes": max(8, post_lanes), "activation_banks": 2, "activation_depth": 128}
    settings |= {"max_size": 31, "max_channels": 80, "weight_depth": 64}
    return CoreConfig(post_lanes=post_lanes, **(settings | changes))


def random_memory(config: CoreConfig, seed: int) -> Ints:
    """int64[words, 16]: a whole activation memory, with zeros and the ends of the range."""
    rng = np.random.default_rng(seed)
    shape, largest = (config.activation_words, WORD_ELEMENTS), (1 << config.activation_bits) - 1
    special = rng.choice([0, 1, largest >> 1, (largest >> 1) + 1, largest], shape)
    return np.where(rng.random(shape) < 0.3, special, rng.integers(0, largest + 1, shape))


@dataclass(frozen=True)
class Axis:
    """A window along one axis of the input map: `outputs` windows of `taps` positions."""

    size: int
    outputs: int
    taps: int = 1
    step: int = 1
    start: int = 0

    def inside(self, output: int) -> range:
        """Coordinates of an output's positions inside the map."""
        first = self.start + output * self.step
        return range(max(first, 0), min(first + self.taps, self.size))

    @property
    def fields(self) -> dict[str, int]:
        return {"start": self.start, "step": self.step, "taps_last": self.taps - 1, "input_last": self.size - 1}


@dataclass(frozen=True)
class Source:
    """An operand: where it lies, and how it is decoded; the second one of an addition is scaled."""

    base: int = 0
    pixel_words: int = 1
    row_words: int = 1
    threshold: int = 127
    multiplier: int = 1 << 30
    right_shift: int = 0

    @property
    def fields(self) -> dict[str, int]:
        """Of the descriptor."""
        return {name: getattr(self, name) for name in ("base", "pixel_words", "row_words", "threshold")}

    def elements(self, memory: Ints, bits: int, rows: int, columns: int, words: int) -> Ints:
        """int64[rows, columns, 16 x words]: distances from the zero point."""
        row, column, word = np.ogrid[:rows, :columns, :words]
        address = self.base + row * self.row_words + column * self.pixel_words + word
        stored = memory[address % len(memory)].reshape(rows, columns, words * WORD_ELEMENTS)
        return stored - (stored > self.threshold) * (1 << bits)


@dataclass(frozen=True)
class Case:
    """A layer: everything that its descriptor says."""

    config: CoreConfig
    operation: Operation
    rows: Axis
    columns: Axis
    channels: int
    sources: tuple[Source, ...]
    output: dict[str, int] = field(default_factory=dict)
    by_count: bool = False
    parity: int = 0

    @property
    def words(self) -> int:
        return -(-self.channels // WORD_ELEMENTS)

    @property
    def pixel_beats(self) -> int:
        return -(-self.channels // self.config.post_lanes)

    @property
    def descriptor(self) -> dict[str, Any]:
        beats = WORD_ELEMENTS // self.config.post_lanes
        vector = {
            "operands": [source.fields for source in self.sources],
            "multiplier": self.sources[-1].multiplier,
            "right_shift": self.sources[-1].right_shift,
            "rows": self.rows.fields,
            "columns": self.columns.fields,
            "words_last": self.words - 1,
            "beats_last": (self.pixel_beats - 1) % beats,
            "parameters_by_count": int(self.by_count),
        }
        output = {"rows_last": self.rows.outputs - 1, "columns_last": self.columns.outputs - 1, **self.output}
        return {"operation": self.operation, "output": output, "vector": vector}

    def positions(self, row: int, column: int) -> int:
        return len(self.rows.inside(row)) * len(self.columns.inside(column))

    @property
    def word_costs(self) -> list[tuple[int, int]]:
        """(input words, beats) of each word of the output, in order."""
        beats = WORD_ELEMENTS // self.config.post_lanes
        adds = self.operation == ADD
        return [
            (2 if adds else self.positions(row, column), min(beats, self.pixel_beats - word * beats))
            for row in range(self.rows.outputs)
            for column in range(self.columns.outputs)
            for word in range(self.words)
        ]

    def values(self, memory: Ints) -> Ints:
        """int64[rows, columns, channels up to the end of the word]: the results."""
        bits = self.config.activation_bits
        maps = [s.elements(memory, bits, self.rows.size, self.columns.size, self.words) for s in self.sources]
        if self.operation == ADD:
            places = add_left_shift(self.config)
            first, second, scaled = *maps, self.sources[1]
            factor = scaled.multiplier, -scaled.right_shift
            return (first << (places - 1)) + multiply_by_quantised_multiplier(second << places, *factor)
        reduce = np.sum if self.operation == SUM else np.max
        rows = [np.array(self.rows.inside(row)) for row in range(self.rows.outputs)]
        columns = [np.array(self.columns.inside(column)) for column in range(self.columns.outputs)]
        return np.array([[reduce(maps[0][row][:, column], axis=(0, 1)) for column in columns] for row in rows])

    def beats(self, memory: Ints, sequence: int, window: int) -> list[dict[str, Any]]:
        """The beats, with units numbered from `sequence` on, modulo `window`."""
        config, lanes = self.config, self.config.post_lanes
        values, beats = self.values(memory), []
        for number, (row, column) in enumerate(np.ndindex(self.rows.outputs, self.columns.outputs)):
            words = row * self.output["row_words"] + column * self.output["pixel_words"]
            for beat in range(self.pixel_beats):
                channel = self.output["first_channel"] + beat * lanes
                entry = self.positions(row, column) - 1 if self.by_count else 0
                beats.append(
                    {
                        "accumulators": values[row, column, beat * lanes :][:lanes].tolist(),
                        "parameters": self.parity * config.groups * config.post_beats + entry,
                        "slot": 0,
                        "pool_first": 1,
                        "pool_last": 1,
                        "destination": {
                            "address": (self.output["base"] + words + channel // WORD_ELEMENTS)
                            % config.activation_words,
                            "slice": channel % WORD_ELEMENTS // lanes,
                            "complete": int(beat == self.pixel_beats - 1),
                            "sequence": (sequence + number) % window,
                        },
                    }
                )
        return beats


def random_axis(rng: random.Random, largest: int) -> Axis:
    """Windows that slide over both borders or none, each with a position inside."""
    size, taps, step = rng.randint(1, largest), rng.randint(1, 4), rng.randint(1, 3)
    start = rng.randint(max(1 - taps, -3), min(2, size - 1))
    outputs = rng.randint(1, 1 + (size - 1 - start) // step)
    return Axis(size, outputs, taps, step, start)


def random_source(rng: random.Random, config: CoreConfig, columns: int, words: int) -> Source:
    """Anywhere in memory, beside others in its pixels or alone."""
    pixel_words = words + rng.choice([0, 0, 1])
    return Source(
        base=rng.randrange(config.activation_words),
        pixel_words=pixel_words,
        row_words=columns * pixel_words + rng.choice([0, 3]),
        threshold=rng.choice([0, 127, (1 << config.activation_bits) - 1, rng.randrange(1 << config.activation_bits)]),
        multiplier=rng.choice([1 << 30, (1 << 31) - 1, 0, rng.randrange(1 << 30, 1 << 31)]),
        # The larger operand of a real addition has factor 1/2, so that the sum cannot overflow.
        right_shift=rng.choice([1, 2, rng.randrange(1, 32)])
        if config.activation_bits == 16
        else rng.choice([0, 1, 3, rng.randrange(32)]),
    )


def random_case(rng: random.Random, config: CoreConfig, operation: Operation, largest: int = 5) -> Case:
    channels = rng.choice([1, 15, 16, 17, 33, 48])
    if operation == ADD:
        rows, columns = (Axis(size, size) for size in (rng.randint(1, largest), rng.randint(1, largest)))
    else:
        rows, columns = random_axis(rng, largest), random_axis(rng, largest)
    words = -(-channels // WORD_ELEMENTS)
    pixel_words = words + rng.choice([0, 2])
    room = config.groups * config.post_beats
    return Case(
        config,
        operation,
        rows,
        columns,
        channels,
        tuple(random_source(rng, config, columns.size, words) for _ in range(2)),
        output={
            "base": rng.randrange(config.activation_words),
            "pixel_words": pixel_words,
            "row_words": columns.outputs * pixel_words + rng.choice([0, 5]),
            "first_channel": rng.randrange(0, 30, config.post_lanes),
        },
        by_count=operation == SUM and rows.taps * columns.taps <= room and rng.random() < 0.5,
        parity=rng.getrandbits(1),
    )
