"""The weight memory of one group: a ring of words of L weights, one weight per lane."""

from __future__ import annotations

from amaranth import signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.memory.two_port_memory import TwoPortMemory


def weight_word(config: CoreConfig) -> data.ArrayLayout:
    """Layout of a weight word: one signed weight per lane, lane 0 in the least significant bits."""
    return data.ArrayLayout(signed(config.weight_bits), config.lanes)


def weight_beat(config: CoreConfig) -> data.ArrayLayout:
    """Layout of a beat of the weight stream: a byte per lane, lane 0 in the least significant bits.

    It holds a weight word of 8-bit weights, several of narrower ones, the first in the least significant bits, or half
    a word of 16-bit ones, the lower half first.
    """
    return data.ArrayLayout(signed(8), config.lanes)


def weights_port(config: CoreConfig) -> wiring.Signature:
    """Of a reader of a group's weight memory: address and enable out, data in, one cycle later."""
    return wiring.Signature(
        {"address": Out(config.weight_address_bits), "enable": Out(1), "data": In(weight_word(config))}
    )


class WeightMemory(TwoPortMemory):
    """`weight_depth` weight words; the loader never writes a word that a pass under way reads."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(weight_word(config), config.weight_depth)
