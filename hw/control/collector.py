"""The result collector: finished accumulators of all groups, one set after another, into the post-processor."""

from __future__ import annotations

from amaranth import Array, Cat, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.result_slicer import ResultSlice, ResultSlicer
from hw.control.units import UnitTag
from hw.control.writer import Destination
from hw.mac.operands import Results
from hw.memory.arbiter import RotatingArbiter
from hw.post.layouts import PostInput


class ResultCollector(wiring.Component):
    """Serves one set of groups at a time: block after block, `post_lanes` accumulators a cycle, without a gap.

    ::

        results (G) --> slicer (G) --> choose --> beats

    The groups of a set hold the results of one output pixel for consecutive blocks of maps. Maps beyond the layer's
    last one are not collected. While a set is served the next one is chosen, with rotating priority; a set that comes
    when none is served, or follows itself, waits two cycles for that (not if it is the only one); sets of one beat need
    three that take turns.

    Ports: static `split`, `blocks_last` (of this pass), `final_beats_last` (beats of block `blocks_last`), `parity`
    (half of the parameter memory), `first_channel` (output channel of lane 0 of block 0); `results` In, one a group;
    `beats` Out.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "split": In(range(len(config.splits))),
                "blocks_last": In(range(config.groups)),
                "final_beats_last": In(range(config.post_beats)),
                "parity": In(1),
                "first_channel": In(range(config.max_channels + 1)),
                "results": In(stream.Signature(Results(config, UnitTag(config)))).array(config.groups),
                "beats": Out(stream.Signature(PostInput(config, Destination(config)))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        serving, group = Signal(), Signal(range(config.groups))
        block, beat = Signal(range(config.groups)), Signal(range(config.post_beats))
        offset = Signal.like(self.first_channel)
        channel = Signal.like(self.first_channel)
        slicers = self._slicers(m)
        valid = Signal(config.groups)
        m.d.comb += valid.eq(Cat(slicer.slices.valid for slicer in slicers))
        block_done, set_done, leaves = Signal(), Signal(), Signal()
        single, active = Signal(), Signal()
        last_block = block == self.blocks_last
        beats_last = Mux(last_block, self.final_beats_last, config.post_beats - 1)
        m.d.comb += [
            # A single set is always served: there is nothing to choose.
            single.eq(Array(c == config.groups for c, _ in config.splits)[self.split]),
            active.eq(serving | single),
            self.beats.valid.eq(active & valid.bit_select(group, 1)),
            leaves.eq(self.beats.valid & self.beats.ready),
            block_done.eq(beat == beats_last),
            set_done.eq(block_done & last_block),
            channel.eq(self.first_channel + offset),
        ]
        self._present(m, slicers, group, block, beat, set_done, channel)
        with m.If(leaves):
            m.d.sync += [
                beat.eq(Mux(block_done, 0, beat + 1)),
                offset.eq(Mux(set_done, 0, offset + config.post_lanes)),
                group.eq(group + block_done),
            ]
            with m.If(block_done):
                m.d.sync += block.eq(Mux(set_done, 0, block + 1))
        free = ~active | (leaves & set_done)
        self._choose(m, valid & ~single.replicate(config.groups), serving, group, free)
        return m

    def _choose(self, m: Module, valid: Value, serving: Value, group: Value, free: Value) -> None:
        """Which set is served once the collector is `free`: that of an earlier cycle's choice, so no path is long."""
        groups = self.config.groups
        m.submodules.arbiter = arbiter = RotatingArbiter(groups)
        heads = Array(self.config.set_heads(c) for c, _ in self.config.splits)[self.split]
        # The set that is served and the one chosen, by the bit of their first group.
        served, chosen = Signal(groups), Signal(groups)
        m.d.comb += [
            arbiter.requests.eq(valid & heads & ~served & ~chosen),
            arbiter.accept.eq(free | ~chosen.any()),
        ]
        with m.If(arbiter.accept):
            m.d.sync += chosen.eq(arbiter.grant)
        with m.If(free):
            m.d.sync += [serving.eq(chosen.any()), served.eq(chosen), group.eq(self._index(chosen))]

    def _slicers(self, m: Module) -> list[ResultSlicer]:
        """One a group; a group beyond the last block of maps has its results taken and dropped."""
        slicers = [ResultSlicer(self.config) for _ in self.results]
        for index, (slicer, result) in enumerate(zip(slicers, self.results, strict=True)):
            m.submodules[f"slicer_{index}"] = slicer
            block = self._block_of(index)
            beyond = block > self.blocks_last
            m.d.comb += [
                slicer.beats_last.eq(Mux(block == self.blocks_last, self.final_beats_last, self.config.post_beats - 1)),
                slicer.results.valid.eq(result.valid & ~beyond),
                slicer.results.payload.eq(result.payload),
                result.ready.eq(slicer.results.ready | beyond),
            ]
        return slicers

    def _present(
        self,
        m: Module,
        slicers: list[ResultSlicer],
        group: Value,
        block: Value,
        beat: Value,
        set_done: Value,
        channel: Value,
    ) -> None:
        """Put the current beat on `beats`, and take its slice."""
        config = self.config
        post = self.beats.payload
        for index, slicer in enumerate(slicers):
            m.d.comb += slicer.slices.ready.eq((group == index) & self.beats.valid & self.beats.ready)
        piece = Signal(ResultSlice(config))
        m.d.comb += Value.cast(piece).eq(Array(Value.cast(slicer.slices.payload) for slicer in slicers)[group])
        tag = piece.tag
        m.d.comb += [
            post.accumulators.eq(piece.accumulators),
            post.parameters.eq((self.parity * config.groups + block) * config.post_beats + beat),
            post.slot.eq(group * config.post_beats + beat),
            post.pool_first.eq(tag.pool_first),
            post.pool_last.eq(tag.pool_last),
            post.destination.address.eq(tag.address + channel // WORD_ELEMENTS),
            post.destination.slice.eq(channel % WORD_ELEMENTS // config.post_lanes),
            post.destination.complete.eq(set_done & tag.pool_last),
            post.destination.sequence.eq(tag.sequence),
        ]

    def _block_of(self, group: int) -> Value:
        """The block of maps that a group holds, by split."""
        return Array(group % channel_groups for channel_groups, _ in self.config.splits)[self.split]

    def _index(self, one_hot: Value) -> Value:
        bits = max(1, ceil_log2(self.config.groups))
        result: Value | int = 0
        for index in range(self.config.groups):
            result = result | Mux(one_hot[index], index, 0)
        assert isinstance(result, Value)
        return result[:bits]
