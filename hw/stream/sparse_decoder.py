"""The decoder of the feature-map stream: packets, sparse or dense, to activation words."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.stream.bits import count_ones
from hw.stream.expander import Expander
from hw.stream.layouts import DecodedWord, FeatureBeat, Segment
from hw.stream.register import path_cut
from hw.stream.slicer import Slice, Slicer
from hw.stream.unit_window import UnitWindow


class SparseDecoder(wiring.Component):
    """Packets of the feature-map stream to activation words, each pixel in words of its own.

    ::

        segments --> slicer --slices--+--> map bits --nonzero--> expander --> words
                                      |       |                     ^
        beats -----> unit window -----+-------+------- columns -----+

    A beat of `words` carries min(`codec_elements`, elements left in the activation word, in the pixel and, in
    sparse form, in the group of 16). The beat that completes a word also enables the rest of the word, as
    zeros.

    Cycles, as long as `words` is ready: one for each beat of `words`, within a packet and from one to the
    next, but at most one row of input (`row_units`: a beat, or several if a beat has less than
    `codec_elements` units) is left behind in a cycle. A beat of `words` may use up two rows, a packet's last
    one three: then a cycle follows for each row more than one. A beat of `words` waits until all is there
    that it could need, which is a row ahead or the packet's last row.

    Ports
    -----
    segments : In(stream), Segment
        One for each packet.
    beats : In(stream), FeatureBeat
        The packets. Those of the next packet may wait there already. No combinational path leads to `ready`.
    words : Out(stream), DecodedWord
    error : Out(1)
        A packet was shorter or longer than its segment. Set until reset; nothing more is consumed, and
        `words` ends after what was on its way.

    Attributes
    ----------
    latency : int
        Cycles from the last beat of a packet of one row to its first word.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self._window = UnitWindow(config)
        self._expander = Expander(config)
        self.latency = self._window.latency + self._expander.latency
        super().__init__(
            {
                "segments": In(stream.Signature(Segment(config))),
                "beats": In(stream.Signature(FeatureBeat(config))),
                "words": Out(stream.Signature(DecodedWord(config))),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.slicer = slicer = Slicer(self.config)
        m.submodules.window = window = self._window
        m.submodules.expander = expander = self._expander
        # The slicer runs ahead of the beats, so a register costs no time.
        m.submodules.slices = slices = path_cut(self.config, Slice(self.config))
        connect(m, producer=flipped(self.segments), consumer=slicer.segments)
        connect(m, producer=slicer.slices, consumer=slices.i)
        connect(m, producer=flipped(self.beats), consumer=window.beats)
        connect(m, producer=expander.words, consumer=flipped(self.words))

        piece = slices.o.payload
        packed = expander.slices.payload
        group_map = Signal(WORD_ELEMENTS)  # of the group under way, from its next element on
        step = Signal()
        count = count_ones(m, list(packed.nonzero))
        m.d.comb += [
            expander.slices.valid.eq(slices.o.valid & window.filled),
            step.eq(expander.slices.valid & expander.slices.ready),
            slices.o.ready.eq(window.filled & expander.slices.ready),
            packed.nonzero.eq((group_map | (~piece.sparse).replicate(WORD_ELEMENTS)) & piece.mask),
            packed.columns.eq(window.columns),
            packed.offset.eq(window.offset),
            packed.start.eq(piece.start),
            packed.end.eq(piece.end),
            packed.word_last.eq(piece.word_last),
            packed.last.eq(piece.last),
            window.take.eq(step),
            window.taken.eq(packed.nonzero),
            window.skip_map.eq(piece.skip_map),
            window.fetch_map.eq(piece.fetch_map),
            window.group_values.eq(count),
            window.close.eq(piece.last),
            self.error.eq(window.error),
        ]
        with m.If(window.map_valid):
            m.d.sync += group_map.eq(window.map)
        with m.Elif(step):
            m.d.sync += group_map.eq(group_map >> (1 if self.config.codec_elements == 1 else piece.count))
        if self.config.codec_elements == WORD_ELEMENTS:
            # Counting all of a map would leave no time to look up the next one in the same cycle.
            values_left = Signal(range(WORD_ELEMENTS + 1))
            m.d.comb += window.group_values.eq(values_left)
            with m.If(window.map_valid):
                m.d.sync += values_left.eq(window.map_values)
            with m.Elif(step):
                m.d.sync += values_left.eq(values_left - count)
        return m
