"""The encoder of a feature-map stream whose packets are all dense: an element a cycle."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.stream.layouts import FeatureBeat, PlainWord


class DenseEncoder(wiring.Component):
    """Activation words to dense packets of the feature-map stream.

    It takes the place of `SparseEncoder` in a core that stores dense packets only, with a tenth of the logic.

    Cycles: one for each element, within a packet and from one to the next, as long as beats are taken at once. Units
    behind a packet's end are zero.

    Ports
    -----
    words : In(stream), PlainWord
        `sparse` is 0. `ready` depends on the payload and on `beats.ready` in the same cycle.
    beats : Out(stream), FeatureBeat

    Attributes
    ----------
    latency : int
        Cycles from the last element that belongs to a beat to the beat.
    """

    latency = 1

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "words": In(stream.Signature(PlainWord(config))),
                "beats": Out(stream.Signature(FeatureBeat(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word, beat = self.words.payload, self.beats.payload
        place, unit = Signal(range(self.config.word_elements)), Signal(range(self.config.stream_units))
        word_ends, packet_ends, beat_ends, step = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            word_ends.eq(place == word.count - 1),
            packet_ends.eq(word_ends & word.last),
            beat_ends.eq(packet_ends | (unit == self.config.stream_units - 1)),
            step.eq(self.words.valid & (~self.beats.valid | self.beats.ready)),
            self.words.ready.eq(step & word_ends),
        ]
        with m.If(self.beats.ready):
            m.d.sync += self.beats.valid.eq(0)
        with m.If(step):
            m.d.sync += [
                place.eq(Mux(word_ends, 0, place + 1)),
                unit.eq(Mux(beat_ends, 0, unit + 1)),
                self.beats.valid.eq(beat_ends),
                beat.last.eq(packet_ends),
            ]
            for index, held in enumerate(beat.data):
                with m.If(unit == index):
                    m.d.sync += held.eq(word.data[place])
                with m.Elif(unit == 0):
                    m.d.sync += held.eq(0)
        return m
