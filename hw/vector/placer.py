"""The placer: where each beat of the vector unit goes."""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import CoreConfig
from hw.control.descriptor import OutputLayout
from hw.control.writer import Destination
from hw.vector.layouts import BeatTag


class PlaceCounter(wiring.Component):
    """Follows the beats through the output map: pixel after pixel, row after row.

    A place is a word address with the number of the slice of `post_lanes` elements in the word as its lowest bits, so
    that the next beat of a pixel lies in the next place.

    Ports: static `output`; `start` (pulse); `tag` of the beat that waits, `taken` (it leaves); its `destination`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "output": In(OutputLayout(config)),
                "start": In(1),
                "tag": In(BeatTag(config)),
                "taken": In(1),
                "destination": Out(Destination(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.config.post_lanes
        slice_bits = exact_log2(self.config.word_elements // lanes)
        place = Signal(slice_bits + self.config.activation_address_bits)
        row, pixel = Signal.like(place, name="row"), Signal.like(place, name="pixel")
        next_row, next_pixel = Signal.like(place), Signal.like(place)

        def places(words: Value) -> Value:
            return Cat(Const(0, slice_bits), words)

        m.d.comb += [
            next_row.eq(row + places(self.output.row_words)),
            next_pixel.eq(Mux(self.tag.row_end, next_row, pixel + places(self.output.pixel_words))),
            self.destination.address.eq(place[slice_bits:]),
            self.destination.slice.eq(place[:slice_bits]),
            self.destination.complete.eq(self.tag.pixel_end),
            self.destination.sequence.eq(self.tag.sequence),
        ]
        with m.If(self.taken):
            m.d.sync += place.eq(place + 1)
            with m.If(self.tag.pixel_end):
                m.d.sync += [place.eq(next_pixel), pixel.eq(next_pixel)]
                with m.If(self.tag.row_end):
                    m.d.sync += row.eq(next_row)
        with m.If(self.start):
            origin = places(self.output.base) + (self.output.first_channel >> exact_log2(lanes))
            m.d.sync += [register.eq(origin) for register in (place, pixel, row)]
        return m
