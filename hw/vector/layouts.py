"""What passes between the parts of the vector unit."""

from __future__ import annotations

from amaranth import signed
from amaranth.hdl import Shape
from amaranth.lib import data

from hw.config import CoreConfig
from hw.control.descriptor import add_left_shift
from hw.control.units import unit_window


def element_shape(config: CoreConfig) -> Shape:
    """Shape of an element: a distance from the zero point."""
    return signed(config.operand_bits)


def sum_shape(config: CoreConfig) -> Shape:
    """Shape of the sum of a window, whose positions all lie in the activation memory."""
    return signed(config.operand_bits + config.activation_address_bits)


def scaled_shape(config: CoreConfig) -> Shape:
    """Shape of an element shifted left for an addition and scaled by a factor below 1."""
    return signed(config.operand_bits + add_left_shift(config))


class WindowUnit(data.StructLayout):
    """The window of one output pixel, cut down to its part inside the map.

    `address`: word of its first position; `other`: the same in the second operand of an addition; `rows_last`,
    `columns_last`: index of its last row and of its last column; `row_end`: the pixel is the last of its row;
    `sequence`: its number.
    """

    def __init__(self, config: CoreConfig) -> None:
        address, size = config.activation_address_bits, range(config.max_size + 1)
        super().__init__(
            {
                "address": address,
                "other": address,
                "rows_last": size,
                "columns_last": size,
                "row_end": 1,
                "sequence": range(unit_window(config)),
            }
        )


class WordTag(data.StructLayout):
    """What a word is for: the `first` or the `last` that an output word needs, and where that one lies.

    `pixel_end`: it is the last word of its pixel; `row_end`, `sequence`: of that pixel.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"first": 1, "last": 1, "pixel_end": 1, "row_end": 1, "sequence": range(unit_window(config))})


class BeatTag(data.StructLayout):
    """Where a beat belongs: `pixel_end` (the last one of its pixel), `row_end` and `sequence` as in `WordTag`.

    `entry`: parameters of the layer that it needs.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "pixel_end": 1,
                "row_end": 1,
                "sequence": range(unit_window(config)),
                "entry": range(config.groups * config.post_beats),
            }
        )


class GatheredBeat(data.StructLayout):
    """`post_lanes` elements: a window's `values`, or the operands of an addition, `values` and `others`."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "values": data.ArrayLayout(sum_shape(config), config.post_lanes),
                "others": data.ArrayLayout(element_shape(config), config.post_lanes),
                "tag": BeatTag(config),
            }
        )


class AddedBeat(data.StructLayout):
    """The sums of `post_lanes` scaled elements."""

    def __init__(self, config: CoreConfig) -> None:
        total = signed(scaled_shape(config).width + 1)
        super().__init__({"sums": data.ArrayLayout(total, config.post_lanes), "tag": BeatTag(config)})
