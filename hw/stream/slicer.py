"""The slicer: from the shape of a packet to the slices in which the decoder works."""

from __future__ import annotations

from amaranth import Const, Mux, Signal
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

    `mask`: one bit an element, the lower ones set; `count`: their number, modulo 16; `group_first`: the
    sparsity map of their group comes before them; `start`, `end`: place in the word of the first element, and
    of the one after the last, modulo 16; `word_last`, `last`: the word, the packet ends with them; `sparse`:
    the packet is in sparse form.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "mask": config.codec_elements,
                "count": POSITION_BITS,
                "group_first": 1,
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
        segment = Signal(self.segments.payload.shape())
        active, step = Signal(), Signal()
        pixels_left = Signal.like(segment.pixels)
        channels_left = Signal.like(segment.channels)
        word_position, group_position = Signal(POSITION_BITS), Signal(POSITION_BITS)
        count = self._count(m, channels_left, word_position, group_position)
        word_end, group_end = Signal(POSITION_BITS + 1), Signal(POSITION_BITS)
        pixel_last, word_last, last = Signal(), Signal(), Signal()
        m.d.comb += [
            step.eq(active & (~self.slices.valid | self.slices.ready)),
            word_end.eq(word_position + count),
            group_end.eq(Mux(segment.sparse, group_position + count, 0)),
            pixel_last.eq(channels_left == count),
            word_last.eq(pixel_last | word_end[-1]),
            last.eq(pixel_last & (pixels_left == 1)),
            self.segments.ready.eq(~active | (step & last)),
        ]
        with m.If(self.slices.ready):
            m.d.sync += self.slices.valid.eq(0)
        with m.If(step):
            m.d.sync += [
                self.slices.valid.eq(1),
                self.slices.payload.mask.eq(below(count, self.config.codec_elements)),
                self.slices.payload.count.eq(count),
                self.slices.payload.group_first.eq(segment.sparse & (group_position == 0)),
                self.slices.payload.start.eq(word_position),
                self.slices.payload.end.eq(word_end),
                self.slices.payload.word_last.eq(word_last),
                self.slices.payload.last.eq(last),
                self.slices.payload.sparse.eq(segment.sparse),
                word_position.eq(Mux(word_last, 0, word_end)),
                group_position.eq(group_end),
                channels_left.eq(Mux(pixel_last, segment.channels, channels_left - count)),
                pixels_left.eq(pixels_left - pixel_last),
            ]
        with m.If(self.segments.ready):
            m.d.sync += [
                active.eq(self.segments.valid),
                segment.eq(self.segments.payload),
                pixels_left.eq(self.segments.payload.pixels),
                channels_left.eq(self.segments.payload.channels),
                word_position.eq(0),
                group_position.eq(0),
            ]
        return m

    def _count(self, m: Module, channels_left: Value, word_position: Value, group_position: Value) -> Value:
        """Elements of the next slice. A dense packet stays at group position 0, so its groups never end."""
        elements = self.config.codec_elements
        if elements == 1:
            return Const(1, 1)
        count = Signal(range(elements + 1))
        near = Mux(channels_left > elements, elements, channels_left)
        m.d.comb += count.eq(least(near, WORD_ELEMENTS - word_position, WORD_ELEMENTS - group_position))
        return count
