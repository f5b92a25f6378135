"""A file of values that are read, modified and written back at a rate of one a cycle."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Shape, ShapeLike, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class AccumulatorFile(wiring.Component):
    """`depth` values, each read in one cycle and written back, modified, in the next.

    ::

        read_index, start --+--> memory --> register --+
                            |                          +--> value --> (user's logic) --> updated
                            +--> same index again? ----+                                    |
                                    ^  forwarding <-----------------------------------------+

    An operation announces itself with `read_index` and, in a cycle in which `advance` is set, moves to the modify stage,
    where `value` is what it starts from and it offers `updated`; `write` (with `advance`) stores that. It may be followed at
    once by an operation on the same value, which is then forwarded. With `advance` clear everything stands still.

    The memory has one read and one write port, and its read register holds when the word is being written, so that nothing
    depends on what a memory does when read and written in one place: it maps to block RAM or LUT RAM without extra logic.
    With depth 1 it is a register, which `start` clears through its reset input.

    Ports
    -----
    advance : In(1)
    read_index : In(range(depth))
        Index of the operation about to move to the modify stage.
    start : In(1)
        That operation starts from zero instead of from the stored value. Ignore `value` if this was not an operation, and
        do not set `start` then: with depth 1 it clears the register.
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
        m.submodules.store = store = memory.Memory(shape=self.shape, depth=self.depth, init=[])
        index = Signal(range(self.depth), reset_less=True)
        again, forward, started = Signal(), Signal(reset_less=True), Signal(reset_less=True)
        latest, stored = (Signal(self.shape, reset_less=True, name=name) for name in ("latest", "stored"))
        read, write = store.read_port(domain="comb"), store.write_port()
        m.d.comb += [
            read.addr.eq(self.read_index),
            write.addr.eq(index),
            write.data.eq(self.updated),
            write.en.eq(self.write & self.advance),
            again.eq(self.write & (self.read_index == index)),
            self.value.eq(self._select(started, forward, latest, stored)),
        ]
        with m.If(self.advance):
            m.d.sync += [
                index.eq(self.read_index),
                started.eq(self.start),
                forward.eq(again),
                latest.eq(self.updated),
            ]
        # Register and condition make this a synchronous read port that is never enabled on the word being written.
        with m.If(self.advance & ~again):
            m.d.sync += stored.eq(read.data)

    @staticmethod
    def _select(started: Value, forward: Value, latest: Value, stored: Value) -> Value:
        """Zero, the forwarded or the stored value: a function of four bits, so one LUT for each bit."""
        return Mux(started, 0, Mux(forward, latest, stored))
