"""What travels between the parts of the NullHop front end."""

from __future__ import annotations

from amaranth import signed, unsigned
from amaranth.lib import data

from hw.config import CoreConfig
from hw.control.descriptor import coordinate
from hw.control.units import UnitTag


def axis_words(config: CoreConfig) -> object:
    """Shape of a word offset along an axis: negative offsets are held modulo its range."""
    return unsigned(config.activation_address_bits + 1)


class WorkUnit(data.StructLayout):
    """A window to gather: coordinate and word offset of its first tap along both axes, and the result's tag."""

    def __init__(self, config: CoreConfig) -> None:
        place = data.StructLayout({"at": coordinate(config), "words": axis_words(config)})
        super().__init__({"row": place, "column": place, "tag": UnitTag(config)})


class WordContext(data.StructLayout):
    """What a fetched word is for: element 0 goes with weight word `weights`; after `last` the result is complete."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"weights": config.weight_address_bits, "last": 1, "tag": UnitTag(config)})


class PixelOperation(data.StructLayout):
    """One non-zero activation against one weight word. `null`: there is nothing to multiply, only a result to close."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "activation": signed(config.operand_bits),
                "weights": config.weight_address_bits,
                "null": 1,
                "first": 1,
                "last": 1,
                "tag": UnitTag(config),
            }
        )
