"""What travels between the parts of the csc front end."""

from __future__ import annotations

from amaranth import signed, unsigned
from amaranth.lib import data
from amaranth.utils import ceil_log2

from hw.config import CoreConfig
from hw.control.descriptor import coordinate
from hw.control.units import UnitTag
from hw.dataflow.nullhop.layouts import axis_words


def window_pointer(config: CoreConfig) -> int:
    """Width of the number of a vector in the order of arrival, modulo twice the vectors that a controller holds."""
    return ceil_log2(config.window_depth) + 1


def window_vector(config: CoreConfig) -> data.ArrayLayout:
    """Layout of `lanes` neighbouring activations of a pixel: signed distances from the zero point."""
    return data.ArrayLayout(signed(config.operand_bits), config.lanes)


class Run(data.StructLayout):
    """Outputs side by side in a row.

    `at`: column of the first output's first tap; `words`: where that lies in the first row of taps inside the map, as a
    word offset; `rows_last`: rows of taps inside the map, less one; `vectors`: of a column of these, modulo the
    pointers' range; `weights`: words before the weights of the first of them; `outputs_last`: outputs, less one; `tag`:
    of the first output, those of the others count on.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "at": coordinate(config),
                "words": axis_words(config),
                "rows_last": range(config.max_kernel),
                "vectors": window_pointer(config),
                "weights": config.weight_address_bits,
                "outputs_last": range(config.longest_run),
                "tag": UnitTag(config),
            }
        )


class Column(data.StructLayout):
    """A column of taps of one output: their vectors follow each other in the window, their weights in the memory.

    `vector`: pointer of the first; `weights`: word of its weights; `rows_last`; `start`, `edges_last`: channel of the
    first edge, and the edges less one, where these differ from output to output (a layer with packed rows); `first`,
    `last`: column of its output; `release`: nobody needs its vectors afterwards.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "vector": window_pointer(config),
                "weights": config.weight_address_bits,
                "rows_last": range(config.max_kernel),
                "start": range(config.max_channels),
                "edges_last": range(config.max_channels),
                "first": 1,
                "last": 1,
                "release": 1,
                "tag": UnitTag(config),
            }
        )


class Step(data.StructLayout):
    """One operation, by what it reads.

    Lane l takes the element `shift` + l of the two vectors from `vector` on, of which the second is only read if it is
    a `pair`; or with `broadcast` all take element `shift` of the first. `mask`, `first`, `last`, `tag`: as in
    `Operands`; `round`: which of its blocks of maps the group works on; `weights`: word of its weights; `released`:
    vectors that nobody needs afterwards.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "vector": window_pointer(config),
                "shift": unsigned(ceil_log2(config.lanes)),
                "pair": 1,
                "broadcast": 1,
                "weights": config.weight_address_bits,
                "mask": unsigned(config.lanes),
                "round": range(config.max_rounds),
                "first": 1,
                "last": 1,
                "released": range(config.window_depth + 1),
                "tag": UnitTag(config),
            }
        )
