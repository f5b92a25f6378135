"""The result collector: finished accumulators of all groups, one set after another, into the post-processor."""

from __future__ import annotations

from amaranth import Array, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.units import UnitTag
from hw.control.writer import Destination
from hw.mac.operands import Results
from hw.memory.arbiter import RotatingArbiter
from hw.post.layouts import PostInput


class ResultCollector(wiring.Component):
    """Serves one set of groups at a time: block after block, `post_lanes` accumulators a cycle, without a gap.

    The groups of a set hold the results of one output pixel for consecutive blocks of maps. Maps beyond the layer's
    last one are not collected. Between sets the priority rotates.

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
        m.submodules.arbiter = arbiter = RotatingArbiter(config.groups)
        serving = Signal()
        next_group, group, picked = (Signal(range(config.groups), name=n) for n in ("next_group", "group", "picked"))
        block, beat = Signal(range(config.groups)), Signal(range(config.post_beats))
        offset = Signal.like(self.first_channel)
        channel = Signal.like(self.first_channel)
        heads = Array(self.config.set_heads(c) for c, _ in config.splits)[self.split]
        valid = Signal(config.groups)
        m.d.comb += [valid[g].eq(result.valid) for g, result in enumerate(self.results)]
        block_done, set_done = Signal(), Signal()
        last_block = block == self.blocks_last
        beats_last = Mux(last_block, self.final_beats_last, config.post_beats - 1)
        m.d.comb += [
            arbiter.requests.eq(valid & heads),
            arbiter.accept.eq(~serving),
            picked.eq(self._index(arbiter.grant)),
            group.eq(Mux(serving, next_group, picked)),
            self.beats.valid.eq(Mux(serving, valid.bit_select(next_group, 1), arbiter.grant.any())),
            block_done.eq(beat == beats_last),
            set_done.eq(block_done & last_block),
            channel.eq(self.first_channel + offset),
        ]
        self._present(m, group, block, beat, block_done, set_done, channel)
        with m.If(self.beats.valid):
            # From its first beat on, taken or not, a set keeps its turn.
            m.d.sync += [serving.eq(1), next_group.eq(group)]
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += [
                serving.eq(~set_done),
                beat.eq(Mux(block_done, 0, beat + 1)),
                offset.eq(Mux(set_done, 0, offset + config.post_lanes)),
                next_group.eq(group + block_done),
            ]
            with m.If(block_done):
                m.d.sync += block.eq(Mux(set_done, 0, block + 1))
        return m

    def _present(
        self,
        m: Module,
        group: Value,
        block: Value,
        beat: Value,
        block_done: Value,
        set_done: Value,
        channel: Value,
    ) -> None:
        """Put the current beat on `beats`, and take the group's result with its last beat."""
        config = self.config
        post = self.beats.payload
        tag = Signal(UnitTag(config))
        for index, result in enumerate(self.results):
            beyond = self._block_of(index) > self.blocks_last
            taken = (group == index) & self.beats.valid & self.beats.ready & block_done
            m.d.comb += result.ready.eq(taken | beyond)
        lanes = Array(Value.cast(result.payload.accumulators) for result in self.results)[group]
        m.d.comb += [
            tag.eq(Array(Value.cast(result.payload.tag) for result in self.results)[group]),
            Value.cast(post.accumulators).eq(lanes.word_select(beat, config.post_lanes * config.accumulator_bits)),
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
