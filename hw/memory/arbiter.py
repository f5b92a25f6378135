"""Rotating-priority arbitration."""

from __future__ import annotations

from amaranth import Cat, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


def above_lowest(value: Value) -> Value:
    """Every bit above the lowest set one. A tree of gates: for so few bits a carry chain would be slower."""
    above, span = Value.cast(value) << 1, 1
    while span < len(value):
        above, span = above | above << span, 2 * span
    return above[: len(value)]


def lowest_one(value: Value) -> Value:
    """The lowest set bit of `value`, alone; zero for zero."""
    return value & ~above_lowest(value)


class RotatingArbiter(wiring.Component):
    """Grants one of several requests; the one granted last comes last the next time.

    Ports: `requests` and one-hot `grant` (combinational; zero when nothing is asked), `accept` (the grant is used in
    this cycle, so the priority moves on).
    """

    def __init__(self, requesters: int) -> None:
        super().__init__({"requests": In(requesters), "accept": In(1), "grant": Out(requesters)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Requesters above the one granted last.
        later = Signal.like(self.requests)
        favoured = self.requests & later
        m.d.comb += self.grant.eq(Mux(favoured.any(), lowest_one(favoured), lowest_one(self.requests)))
        with m.If(self.accept & self.grant.any()):
            m.d.sync += later.eq(above_lowest(self.grant))
        return m


def one_hot_mux(select: Value, values: list[Value]) -> Value:
    """The value whose bit of the one-hot `select` is set; zero if none is."""
    result: Value | None = None
    for bit, value in zip(select, values, strict=True):
        gated = Value.cast(value) & bit.replicate(len(Value.cast(value)))
        result = gated if result is None else result | gated
    assert result is not None
    return result


def any_of(values: list[Value]) -> Value:
    """One bit: whether any of the one-bit values is set."""
    return Cat(*values).any()
