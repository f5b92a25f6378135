"""The result collector: finished accumulators of all groups, one set after another, into the post-processor."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

from amaranth import Array, Cat, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from hw.config import CoreConfig
from hw.control.block_slicer import BlockSlice, BlockSlicer
from hw.control.units import UnitTag
from hw.control.writer import Destination
from hw.mac.operands import Results
from hw.memory.arbiter import RotatingArbiter
from hw.post.layouts import PostInput


class ResultCollector(wiring.Component):
    """Serves one set of groups at a time: block after block, `post_lanes` accumulators a cycle, without a gap.

    ::

        results (G) --> slicer (G) --> choose --> beats

    The groups of a set hold the results of one output pixel for consecutive blocks of maps, from that of the tag on; a
    pixel with more blocks than the set has groups comes several times. Maps beyond the layer's last one are not
    collected. While a set is served the next one is chosen, with rotating priority; a set that comes
    when none is served, or follows itself, waits two cycles for that (not if it is the only one); sets of one beat need
    three that take turns.

    Ports: static `split` (two cycles before there are results), `blocks_last` (of this pass), `final_beats_last` (beats
    of block `blocks_last`), `parity` (half of the parameter memory), `first_channel` (output channel of lane 0 of block
    0); `results` In, one a group; `beats` Out.
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
        # The group whose turn it is, by number, and by a bit: all results of all groups are chosen from by it.
        serving, group, turn = Signal(), Signal(range(config.groups)), Signal(config.groups, init=1)
        beat = Signal(range(config.post_beats))
        slicers = self._slicers(m)
        valid = Signal(config.groups)
        m.d.comb += valid.eq(Cat(slicer.slices.valid for slicer in slicers))
        piece = Signal(BlockSlice(config))
        block_done, set_done, leaves = Signal(), Signal(), Signal()
        single, active = Signal(), Signal()
        heads, ends = self._sets(m)
        # A single set is always served: there is nothing to choose.
        m.d.sync += single.eq(Array(c == config.groups for c, _ in config.splits)[self.split])
        m.d.comb += [
            Value.cast(piece).eq(_chosen(turn, (Value.cast(slicer.slices.payload) for slicer in slicers))),
            active.eq(serving | single),
            self.beats.valid.eq(active & (valid & turn).any()),
            leaves.eq(self.beats.valid & self.beats.ready),
            block_done.eq(beat == Mux(piece.final, self.final_beats_last, config.post_beats - 1)),
            set_done.eq(block_done & (piece.final | (ends & turn).any())),
        ]
        self._present(m, piece, beat, block_done & piece.final, group)
        for index, slicer in enumerate(slicers):
            # Whether it is valid is its own affair: nothing of the other groups need be known here.
            m.d.comb += slicer.slices.ready.eq(turn[index] & active & self.beats.ready)
        with m.If(leaves):
            m.d.sync += [
                beat.eq(Mux(block_done, 0, beat + 1)),
                group.eq(group + block_done),
                turn.eq(Mux(block_done, turn << 1, turn)),
            ]
        free = ~active | (leaves & set_done)
        self._choose(m, valid & heads & ~single.replicate(config.groups), serving, group, turn, free)
        return m

    def _sets(self, m: Module) -> tuple[Value, Value]:
        """The first group of each set, and the last, a bit a group; kept here, since what is static comes from far."""
        config = self.config
        heads, ends = Signal(config.groups), Signal(config.groups)
        m.d.sync += [
            heads.eq(Array(config.set_heads(c) for c, _ in config.splits)[self.split]),
            ends.eq(Array(config.set_heads(c) << (c - 1) for c, _ in config.splits)[self.split]),
        ]
        return heads, ends

    def _choose(self, m: Module, valid: Value, serving: Value, group: Value, turn: Value, free: Value) -> None:
        """Which set is served once the collector is `free`: that of an earlier cycle's choice, so no path is long.

        `valid`: a bit for each set, that of its first group.
        """
        groups = self.config.groups
        m.submodules.arbiter = arbiter = RotatingArbiter(groups)
        # The set that is served and the one chosen, by the bit of their first group.
        served, chosen = Signal(groups), Signal(groups)
        m.d.comb += [
            arbiter.requests.eq(valid & ~served & ~chosen),
            arbiter.accept.eq(free | ~chosen.any()),
        ]
        with m.If(arbiter.accept):
            m.d.sync += chosen.eq(arbiter.grant)
        with m.If(free):
            m.d.sync += [
                serving.eq(chosen.any()),
                served.eq(chosen),
                group.eq(self._index(chosen)),
                turn.eq(chosen | ~chosen.any()),
            ]

    def _slicers(self, m: Module) -> list[BlockSlicer]:
        """One a group."""
        slicers = [BlockSlicer(self.config) for _ in self.results]
        for index, (slicer, result) in enumerate(zip(slicers, self.results, strict=True)):
            m.submodules[f"slicer_{index}"] = slicer
            m.d.sync += slicer.position.eq(Array(index % c for c, _ in self.config.splits)[self.split])
            m.d.comb += [
                slicer.blocks_last.eq(self.blocks_last),
                slicer.final_beats_last.eq(self.final_beats_last),
                slicer.first_channel.eq(self.first_channel),
            ]
            connect(m, producer=flipped(result), consumer=slicer.results)
        return slicers

    def _present(self, m: Module, piece: data.View, beat: Value, pixel_done: Value, group: Value) -> None:
        """Put the current beat on `beats`."""
        config, post, tag = self.config, self.beats.payload, piece.tag
        channel = Signal.like(self.first_channel)
        m.d.comb += [
            channel.eq(piece.channel + beat * config.post_lanes),
            *(into.eq(value) for into, value in zip(post.accumulators, piece.accumulators, strict=True)),
            post.parameters.eq((self.parity * config.groups + piece.block) * config.post_beats + beat),
            post.slot.eq(group * config.post_beats + beat),
            post.pool_first.eq(tag.pool_first),
            post.pool_last.eq(tag.pool_last),
            post.destination.address.eq(tag.address + channel // config.word_elements),
            post.destination.slice.eq(channel % config.word_elements // config.post_lanes),
            post.destination.complete.eq(pixel_done & tag.pool_last),
            post.destination.sequence.eq(tag.sequence),
        ]

    def _index(self, one_hot: Value) -> Value:
        bits = max(1, ceil_log2(self.config.groups))
        result: Value | int = 0
        for index in range(self.config.groups):
            result = result | Mux(one_hot[index], index, 0)
        assert isinstance(result, Value)
        return result[:bits]


def _chosen(turn: Value, values: Iterable[Value]) -> Value:
    """The value whose bit of `turn` is set."""
    return reduce(or_, (Mux(bit, value, 0) for bit, value in zip(turn, values, strict=True)))
