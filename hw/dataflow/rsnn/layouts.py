"""What travels between the parts of the rsnn front end, and how weights are packed for it."""

from __future__ import annotations

from amaranth import signed, unsigned
from amaranth.lib import data
from amaranth.utils import ceil_log2

from hw.config import CoreConfig
from hw.control.units import UnitTag
from hw.memory.weights import weight_word


def vector_pointer(config: CoreConfig) -> int:
    """Width of the number of a vector in the order of arrival, modulo twice those that a scratchpad holds."""
    return ceil_log2(config.scratchpad_depth) + 1


def pixel_vector(config: CoreConfig) -> data.ArrayLayout:
    """Layout of a vector: for each bank the signed distance of a pixel from the zero point."""
    return data.ArrayLayout(signed(config.operand_bits), config.window_banks)


class WeightEntry(data.StructLayout):
    """A weight that is not zero, or a filler of value 0.

    `value`; `delta`: its vector comes so many places behind that of the entry before (the first of a kernel counts from
    the tile's first vector); `rotate`: bank of the vector that lane 0 takes; `end`: the kernel has no further entry in
    this tile.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "value": signed(config.weight_bits),
                "delta": unsigned(config.delta_bits),
                "rotate": range(config.window_banks),
                "end": 1,
            }
        )


class GroupHeader(data.StructLayout):
    """What a group must know of a pass, in front of its entries.

    `words_last`: index of the last of the words that hold its entries; `maps`: number in the pass of the map of each
    slot. Numbers from the maps of the pass on stand for slots without a map.
    """

    def __init__(self, config: CoreConfig) -> None:
        maps = data.ArrayLayout(range(config.groups * config.accumulators), config.accumulators)
        super().__init__({"words_last": unsigned(config.weight_address_bits), "maps": maps})


def word_bits(config: CoreConfig) -> int:
    """Bits of a weight word."""
    return config.lanes * config.weight_bits


def entries_per_word(config: CoreConfig) -> int:
    """Entries in a weight word, lowest bits first; 0 if an entry takes several words."""
    return word_bits(config) // WeightEntry(config).size


def words_per_entry(config: CoreConfig) -> int:
    """Weight words that an entry takes, lowest bits first."""
    return -(-WeightEntry(config).size // word_bits(config))


def header_words(config: CoreConfig) -> int:
    """Weight words that the header takes, lowest bits first."""
    return -(-GroupHeader(config).size // word_bits(config))


class VectorWrite(data.StructLayout):
    """A vector on its way to the scratchpads: its place, the vector, and the pointer up to which all are there then."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "address": range(config.scratchpad_depth),
                "data": pixel_vector(config),
                "arrived": vector_pointer(config),
            }
        )


class PixelContext(data.StructLayout):
    """What a word was fetched for. `last`: of its plane; `final`: it is the last word of its pixel."""

    def __init__(self) -> None:
        super().__init__({"last": 1, "final": 1})


class WeightStep(data.StructLayout):
    """An entry on its way to the array.

    `weights`: one a lane, all the same but in a `shared` layer; `pointer`: of its vector; `wraps`: lanes beyond the
    vector's end take those of the block behind it; `slot`: its accumulator; `first`, `last`: of the kernel in this
    segment; `tile_done`: the group has no further entry in this tile.
    """

    def __init__(self, config: CoreConfig) -> None:
        entry = WeightEntry(config)
        super().__init__(
            {
                "pointer": vector_pointer(config),
                "weights": weight_word(config),
                "rotate": entry["rotate"].shape,
                "wraps": 1,
                "slot": range(config.accumulators),
                "first": 1,
                "last": 1,
                "tile_done": 1,
                "tag": UnitTag(config),
            }
        )
