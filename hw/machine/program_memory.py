"""The program memory: written by the host, read by those who check and run the program."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth import Mux
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.host_bus import DATA_BITS, BusError
from hw.config import AcceleratorConfig
from hw.machine.target import BusTarget
from hw.memory.single_port_memory import SinglePortMemory
from hw.memory.two_port_memory import TwoPortMemory


class ProgramRead(wiring.Signature):
    """A user of the program memory's read port.

    Members
    -------
    address, enable
        Out: read a word.
    data
        In: the word, from the cycle after `enable` until anyone's next read.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        super().__init__(
            {"address": Out(range(config.program_depth)), "enable": Out(1), "data": In(8 * config.core.lanes)}
        )


class ProgramMemory(wiring.Component):
    """`program_depth` words of `lanes` bytes. Writes of the bus are served at once; nobody reads while it may write.

    Parameters
    ----------
    init
        Words after power-on; with `single_port` none.

    Ports
    -----
    bus
        In `BusTarget`, write-only: 32 bits of a word, least significant first.
    locked
        In: the bus must not write now.
    written
        Out, pulse: the bus has written.
    urgent, weights
        In `ProgramRead`. An urgent read comes first; then `weights_lost` is high, and the weights' user has to read
        again what it has not used yet.
    weights_lost
        Out: see there.
    """

    def __init__(self, config: AcceleratorConfig, init: Iterable[int] = ()) -> None:
        self.config = config
        self._init = init
        super().__init__(
            {
                "bus": In(BusTarget()),
                "locked": In(1),
                "written": Out(1),
                "urgent": In(ProgramRead(config)),
                "weights": In(ProgramRead(config)),
                "weights_lost": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, depth = self.bus, self.config.program_depth
        word_bits = 8 * self.config.core.lanes
        parts = word_bits // DATA_BITS
        if self.config.core.single_port:
            store: SinglePortMemory | TwoPortMemory = SinglePortMemory(word_bits, depth, parts=parts)
        else:
            store = TwoPortMemory(word_bits, depth, parts=parts, init=self._init)
        m.submodules.store = store
        part_bits = (parts - 1).bit_length()
        word, part = bus.offset[part_bits:], bus.offset[:part_bits]
        m.d.comb += [
            bus.done.eq(1),
            store.write.address.eq(word),
            store.write.data.eq(bus.data.replicate(parts)),
            self.weights_lost.eq(self.urgent.enable),
            store.read.address.eq(Mux(self.urgent.enable, self.urgent.address, self.weights.address)),
            store.read.enable.eq(self.urgent.enable | self.weights.enable),
            self.urgent.data.eq(store.read.data),
            self.weights.data.eq(store.read.data),
        ]
        with m.If(~bus.write):
            m.d.comb += bus.error.eq(BusError.DIRECTION)
        with m.Elif(word >= depth):
            m.d.comb += bus.error.eq(BusError.ADDRESS)
        with m.Elif(self.locked):
            m.d.comb += bus.error.eq(BusError.STATE)
        with m.Else():
            m.d.comb += [self.written.eq(bus.select), store.write.enable.eq(bus.select << part)]
        return m
