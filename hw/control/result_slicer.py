"""The result slicer: a group's finished accumulators, as many at a time as the post-processor takes."""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal, signed
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.control.units import UnitTag
from hw.mac.operands import Results
from hw.stream.register import forward_cut


class ResultSlice(data.StructLayout):
    """`post_lanes` neighbouring accumulators of a result, the number `beat` of the slice, and the result's tag."""

    def __init__(self, config: CoreConfig) -> None:
        accumulators = data.ArrayLayout(signed(config.accumulator_bits), config.post_lanes)
        super().__init__({"accumulators": accumulators, "beat": range(config.post_beats), "tag": UnitTag(config)})


class ResultSlicer(wiring.Component):
    """Gives the first `beats_last` + 1 slices of each result, lowest lanes first, and takes it with the last one.

    Each group has its own, so that only a slice travels from the group to the post-processor. Throughput: a slice a
    cycle; latency 1 (0 in a core of one group).

    Ports: static `beats_last`; `results` In stream of `Results`, `slices` Out stream of `ResultSlice`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "beats_last": In(range(config.post_beats)),
                "results": In(stream.Signature(Results(config, UnitTag(config)))),
                "slices": Out(stream.Signature(ResultSlice(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.cut = cut = forward_cut(self.config, ResultSlice(self.config))
        connect(m, producer=cut.o, consumer=flipped(self.slices))
        beat = Signal.like(self.beats_last)
        last = beat == self.beats_last
        accumulators = Value.cast(self.results.payload.accumulators)
        piece = Value.cast(cut.i.payload.accumulators)
        m.d.comb += [
            cut.i.valid.eq(self.results.valid),
            # The last slice is filled up with zeros if the lanes are no multiple.
            piece.eq(Cat(accumulators, Const(0, -len(accumulators) % len(piece))).word_select(beat, len(piece))),
            cut.i.payload.beat.eq(beat),
            cut.i.payload.tag.eq(self.results.payload.tag),
            self.results.ready.eq(cut.i.ready & last),
        ]
        with m.If(cut.i.valid & cut.i.ready):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))
        return m
