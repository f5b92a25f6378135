"""A file of values that are read, modified and written back at a rate of one a cycle."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Shape, ShapeLike
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.memory.two_port_memory import TwoPortMemory


class AccumulatorFile(wiring.Component):
    """`depth` values, each read in one cycle and written back, modified, in the next.

    ::

        read_index, start --+--> memory --> register --+
                            |                          +--> value --> (user's logic) --> updated
                            +--> same index again? ----+                                    |
                                    ^  forwarding <-----------------------------------------+

    An operation announces itself with `read_index` and, in a cycle in which `advance` is set, moves to the
    modify stage, where `value` is what it starts from and it offers `updated`; `write` (with `advance`)
    stores that. It may be followed at once by an operation on the same value, which is then forwarded. With
    `advance` clear everything stands still.

    The memory has one read and one write port, and nothing depends on what it does when read and written in
    one place. With depth 1 it is a register, which `start` clears through its reset input.

    Ports
    -----
    advance : In(1)
    read_index : In(range(depth))
        Index of the operation about to move to the modify stage.
    start : In(1)
        That operation starts from zero instead of from the stored value. Ignore `value` if this was not an
        operation, and do not set `start` then: with depth 1 it clears the register.
    value : Out(shape)
    write : In(1)
    updated : In(shape)
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        self.shape = Shape.cast(shape)
        self.depth = depth
        super().__init__(
            {
                "advance": In(1),
                "read_index": In(range(depth)),
                "start": In(1),
                "value": Out(self.shape),
                "write": In(1),
                "updated": In(self.shape),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.depth == 1:
            self._elaborate_register(m)
        else:
            self._elaborate_memory(m)
        return m

    def _elaborate_register(self, m: Module) -> None:
        register = Signal(self.shape, reset_less=True)
        with m.If(self.advance & self.write):
            m.d.sync += register.eq(self.updated)
        # The operation that starts afresh is one behind the one that is being written: its clearing wins.
        with m.If(self.advance & self.start):
            m.d.sync += register.eq(0)
        m.d.comb += self.value.eq(register)

    def _elaborate_memory(self, m: Module) -> None:
        m.submodules.store = store = TwoPortMemory(self.shape, self.depth)
        index = Signal(range(self.depth), reset_less=True)
        forward, started = Signal(reset_less=True), Signal(reset_less=True)
        latest = Signal(self.shape, reset_less=True)
        stored = Signal(self.shape)
        m.d.comb += [
            store.read.address.eq(self.read_index),
            store.read.enable.eq(self.advance),
            store.write.address.eq(index),
            store.write.enable.eq(self.advance & self.write),
            store.write.data.eq(self.updated),
            stored.eq(store.read.data),
            # A function of four bits for each bit: one LUT in front of the user's adder.
            self.value.eq(Mux(started, 0, Mux(forward, latest, stored))),
        ]
        with m.If(self.advance):
            m.d.sync += [
                index.eq(self.read_index),
                started.eq(self.start),
                forward.eq(self.write & (self.read_index == index)),
                latest.eq(self.updated),
            ]
