"""The slicer: from the shape of a packet to the slices in which the decoder works."""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.stream.bits import below, least
from hw.stream.layouts import Segment

POSITION_BITS = ceil_log2(WORD_ELEMENTS)
"""Width of the place of an element in an activation word or in a group, which have equally many."""


class Slice(data.StructLayout):
    """Up to `codec_elements` elements of one group and one activation word.

    `mask`: one bit an element, the lower ones set; `count`: their number, modulo 16; `skip_map`: they are the
    packet's first ones, and a map comes before them; `fetch_map`: another group follows them, with its map;
    `start`, `end`: place in the word of the first element, and of the one after the last, modulo 16;
    `word_last`, `last`: the word, the packet ends with them; `sparse`: the packet is in sparse form.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "mask": config.codec_elements,
                "count": POSITION_BITS,
                "skip_map": 1,
                "fetch_map": 1,
                "start": POSITION_BITS,
                "end": POSITION_BITS,
                "word_last": 1,
                "last": 1,
                "sparse": 1,
            }
        )


class Slicer(wiring.Component):
    """Cuts packets into slices, knowing only their shape. Latency 1; one slice a cycle, across packets too.

    A slice has as many elements as possible: `codec_elements`, but no more than are left in the activation
    word, in the pixel and, in sparse form, in the group.

    Ports: `segments` In: `Segment`; `slices` Out: `Slice`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "segments": In(stream.Signature(Segment(config))),
                "slices": Out(stream.Signature(Slice(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        asked, piece = self.segments.payload, self.slices.payload
        segment = Signal(asked.shape())
        active, step, last, packet_first = Signal(), Signal(), Signal(), Signal()
        word_left, group_left = Signal(POSITION_BITS + 1), Signal(POSITION_BITS + 1)
        start = Signal(POSITION_BITS)
        count = self._count(m, word_left, group_left)
        # Of the three bounds of a slice, compared side by side: `count` comes later.
        elements = self.config.codec_elements
        word_last = (word_left <= elements) & (word_left <= group_left)
        group_last = (group_left <= elements) & (group_left <= word_left)
        packet_ends = self._walk_words(m, segment, word_left, step & word_last)
        m.d.comb += [
            step.eq(active & (~self.slices.valid | self.slices.ready)),
            last.eq(word_last & packet_ends),
            self.segments.ready.eq(~active | (step & last)),
        ]
        with m.If(self.slices.ready):
            m.d.sync += self.slices.valid.eq(0)
        with m.If(step):
            m.d.sync += [
                self.slices.valid.eq(1),
                piece.mask.eq(below(count, self.config.codec_elements)),
                piece.count.eq(count),
                piece.skip_map.eq(segment.sparse & packet_first),
                piece.fetch_map.eq(segment.sparse & group_last & ~last),
                piece.start.eq(start),
                piece.end.eq(start + count),
                piece.word_last.eq(word_last),
                piece.last.eq(last),
                piece.sparse.eq(segment.sparse),
                packet_first.eq(0),
                start.eq(Mux(word_last, 0, start + count)),
            ]
            with m.If(~word_last):
                m.d.sync += word_left.eq(word_left - count)
            with m.If(segment.sparse):  # a dense packet is one long group
                m.d.sync += group_left.eq(Mux(group_last, WORD_ELEMENTS, group_left - count))
        with m.If(self.segments.ready):
            m.d.sync += [
                active.eq(self.segments.valid),
                segment.eq(asked),
                packet_first.eq(1),
                group_left.eq(WORD_ELEMENTS),
            ]
        return m

    def _count(self, m: Module, word_left: Value, group_left: Value) -> Value:
        """Elements of the next slice."""
        elements = self.config.codec_elements
        if elements == 1:
            return Const(1, 1)
        count = Signal(range(elements + 1))
        m.d.comb += count.eq(least(Const(elements, POSITION_BITS + 1), word_left, group_left))
        return count

    def _walk_words(self, m: Module, segment: data.View, word_left: Signal, word_done: Value) -> Value:
        """Go from word to word and from pixel to pixel; the result: no word comes after this one."""
        asked = self.segments.payload
        pixels_left = Signal.like(segment.pixels)
        channels_left = Signal(max(len(segment.channels), len(word_left)))  # of the pixel, behind this word
        pixel_ends = channels_left == 0
        channels = Mux(pixel_ends, segment.channels, channels_left)
        with m.If(word_done | self.segments.ready):
            self._cut_word(m, Mux(self.segments.ready, asked.channels, channels), word_left, channels_left)
        with m.If(self.segments.ready):
            m.d.sync += pixels_left.eq(asked.pixels)
        with m.Elif(word_done & pixel_ends):
            m.d.sync += pixels_left.eq(pixels_left - 1)
        return pixel_ends & (pixels_left == 1)

    @staticmethod
    def _cut_word(m: Module, channels: Value, word_left: Signal, channels_left: Signal) -> None:
        """The next word has as many of the channels as it can hold."""
        words, tail = channels[POSITION_BITS:], channels[:POSITION_BITS]
        with m.If(words.any()):
            m.d.sync += [word_left.eq(WORD_ELEMENTS), channels_left.eq(Cat(tail, words - 1))]
        with m.Else():
            m.d.sync += [word_left.eq(tail), channels_left.eq(0)]
