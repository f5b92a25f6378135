"""The weight memory of one group: a ring of words of L weights, one weight per lane."""

from __future__ import annotations

from amaranth import signed
from amaranth.hdl import Module
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig


def weight_word(config: CoreConfig) -> data.ArrayLayout:
    """Layout of a weight word: one signed weight per lane, lane 0 in the least significant bits."""
    return data.ArrayLayout(signed(config.weight_bits), config.lanes)


class WeightMemory(wiring.Component):
    """One read and one write port. Read data follow one cycle after `read.enable` and stay until the next enabled read."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        address = config.weight_address_bits
        word = weight_word(config)
        super().__init__(
            {
                "read": In(wiring.Signature({"address": Out(address), "enable": Out(1), "data": In(word)})),
                "write": In(wiring.Signature({"address": Out(address), "enable": Out(1), "data": Out(word)})),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.store = store = memory.Memory(
            shape=weight_word(self.config), depth=self.config.weight_depth, init=[]
        )
        read, write = store.read_port(), store.write_port()
        m.d.comb += [
            read.addr.eq(self.read.address),
            read.en.eq(self.read.enable),
            self.read.data.eq(read.data),
            write.addr.eq(self.write.address),
            write.en.eq(self.write.enable),
            write.data.eq(self.write.data),
        ]
        return m
