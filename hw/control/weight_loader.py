"""The weight loader: fills the weight rings and the post-processor's parameters ahead of the pass that needs them."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import PARAMETER_PLANES, CoreConfig
from hw.control.descriptor import LayerDescriptor, Operation
from hw.memory.weights import weight_beat, weight_word
from hw.post.layouts import ParameterWrite


def has_place(layer: Any) -> Value:
    """Whether the weights of a layer have a place of their own in the weight memories."""
    return layer.weights.kept | (layer.operation == Operation.HOLD)


class WeightLoader(wiring.Component):
    """Takes the weight stream of a layer, pass by pass and block by block, while earlier passes compute.

    A block begins with its parameters: for each of the post-processor's beats of a group, PARAMETER_PLANES planes of
    `post_lanes` bytes, each in the lowest bytes of `parameter_chunks` stream beats, or `parameter_parts` of them in one
    beat, which then takes as many cycles. Then come `words` weight words,
    stored from the ring's write pointer on in all groups that hold this block (those with group = block, modulo
    channel_groups); on the vector unit `words` is 0, and a block is its parameters. The first channel_groups blocks of
    a pass start at the same address, the next ones behind them, and so on. At most two passes are held: the one that
    computes and the next; a word is written once its place in the ring is free. Of a layer whose words are `kept` only
    the parameters come, and of a `HOLD` only the words; these have a place of their own, from `base` on.

    Words are packed into beats of a byte a lane (see `weight_beat`); a block's parameters and its first word begin a
    beat. A beat a cycle, and no more than a word a cycle.

    Ports: `layers` In stream (a descriptor is taken when the one before is wholly loaded; without `lookahead` it must
    stay as it is until it is loaded itself); `beats` In stream of
    `weight_beat`; `weight_address`, `weight_data`, `weight_enable` (one bit a group); `parameters` Out (valid,
    payload); `loaded` (pulse: a pass is complete in memory); `release` (pulse: the oldest pass is finished) with
    `released_words`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        word = weight_word(config)
        super().__init__(
            {
                "layers": In(stream.Signature(LayerDescriptor(config))),
                "beats": In(stream.Signature(weight_beat(config))),
                "weight_address": Out(config.weight_address_bits),
                "weight_data": Out(word),
                "weight_enable": Out(config.groups),
                "parameters": Out(stream.Signature(ParameterWrite(config), always_ready=True)),
                "loaded": Out(1),
                "release": In(1),
                "released_words": In(range(config.weight_depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        layer = Signal(LayerDescriptor(config))
        if not config.lookahead:
            m.d.comb += layer.eq(self.layers.payload)
        passes = Signal.like(layer.passes_last)
        held = Signal(range(3))
        parity = Signal()
        start = Signal(config.weight_address_bits)
        # Words from `start` on that no pass under way holds.
        room = Signal(range(config.weight_depth + 1), init=config.weight_depth)
        taken, given_back = Signal.like(room), Signal.like(room)
        # Of the pass; of the set of groups; and the words of the blocks that these groups hold already.
        block, position = Signal(range(config.groups)), Signal(range(config.groups))
        before = Signal.like(layer.weights.pass_words)
        word = Signal.like(layer.weights.words)
        plane, beat = Signal(range(PARAMETER_PLANES)), Signal(range(config.post_beats))

        # `last_word` goes with `word`, and all that is compared for it is static.
        single, last_word = Signal(), Signal()
        m.d.sync += single.eq(layer.weights.words == 1)
        last_pass = passes == layer.passes_last
        blocks_last = Mux(last_pass, layer.weights.final_blocks_last, layer.weights.blocks_last)
        holds = layer.operation == Operation.HOLD
        # A word that fits goes on fitting until it is stored, so that it does may be known a cycle later.
        fits, stored = Signal(), Signal()
        m.d.sync += fits.eq(before + Mux(stored, word + 1, word) < room)
        parameter = self.parameters.payload
        m.d.comb += [
            self.weight_address.eq(start + before + word),
            parameter.address.eq((parity * config.groups + block) * config.post_beats + beat),
            parameter.plane.eq(plane),
        ]
        parameter_beat = Signal()
        plane_there, planes_used = self._gather_plane(m, parameter_beat)
        block_done, pass_done = Signal(), Signal()
        weighs = Signal()
        there, used_up = self._unpack(m, weighs, last_word)
        holders, last_position = self._holders(m, layer.split, position)

        def finish_block() -> None:
            m.d.comb += block_done.eq(1)
            m.next = "PARAMETERS"
            with m.If(last_pass & (block == blocks_last)):
                m.next = "IDLE"

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.layers.ready.eq(1)
                with m.If(self.layers.valid):
                    upcoming = self.layers.payload
                    m.d.sync += passes.eq(0)
                    if config.lookahead:
                        m.d.sync += layer.eq(upcoming)
                    with m.If(has_place(upcoming)):
                        m.d.sync += start.eq(upcoming.weights.base)
                    m.next = "PARAMETERS"
            with m.State("PARAMETERS"):
                takes = (held != 2) & ~holds
                m.d.comb += [
                    self.beats.ready.eq(takes & planes_used),
                    parameter_beat.eq(self.beats.valid & takes),
                    self.parameters.valid.eq(parameter_beat & plane_there),
                ]
                with m.If((held != 2) & holds):
                    m.d.sync += last_word.eq(layer.weights.words == 1)
                    m.next = "WEIGHTS"
                with m.If(self.parameters.valid):
                    m.d.sync += plane.eq(plane + 1)
                    with m.If(plane == PARAMETER_PLANES - 1):
                        m.d.sync += [plane.eq(0), beat.eq(beat + 1)]
                        with m.If(beat == config.post_beats - 1):
                            m.d.sync += [beat.eq(0), last_word.eq(single)]
                            m.next = "WEIGHTS"
                            with m.If((layer.weights.words == 0) | layer.weights.kept):
                                finish_block()
            with m.State("WEIGHTS"):
                m.d.comb += [weighs.eq(1), self.beats.ready.eq(fits & used_up)]
                m.d.comb += stored.eq(there & fits)
                with m.If(stored):
                    m.d.comb += self.weight_enable.eq(holders)
                    m.d.sync += [word.eq(word + 1), last_word.eq(word + 2 == layer.weights.words)]
                    with m.If(last_word):
                        m.d.sync += word.eq(0)
                        finish_block()
        m.d.comb += [pass_done.eq(block_done & (block == blocks_last)), self.loaded.eq(pass_done)]
        with m.If(block_done):
            m.d.sync += [block.eq(block + 1), position.eq(position + 1)]
            with m.If(last_position):
                m.d.sync += [position.eq(0), before.eq(before + layer.weights.words)]
        with m.If(pass_done):
            m.d.sync += [
                block.eq(0),
                position.eq(0),
                before.eq(0),
                parity.eq(~parity),
                start.eq(start + layer.weights.pass_words),
                passes.eq(passes + 1),
            ]
        # A cycle later than it happens, which is safe: the words of the next pass come behind its parameters.
        m.d.sync += [
            held.eq(held + pass_done - self.release),
            taken.eq(Mux(pass_done, layer.weights.pass_words, 0)),
            given_back.eq(Mux(self.release, self.released_words, 0)),
            room.eq(room - taken + given_back),
        ]
        return m

    def _gather_plane(self, m: Module, beat: Value) -> tuple[Value, Value]:
        """Put a plane together, or take it out; returns whether it is there, and whether its beat is used up."""
        word, chunks = Value.cast(self.beats.payload), self.config.parameter_chunks
        into = Value.cast(self.parameters.payload.data)
        if chunks == 1:
            part = Signal(range(self.config.parameter_parts))
            used_up = part == self.config.parameter_parts - 1
            m.d.comb += into.eq(word.word_select(part, len(into)))
            with m.If(beat):
                m.d.sync += part.eq(Mux(used_up, 0, part + 1))
            return Const(1), used_up
        before, chunk = Signal((chunks - 1) * len(word)), Signal(range(chunks))
        last = chunk == chunks - 1
        bytes_so_far = Cat(before, word)
        m.d.comb += into.eq(bytes_so_far)
        with m.If(beat):
            m.d.sync += [before.eq(bytes_so_far[len(word) :]), chunk.eq(Mux(last, 0, chunk + 1))]
        return last, Const(1)

    def _unpack(self, m: Module, weighs: Value, last: Value) -> tuple[Value, Value]:
        """Take `weight_data` from the beats; returns whether there is a word, and whether the beat is used up with it.

        `weighs`: beats hold weights; `last`: the block's last word is next, and what is left of its beat is dropped.
        """
        beat, word = Value.cast(self.beats.payload), Value.cast(self.weight_data)
        there, used_up = Signal(), Signal()
        if len(word) > len(beat):
            # Half a word; the lower half waits for the other one.
            lower, has_lower = Signal(len(beat)), Signal()
            m.d.comb += [word.eq(Cat(lower, beat)), there.eq(self.beats.valid & has_lower), used_up.eq(1)]
            with m.If(weighs & self.beats.valid & self.beats.ready):
                m.d.sync += [lower.eq(beat), has_lower.eq(~has_lower)]
            return there, used_up
        words = len(beat) // len(word)
        part = Signal(range(words))
        m.d.comb += [
            word.eq(beat.word_select(part, len(word))),
            there.eq(self.beats.valid),
            used_up.eq(last | (part == words - 1)),
        ]
        with m.If(self.weight_enable.any()):
            m.d.sync += part.eq(Mux(used_up, 0, part + 1))
        return there, used_up

    def _holders(self, m: Module, split: Value, position: Value) -> tuple[Value, Value]:
        """One bit for each group that holds the block at a position of a set, and whether that is the last one."""
        holders, last = Signal(self.config.groups), Signal()
        with m.Switch(split):
            for index, (channel_groups, _) in enumerate(self.config.splits):
                with m.Case(index):
                    m.d.comb += last.eq(position == channel_groups - 1)
                    m.d.comb += [
                        holders[group].eq(position == group % channel_groups) for group in range(self.config.groups)
                    ]
        return holders, last
