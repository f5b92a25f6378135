"""What travels between the parts of the csc front end."""

from __future__ import annotations

from amaranth import signed
from amaranth.lib import data
from amaranth.utils import ceil_log2

from hw.config import CoreConfig
from hw.control.descriptor import coordinate
from hw.control.units import UnitTag
from hw.dataflow.nullhop.layouts import axis_words


def window_pointer(config: CoreConfig) -> int:
    """Width of the number of a word in the order of arrival, modulo twice the words that a controller holds."""
    return ceil_log2(config.window_depth) + 1


def window_vector(config: CoreConfig) -> data.ArrayLayout:
    """Layout of the activations under one tap: for each lane the signed distance from the zero point."""
    return data.ArrayLayout(signed(config.operand_bits), config.lanes)


class Run(data.StructLayout):
    """Outputs side by side in a row.

    `at`: column of the first output's first tap; `words`: where that lies in the first row of taps inside the map, as a
    word offset; `rows_last`: rows of taps inside the map, less one; `weights`: number of the first of them;
    `outputs_last`: outputs, less one; `tag`: of the first output, those of the others count on.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "at": coordinate(config),
                "words": axis_words(config),
                "rows_last": range(config.max_kernel),
                "weights": range(config.max_kernel),
                "outputs_last": range(config.longest_run),
                "tag": UnitTag(config),
            }
        )


class Column(data.StructLayout):
    """A column of taps of one output: its words, one a row, follow each other in the window and in the weights.

    `word`: pointer of the first word; `weights`: word of its weights; `rows_last`; `first`, `last`: column of its
    output; `release`: nobody needs its words afterwards.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "word": window_pointer(config),
                "weights": config.weight_address_bits,
                "rows_last": range(config.max_kernel),
                "first": 1,
                "last": 1,
                "release": 1,
                "tag": UnitTag(config),
            }
        )
