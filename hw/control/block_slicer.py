"""The block slicer: the finished accumulators of a block of maps, as many at a time as the post-processor takes."""

from __future__ import annotations

from amaranth import Mux, Signal, signed
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.control.units import UnitTag
from hw.mac.operands import Results
from hw.stream.register import forward_cut


class BlockSlice(data.StructLayout):
    """`post_lanes` neighbouring accumulators of a result, and its tag.

    `block`: of maps of the pass; `final`: the last one; `channel`: output channel of its lane 0.
    """

    def __init__(self, config: CoreConfig) -> None:
        accumulators = data.ArrayLayout(signed(config.accumulator_bits), config.post_lanes)
        super().__init__(
            {
                "accumulators": accumulators,
                "tag": UnitTag(config),
                "block": range(config.groups),
                "final": 1,
                "channel": range(config.max_channels + 1),
            }
        )


class BlockSlicer(wiring.Component):
    """Gives the slices of each result that hold maps, lowest lanes first, and takes it with the last one.

    Each group has its own, so that only a slice travels from the group to the post-processor. A result beyond the last
    block of maps is taken and dropped. Throughput: a slice a cycle; latency 1 (0 in a core of one group).

    Ports: static `position` (of the group in its set), and `blocks_last`, `final_beats_last`, `first_channel` as in
    `ResultCollector`; `results` In stream of `Results`, `slices` Out stream of `BlockSlice`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "position": In(range(config.groups)),
                "blocks_last": In(range(config.groups)),
                "final_beats_last": In(range(config.post_beats)),
                "first_channel": In(range(config.max_channels + 1)),
                "results": In(stream.Signature(Results(config, UnitTag(config)))),
                "slices": Out(stream.Signature(BlockSlice(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.cut = cut = forward_cut(self.config, BlockSlice(self.config))
        connect(m, producer=cut.o, consumer=flipped(self.slices))
        beat = Signal.like(self.final_beats_last)
        block = Signal(range(2 * self.config.groups))
        last, beyond = Signal(), Signal()
        accumulators = Value.cast(self.results.payload.accumulators)
        piece, tag = cut.i.payload, self.results.payload.tag
        m.d.comb += [
            block.eq(tag.block + self.position),
            beyond.eq(block > self.blocks_last),
            piece.final.eq(block == self.blocks_last),
            last.eq(beat == Mux(piece.final, self.final_beats_last, self.config.post_beats - 1)),
            cut.i.valid.eq(self.results.valid & ~beyond),
            Value.cast(piece.accumulators).eq(accumulators.word_select(beat, len(Value.cast(piece.accumulators)))),
            piece.tag.eq(tag),
            piece.block.eq(block),
            piece.channel.eq(self.first_channel + block * self.config.lanes),
            self.results.ready.eq((cut.i.ready & last) | beyond),
        ]
        with m.If(cut.i.valid & cut.i.ready):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))
        return m
