"""The transposer: from words of 16 channels of a pixel to vectors of neighbouring pixels of a channel."""

from __future__ import annotations

from amaranth import Cat, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.dataflow.rsnn.layouts import PixelContext, VectorWrite, vector_pointer
from hw.memory.activation import activation_word
from hw.memory.word_reader import Word


class Transposer(wiring.Component):
    """Collects the words of a plane's pixels, and gives out one vector a cycle while it collects the next plane's.

    A plane is given out once the scratchpads have room for all of it. The stored byte s means s - 2**b where s >
    `threshold`, else s. In a `shared` layer a plane is one pixel, and its word one vector. Latency: a plane's first
    vector leaves two cycles after its last word, in a large core three.

    Ports: static `layer`; `start` (pulse); `words` In stream of `Word` with `PixelContext`; `write`, valid and payload:
    to all scratchpads; `room` (vectors that scratchpads have given back in this cycle).
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "layer": In(LayerDescriptor(config)),
                "start": In(1),
                "words": In(stream.Signature(Word(config, PixelContext()))),
                "write": Out(stream.Signature(VectorWrite(config), always_ready=True)),
                "room": In(range(config.scratchpad_depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        banks = [Signal(activation_word(config), name=f"word_{bank}") for bank in range(config.window_banks)]
        full, final, give = Signal(), Signal(), Signal()
        place = Signal(range(config.window_banks))
        word = self.words.payload
        taken = Signal()
        m.d.comb += [self.words.ready.eq(~full | give), taken.eq(self.words.valid & self.words.ready)]
        with m.If(self.start):
            m.d.sync += [full.eq(0), place.eq(0)]
        with m.Elif(taken):
            m.d.sync += [
                full.eq(word.meta.last),
                final.eq(word.meta.final),
                place.eq(Mux(word.meta.last, 0, place + 1)),
            ]
        with m.Elif(give):
            m.d.sync += full.eq(0)
        # Of a word that was not read only the map is right.
        arrived = Value.cast(word.data) & word.map.any().replicate(config.word_bits)
        for number, bank in enumerate(banks):
            with m.If(taken & (place == number)):
                m.d.sync += Value.cast(bank).eq(arrived)
        self._give_out(m, [Value.cast(bank) for bank in banks], full, final, give)
        return m

    def _give_out(self, m: Module, banks: list[Value], full: Value, final: Value, give: Value) -> None:
        config, sparse = self.config, self.layer.sparse
        bits = config.activation_bits
        # Groups may be done with a tile before its last vectors come, and its places are free then already.
        left, room = Signal(range(WORD_ELEMENTS + 1)), Signal(range(2 * config.scratchpad_depth + 1))
        vectors, places = Signal.like(sparse.channels), Signal.like(sparse.plane_vectors)
        begin, pointer = Signal(vector_pointer(config)), Signal(vector_pointer(config))
        held = [Signal(len(bank), name=f"giving_{number}") for number, bank in enumerate(banks)]
        m.d.comb += [
            vectors.eq(Mux(final, sparse.final_channels, sparse.channels)),
            places.eq(Mux(final, sparse.final_plane_vectors, sparse.plane_vectors)),
            give.eq(full & (left <= 1) & (room >= places)),
        ]
        write = self.write.payload
        giving = left != 0
        m.d.sync += [
            self.write.valid.eq(giving & ~self.start),
            write.address.eq(pointer),
            write.arrived.eq(Mux(left == 1, begin, pointer + 1)),
        ]
        for number, (register, bank, into) in enumerate(zip(held, banks, write.data, strict=True)):
            stored = register[:bits]
            m.d.sync += [register.eq(register[bits:]), into.eq(Cat(stored, stored > self.layer.input.threshold))]
            with m.If(give):
                m.d.sync += register.eq(bank)
                if config.shares_lanes and 0 < number < WORD_ELEMENTS:
                    with m.If(sparse.shared):
                        m.d.sync += stored.eq(banks[0].word_select(number, bits))
        m.d.sync += [
            pointer.eq(Mux(give, begin, pointer + 1)),
            left.eq(Mux(give, vectors, Mux(giving, left - 1, 0))),
            room.eq(room + self.room - Mux(give, places, 0)),
        ]
        # `begin` is where the next plane begins: behind all the places of the one that is given out.
        with m.If(give):
            m.d.sync += begin.eq(begin + places)
        with m.If(self.start):
            m.d.sync += [left.eq(0), begin.eq(0), room.eq(config.scratchpad_depth)]
