"""The segment collector: results of many pixels of one map become results of many maps of one pixel."""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal, signed
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.control.result_slicer import ResultSlice, ResultSlicer
from hw.control.sparse_layout import map_beats
from hw.control.units import UnitTag, unit_window
from hw.control.writer import Destination
from hw.mac.operands import Results
from hw.memory.arbiter import RotatingArbiter, one_hot_mux
from hw.memory.two_port_memory import TwoPortMemory
from hw.post.layouts import PostInput


class SegmentCollector(wiring.Component):
    """Transposes the results of the `rsnn` dataflow, segment by segment, with room for two segments.

    ::

        results (G) --> slicer (G) --> choose --> rotate --> banks --> rotate --> beats

    A group's result is one map for up to `lanes` pixels; in a `shared` layer `lanes` maps of the only pixel. Of the
    `post_lanes` banks, pixel p of map m lies in bank (m + p) mod post_lanes: neighbouring pixels of a map are
    written at once, and neighbouring maps of a pixel read at once. One slice of `post_lanes` pixels is taken a
    cycle, from any group, and one beat of `post_lanes` maps given; a segment is given out when all its slices are
    there, while the next one's are taken. A segment's pixels are issued to the retirement then.

    Ports: static `layer`, `map_beats_last` (beats of a pixel in this pass, less one), `parity` (half of the parameter
    memory), `first_channel` (output channel of map 0 of the pass); `start` (pulse), `busy` (until all segments of the
    pass have been given out); `can_issue_run`, `sequence`, `issue` to the retirement; `results` In, one a group;
    `beats` Out.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "layer": In(LayerDescriptor(config)),
                "map_beats_last": In(range(map_beats(config))),
                "parity": In(1),
                "first_channel": In(range(config.max_channels + 1)),
                "start": In(1),
                "busy": Out(1),
                "can_issue_run": In(1),
                "sequence": In(range(unit_window(config))),
                "issue": Out(range(config.longest_run + 1)),
                "results": In(stream.Signature(Results(config, UnitTag(config)))).array(config.groups),
                "beats": Out(stream.Signature(PostInput(config, Destination(config)))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        lanes = config.post_lanes
        pixel_bits = ceil_log2(config.lanes)
        # A pass of one pixel may have more maps: their rows go on where the rows of further pixels are otherwise.
        beat_bits = self._beat_bits = ceil_log2(-(-config.groups * config.accumulators // lanes))
        self._pixel_bits = max(pixel_bits, ceil_log2(lanes))
        shape = signed(config.accumulator_bits)
        depth = 2 << (self._pixel_bits + beat_bits)
        stores = [TwoPortMemory(shape, depth) for _ in range(lanes)]
        for bank, store in enumerate(stores):
            m.submodules[f"bank_{bank}"] = store
        # Segments, modulo 4: the one that is given out next; those that are there whole, by their lowest bit.
        head, complete, given = Signal(2), Signal(2), Signal()
        self._take(m, stores, head, complete, given, beat_bits)
        self._give(m, stores, head, complete, given)
        return m

    def _take(
        self, m: Module, stores: list[TwoPortMemory], head: Value, complete: Value, given: Value, beat_bits: int
    ) -> None:
        """Slices of the two segments from `head` on, into the banks."""
        config, sparse = self.config, self.layer.sparse
        lanes = config.post_lanes
        m.submodules.arbiter = arbiter = RotatingArbiter(config.groups)
        slices = []
        for group, result in enumerate(self.results):
            m.submodules[f"slicer_{group}"] = slicer = ResultSlicer(config)
            connect(m, producer=flipped(result), consumer=slicer.results)
            m.d.comb += [
                slicer.beats_last.eq(sparse.slice_beats_last),
                arbiter.requests[group].eq(slicer.slices.valid & ~(slicer.slices.payload.tag.segment - head)[:2][1]),
                slicer.slices.ready.eq(arbiter.grant[group]),
            ]
            slices.append(Value.cast(slicer.slices.payload))
        taken, comes = Signal(ResultSlice(config)), Signal()
        m.d.comb += arbiter.accept.eq(1)
        m.d.sync += [
            comes.eq(arbiter.requests.any() & ~self.start),
            Value.cast(taken).eq(one_hot_mux(arbiter.grant, slices)),
        ]
        shift = ceil_log2(lanes)
        half = taken.tag.segment[0]
        shared = sparse.shared if config.shares_lanes else Const(0)
        number = Signal(range(config.groups * max(config.accumulators, config.lanes)))
        m.d.comb += number.eq(Mux(shared, taken.tag.map * config.lanes + taken.beat * lanes, taken.tag.map))
        row = number[shift:]
        # Lanes that a group's last slice really has, if it is not full.
        rest = config.lanes % lanes
        partial = shared & (taken.beat == config.post_beats - 1) if rest else Const(0)
        turned = _rotated(list(taken.accumulators), (lanes - number[:shift])[:shift])
        for bank, store in enumerate(stores):
            within = (bank - number[:shift])[:shift]
            place = Signal(self._pixel_bits + beat_bits, name=f"place_{bank}")
            pixel = Signal(self._pixel_bits, name=f"pixel_{bank}")
            m.d.comb += [
                pixel.eq(Cat(within, taken.beat)),
                # Maps that come round to the first banks again lie a row further.
                place.eq(Mux(shared, row + (bank < number[:shift]), Cat(row[:beat_bits], pixel))),
                store.write.address.eq(Cat(place, half)),
                store.write.data.eq(turned[bank]),
                store.write.enable.eq(comes & ~(partial & (within >= rest))),
            ]
        counts = [Signal.like(sparse.slices_last, name=f"slices_{index}") for index in range(2)]
        for index, count in enumerate(counts):
            hit = comes & (half == index)
            with m.If(hit):
                m.d.sync += count.eq(count + 1)
                with m.If(count == sparse.slices_last):
                    m.d.sync += [count.eq(0), complete[index].eq(1)]
            with m.If(given & (head[0] == index)):
                m.d.sync += complete[index].eq(0)
            with m.If(self.start):
                m.d.sync += [count.eq(0), complete[index].eq(0)]

    def _give(self, m: Module, stores: list[TwoPortMemory], head: Value, complete: Value, given: Value) -> None:
        """Pixel by pixel, beat by beat; a beat leaves the banks' registers a cycle after it was read."""
        sparse = self.layer.sparse
        pixel, beat = Signal(self._pixel_bits), Signal.like(self.map_beats_last)
        pixels_last, active, advance, read = Signal.like(sparse.pixels_last), Signal(), Signal(), Signal()
        number, address = Signal.like(self.sequence), Signal.like(self.layer.output.base)
        last_beat, last_pixel = beat == self.map_beats_last, pixel == pixels_last
        begin = self._issue_segments(m, head, complete, active, pixels_last, given)
        m.d.comb += [
            advance.eq(~self.beats.valid | self.beats.ready),
            read.eq(active & advance),
            given.eq(read & last_beat & last_pixel),
        ]
        with m.If(begin):
            m.d.sync += [active.eq(1), number.eq(self.sequence)]
        with m.If(read):
            m.d.sync += beat.eq(Mux(last_beat, 0, beat + 1))
            with m.If(last_beat):
                m.d.sync += [
                    pixel.eq(Mux(last_pixel, 0, pixel + 1)),
                    number.eq(number + 1),
                    address.eq(address + self.layer.output.pixel_words),
                ]
        with m.If(given):
            m.d.sync += [active.eq(0), head.eq(head + 1)]
        with m.If(self.start):
            m.d.sync += [active.eq(0), head.eq(0), address.eq(self.layer.output.base)]
        self._present(m, stores, head, pixel, beat, number, address, last_beat, advance, read)

    def _issue_segments(
        self, m: Module, head: Value, complete: Value, active: Value, pixels_last: Value, given: Value
    ) -> Value:
        """Which segment is given out next, and how many pixels it has; returns whether it begins."""
        sparse = self.layer.sparse
        left, line, begin = Signal.like(sparse.line_last), Signal.like(sparse.lines_last), Signal()
        ends_line = left <= sparse.pixels_last
        pixels = Mux(ends_line, left, sparse.pixels_last)
        m.d.comb += [
            begin.eq(self.busy & ~active & complete.bit_select(head[0], 1) & self.can_issue_run),
            self.issue.eq(Mux(begin, pixels + 1, 0)),
        ]
        done = Signal()
        with m.If(begin):
            m.d.sync += [pixels_last.eq(pixels), left.eq(left - sparse.pixels_last - 1)]
            with m.If(ends_line):
                m.d.sync += [left.eq(sparse.line_last), line.eq(line + 1), done.eq(line == sparse.lines_last)]
        with m.If(given & done):
            m.d.sync += self.busy.eq(0)
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), left.eq(sparse.line_last), line.eq(0), done.eq(0)]
        return begin

    def _present(
        self,
        m: Module,
        stores: list[TwoPortMemory],
        head: Value,
        pixel: Value,
        beat: Value,
        number: Value,
        address: Value,
        last_beat: Value,
        advance: Value,
        read: Value,
    ) -> None:
        config, post = self.config, self.beats.payload
        lanes = config.post_lanes
        channel = self.first_channel + beat * lanes
        turn: Signal = Signal(ceil_log2(lanes))
        for store in stores:
            place = Cat(beat[: self._beat_bits], pixel | beat[self._beat_bits :])[: self._beat_bits + self._pixel_bits]
            m.d.comb += [store.read.address.eq(Cat(place, head[0])), store.read.enable.eq(read)]
        with m.If(advance):
            m.d.sync += [
                self.beats.valid.eq(read),
                turn.eq(pixel),
                post.parameters.eq(Mux(self.parity, config.groups * config.post_beats, 0) + beat),
                post.destination.address.eq(address + channel // config.word_elements),
                post.destination.slice.eq(channel % config.word_elements // lanes),
                post.destination.complete.eq(last_beat),
                post.destination.sequence.eq(number),
            ]
        m.d.comb += [post.pool_first.eq(1), post.pool_last.eq(1)]
        turned = _rotated([store.read.data for store in stores], turn)
        m.d.comb += [into.eq(value) for into, value in zip(post.accumulators, turned, strict=True)]


def _rotated(values: list[Value], amount: Value) -> list[Value]:
    """Place b takes value (b + amount) mod their number, a power of two."""
    for level in range(len(amount)):
        shifted = [values[(place + (1 << level)) % len(values)] for place in range(len(values))]
        values = [Mux(amount[level], other, value) for value, other in zip(values, shifted, strict=True)]
    return values
