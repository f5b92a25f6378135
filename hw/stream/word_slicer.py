"""The word slicer: activation words to the slices in which the encoder works."""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.stream.bits import below, least
from hw.stream.layouts import PlainWord, unit_array
from hw.stream.slicer import POSITION_BITS


class PlainSlice(data.StructLayout):
    """Up to `codec_elements` elements of one group and one activation word.

    `elements`, of which those in `kept` take a unit: in sparse form the slice's non-zero ones, in dense form
    all of the slice; `group_first`, `group_last`: it begins, ends a group; `turn`: place in the group of
    element 0, modulo 16; `last`, `sparse`: of the packet.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "elements": unit_array(config, config.codec_elements),
                "kept": config.codec_elements,
                "group_first": 1,
                "group_last": 1,
                "turn": POSITION_BITS,
                "last": 1,
                "sparse": 1,
            }
        )


class WordSlicer(wiring.Component):
    """Cuts activation words into slices. Latency 1, one slice a cycle; a word waits at the input meanwhile.

    A slice has as many elements as possible: those of the word up to the next multiple of `codec_elements`,
    but in sparse form no more than the group has room for. In dense form there are no groups.

    Ports: `words` In: `PlainWord`; `slices` Out: `PlainSlice`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "words": In(stream.Signature(PlainWord(config))),
                "slices": Out(stream.Signature(PlainSlice(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word, piece = self.words.payload, self.slices.payload
        elements = self.config.codec_elements
        place, group_left = Signal(POSITION_BITS), Signal(POSITION_BITS + 1, init=WORD_ELEMENTS)
        word_left = Signal.like(group_left)
        lane = place[: ceil_log2(elements)]  # of the slice's first element
        chunk = Signal.like(piece.elements)
        m.d.comb += [
            word_left.eq(word.count - place),
            chunk.eq(word.data.as_value().word_select(place[len(lane) :], len(chunk.as_value()))),
        ]
        in_chunk = elements - lane
        count = self._count(m, in_chunk, word_left, group_left)
        step, word_last, packet_last, group_last = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            step.eq(self.words.valid & (~self.slices.valid | self.slices.ready)),
            # Of the three bounds of a slice, compared side by side: `count` comes later.
            word_last.eq((word_left <= in_chunk) & (word_left <= group_left)),
            packet_last.eq(word_last & word.last),
            group_last.eq(((group_left <= in_chunk) & (group_left <= word_left)) | packet_last),
            self.words.ready.eq(step & word_last),
        ]
        nonzero = Cat(element.any() for element in chunk)
        in_slice = below(lane + count, elements) & ~below(lane, elements)
        with m.If(self.slices.ready):
            m.d.sync += self.slices.valid.eq(0)
        with m.If(step):
            m.d.sync += [
                self.slices.valid.eq(1),
                piece.elements.eq(chunk),
                piece.kept.eq(in_slice & (nonzero | (~word.sparse).replicate(elements))),
                piece.group_first.eq(word.sparse & (group_left == WORD_ELEMENTS)),
                piece.group_last.eq(word.sparse & group_last),
                piece.turn.eq(WORD_ELEMENTS - group_left - lane),
                piece.last.eq(packet_last),
                piece.sparse.eq(word.sparse),
                place.eq(Mux(word_last, 0, place + count)),
            ]
            with m.If(word.sparse):  # a dense packet is one long group
                m.d.sync += group_left.eq(Mux(group_last, WORD_ELEMENTS, group_left - count))
        return m

    def _count(self, m: Module, in_chunk: Value, word_left: Value, group_left: Value) -> Value:
        """Elements of the next slice."""
        elements = self.config.codec_elements
        if elements == 1:
            return Const(1, 1)
        count = Signal(range(elements + 1))
        limits = [word_left, group_left]
        if elements < WORD_ELEMENTS:  # otherwise no word reaches further
            limits.append(in_chunk)
        m.d.comb += count.eq(least(*limits))
        return count
