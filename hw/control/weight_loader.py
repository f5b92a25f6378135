"""The weight loader: fills the weight rings and the post-processor's parameters ahead of the pass that needs them."""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import PARAMETER_PLANES, CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.memory.weights import weight_word
from hw.post.layouts import ParameterWrite


class WeightLoader(wiring.Component):
    """Takes the weight stream of a layer, pass by pass and block by block, while earlier passes compute.

    A block begins with its parameters: for each of the post-processor's beats of a group, PARAMETER_PLANES planes of
    `post_lanes` bytes, each in the lowest bytes of `parameter_chunks` stream beats. Then come `words` weight words,
    stored from the ring's write pointer on in all groups that hold this block (those with group mod channel_groups =
    block); on the vector unit `words` is 0, and a block is its parameters. All blocks of a pass start at the same
    address. At most two passes are held: the one that computes and the next; a word is written once its place in the
    ring is free. One beat a cycle.

    Ports: `layers` In stream (a descriptor is taken when the one before is wholly loaded); `beats` In stream of
    weight words; `weight_address`, `weight_data`, `weight_enable` (one bit a group); `parameters` Out (valid, payload);
    `loaded` (pulse: a pass is complete in memory); `release` (pulse: the oldest pass is finished) with
    `released_words`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        word = weight_word(config)
        super().__init__(
            {
                "layers": In(stream.Signature(LayerDescriptor(config))),
                "beats": In(stream.Signature(word)),
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
        passes = Signal.like(layer.passes_last)
        held = Signal(range(3))
        parity = Signal()
        start = Signal(config.weight_address_bits)
        # Words from `start` on that no pass under way holds.
        room = Signal(range(config.weight_depth + 1), init=config.weight_depth)
        taken, given_back = Signal.like(room), Signal.like(room)
        block = Signal(range(config.groups))
        word = Signal.like(layer.weights.words)
        plane, beat = Signal(range(PARAMETER_PLANES)), Signal(range(config.post_beats))

        # `last_word` goes with `word`, and all that is compared for it is static.
        single, last_word = Signal(), Signal()
        m.d.sync += single.eq(layer.weights.words == 1)
        last_pass = passes == layer.passes_last
        blocks_last = Mux(last_pass, layer.weights.final_blocks_last, layer.weights.blocks_last)
        # A word that fits goes on fitting until it is stored, so that it does may be known a cycle later.
        fits, stored = Signal(), Signal()
        m.d.sync += fits.eq(Mux(stored, word + 1, word) < room)
        parameter = self.parameters.payload
        m.d.comb += [
            self.weight_address.eq(start + word),
            self.weight_data.eq(self.beats.payload),
            parameter.address.eq((parity * config.groups + block) * config.post_beats + beat),
            parameter.plane.eq(plane),
        ]
        parameter_beat = Signal()
        plane_there = self._gather_plane(m, parameter_beat)
        block_done, pass_done = Signal(), Signal()
        holders = self._holders(m, layer.split, block)

        def finish_block() -> None:
            m.d.comb += block_done.eq(1)
            m.next = "PARAMETERS"
            with m.If(last_pass & (block == blocks_last)):
                m.next = "IDLE"

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.layers.ready.eq(1)
                with m.If(self.layers.valid):
                    m.d.sync += [layer.eq(self.layers.payload), passes.eq(0)]
                    m.next = "PARAMETERS"
            with m.State("PARAMETERS"):
                m.d.comb += [
                    self.beats.ready.eq(held != 2),
                    parameter_beat.eq(self.beats.valid & self.beats.ready),
                    self.parameters.valid.eq(parameter_beat & plane_there),
                ]
                with m.If(self.parameters.valid):
                    m.d.sync += plane.eq(plane + 1)
                    with m.If(plane == PARAMETER_PLANES - 1):
                        m.d.sync += [plane.eq(0), beat.eq(beat + 1)]
                        with m.If(beat == config.post_beats - 1):
                            m.d.sync += [beat.eq(0), last_word.eq(single)]
                            m.next = "WEIGHTS"
                            with m.If(layer.weights.words == 0):
                                finish_block()
            with m.State("WEIGHTS"):
                m.d.comb += self.beats.ready.eq(fits)
                m.d.comb += stored.eq(self.beats.valid & fits)
                with m.If(stored):
                    m.d.comb += self.weight_enable.eq(holders)
                    m.d.sync += [word.eq(word + 1), last_word.eq(word + 2 == layer.weights.words)]
                    with m.If(last_word):
                        m.d.sync += word.eq(0)
                        finish_block()
        m.d.comb += [pass_done.eq(block_done & (block == blocks_last)), self.loaded.eq(pass_done)]
        with m.If(block_done):
            m.d.sync += block.eq(block + 1)
        with m.If(pass_done):
            m.d.sync += [
                block.eq(0),
                parity.eq(~parity),
                start.eq(start + layer.weights.words),
                passes.eq(passes + 1),
            ]
        # A cycle later than it happens, which is safe: the words of the next pass come behind its parameters.
        m.d.sync += [
            held.eq(held + pass_done - self.release),
            taken.eq(Mux(pass_done, layer.weights.words, 0)),
            given_back.eq(Mux(self.release, self.released_words, 0)),
            room.eq(room - taken + given_back),
        ]
        return m

    def _gather_plane(self, m: Module, beat: Value) -> Value:
        """Put the parameters' bytes together; returns whether this beat is the last of them."""
        word, chunks = Value.cast(self.beats.payload), self.config.parameter_chunks
        into = Value.cast(self.parameters.payload.data)
        if chunks == 1:
            m.d.comb += into.eq(word)
            return Const(1)
        before, chunk = Signal((chunks - 1) * len(word)), Signal(range(chunks))
        last = chunk == chunks - 1
        bytes_so_far = Cat(before, word)
        m.d.comb += into.eq(bytes_so_far)
        with m.If(beat):
            m.d.sync += [before.eq(bytes_so_far[len(word) :]), chunk.eq(Mux(last, 0, chunk + 1))]
        return last

    def _holders(self, m: Module, split: Value, block: Value) -> Value:
        """One bit for each group that holds the block."""
        holders = Signal(self.config.groups)
        with m.Switch(split):
            for index, (channel_groups, _) in enumerate(self.config.splits):
                with m.Case(index):
                    m.d.comb += [
                        holders[group].eq(block == group % channel_groups) for group in range(self.config.groups)
                    ]
        return holders
