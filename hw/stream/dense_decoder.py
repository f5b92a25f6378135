"""The decoder of a feature-map stream whose packets are all dense: an element a cycle."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.stream.layouts import DecodedWord, FeatureBeat, Segment


class DenseDecoder(wiring.Component):
    """Dense packets of the feature-map stream to activation words, each pixel in words of its own.

    It takes the place of `SparseDecoder` in a core that loads dense packets only, with a tenth of the logic. A beat of
    `words` carries one element. The first of a word enables the whole of it, the other elements as zeros, so that what
    the pixel leaves over is zero.

    Cycles, as long as `words` is ready: one for each element, within a packet and from one to the next.

    Ports
    -----
    segments : In(stream), Segment
        One for each packet; `sparse` is 0.
    beats : In(stream), FeatureBeat
        The packets. `ready` depends on `words.ready` in the same cycle.
    words : Out(stream), DecodedWord
    error : Out(1)
        A packet was shorter or longer than its segment. Set until reset; nothing more is consumed.

    Attributes
    ----------
    latency : int
        Cycles from a packet's first beat to its first element, if its segment is there.
    """

    latency = 1

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
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
        segment, active = Signal(Segment(self.config)), Signal()
        elements = self.config.word_elements
        channel, place = Signal.like(segment.channels), Signal(range(elements))
        last_channel, packet_ends, step = Signal(), Signal(), Signal()
        unit, any_left, beat_ends, last_beat = self._units(m, step, packet_ends)
        word = self.words.payload
        m.d.comb += [
            last_channel.eq(channel == segment.channels - 1),
            packet_ends.eq(last_channel & (segment.pixels == 1)),
            self.words.valid.eq(active & any_left & ~self.error),
            step.eq(self.words.valid & self.words.ready),
            word.word_last.eq(last_channel | (place == elements - 1)),
            word.last.eq(packet_ends),
            word.enable.eq(Mux(place == 0, (1 << elements) - 1, 1 << place)),
            self.segments.ready.eq(~active | (step & packet_ends)),
        ]
        for index, element in enumerate(word.data):
            m.d.comb += element.eq(unit if index == 0 else Mux(place == 0, 0, unit))
        with m.If(step):
            m.d.sync += [channel.eq(channel + 1), place.eq(place + 1)]
            with m.If(last_channel):
                m.d.sync += [channel.eq(0), place.eq(0), segment.pixels.eq(segment.pixels - 1)]
            with m.If(packet_ends):
                m.d.sync += active.eq(0)
        with m.If(self.segments.valid & self.segments.ready):
            m.d.sync += [segment.eq(self.segments.payload), active.eq(1)]
        # A packet ends with the beat of its last element, and with no other.
        with m.If(step & Mux(packet_ends, ~last_beat, last_beat & beat_ends)):
            m.d.sync += self.error.eq(1)
        return m

    def _units(self, m: Module, step: Value, packet_ends: Value) -> tuple[Value, Value, Value, Value]:
        """The next unit; whether there is one, it is the last of its beat, and that is the last of its packet."""
        units = Signal(len(self.beats.payload.data.as_value()))
        left, last_beat, ends = Signal(range(self.config.stream_units + 1)), Signal(), Signal()
        unit = units[: self.config.activation_bits]
        m.d.comb += [
            ends.eq(left == 1),
            self.beats.ready.eq((left == 0) | (step & (ends | packet_ends))),
        ]
        with m.If(step):
            m.d.sync += [units.eq(units >> len(unit)), left.eq(Mux(packet_ends, 0, left - 1))]
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += [
                units.eq(self.beats.payload.data.as_value()),
                left.eq(self.config.stream_units),
                last_beat.eq(self.beats.payload.last),
            ]
        return unit, left != 0, ends, last_beat
