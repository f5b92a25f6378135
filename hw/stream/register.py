"""Registers for streams."""

from __future__ import annotations

from typing import Any

from amaranth import Signal
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig


def _kept(m: Module, payload: Any) -> Any:
    """The register behind a payload: no reset reaches it, since nobody looks at a payload that is not valid."""
    register = Signal.like(payload, name="kept", reset_less=True)
    m.d.comb += payload.eq(register)
    return register


class StreamRegister(wiring.Component):
    """One register in a stream: latency 1, throughput 1. `i.ready` depends on `o.ready` in the same cycle."""

    def __init__(self, shape: Any) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kept = _kept(m, self.o.payload)
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), kept.eq(self.i.payload)]
        return m


class SkidBuffer(wiring.Component):
    """Two registers in a stream: latency 1, throughput 1, no combinational path in either direction."""

    def __init__(self, shape: Any) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kept, spare = _kept(m, self.o.payload), Signal.like(self.i.payload, reset_less=True)
        full = Signal()
        m.d.comb += self.i.ready.eq(~full)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(full | self.i.valid), full.eq(0)]
            with m.If(full):
                m.d.sync += kept.eq(spare)
            with m.Else():
                m.d.sync += kept.eq(self.i.payload)
        with m.Elif(self.i.valid & ~full):
            m.d.sync += [spare.eq(self.i.payload), full.eq(1)]
        return m


class HoldingRegister(wiring.Component):
    """One register in a stream that is filled only when it is empty: latency 1, a beat in every second cycle at most.

    No combinational path in either direction, at half the cost of a `SkidBuffer`.
    """

    def __init__(self, shape: Any) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kept = _kept(m, self.o.payload)
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), kept.eq(self.i.payload)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


class Wire(wiring.Component):
    """A stream passed on as it is; stands where a larger core needs a register."""

    def __init__(self, shape: Any) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        connect(m, producer=flipped(self.i), consumer=flipped(self.o))
        return m


def path_cut(config: CoreConfig, shape: Any) -> SkidBuffer | Wire:
    """A `SkidBuffer` where long paths would meet; in a core of one group, whose paths are short, a `Wire`."""
    return SkidBuffer(shape) if config.large else Wire(shape)


def forward_cut(config: CoreConfig, shape: Any) -> StreamRegister | Wire:
    """A `StreamRegister` where only the payload's path would get long; in a core of one group a `Wire`."""
    return StreamRegister(shape) if config.large else Wire(shape)


def slow_cut(config: CoreConfig, shape: Any) -> HoldingRegister | Wire:
    """A `HoldingRegister` where beats come seldom; in a core of one group a `Wire`."""
    return HoldingRegister(shape) if config.large else Wire(shape)
