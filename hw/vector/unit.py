"""The vector unit: assembles, nothing more."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor, Operation
from hw.control.units import unit_window
from hw.control.writer import Destination
from hw.memory.activation import activation_word, read_latency
from hw.memory.word_reader import WordReader, WordRequest
from hw.post.layouts import PostInput
from hw.stream.delay import delay
from hw.stream.register import path_cut
from hw.vector.adder import Adder
from hw.vector.gather import Gatherer
from hw.vector.layouts import WordTag
from hw.vector.pixels import PixelWalker
from hw.vector.placer import PlaceCounter
from hw.vector.walker import PositionWalker


class VectorUnit(wiring.Component):
    """Adds two feature maps, or sums or compares the elements of windows; the post-processor does the rest.

    ::

        pixel walker -> position walker -> reader -> gatherer --+----------> beats
                                            |                   +-> adder -> (addition)
                                    activation memory

    A unit is one output pixel. The output is made in raster order, for each pixel word after word, and for each word
    `post_lanes` elements a beat. The parameters of a beat are entry 0 of those of the layer, or, with
    `parameters_by_count`, entry n - 1 for n positions of the window inside the map.

    - `SUM`: of the elements of the positions inside the map.
    - `MAXIMUM`: the largest of them.
    - `ADD`: scale(a) + scale(b), both operands scaled as TensorFlow Lite's reference kernel does (`OperandScaler`).
      Windows of one element: `start` 0, `step` 1 and `taps_last` 0 on both axes.

    Each window needs at least one position inside the map, and as many at most as there are entries if they go by
    count. Arithmetic is modulo 2**32.

    Cycles from `start` to the last beat, if every stream is always ready and units can always be issued: number the
    words of the output map from 0 to N - 1, pixel after pixel; word i needs g(i) input words (positions of its window
    inside the map; 2 for an addition) and leaves in b(i) beats (16 / post_lanes, or beats_last + 1 for the last word of
    a pixel). The last beat is taken this many cycles after `start`::

        latency + g(0) + sum over i = 1 .. N - 1 of max(g(i), b(i - 1)) + b(N - 1)      (+ add_latency for an addition)

    A word of the memory is read in each cycle, however slow it answers: the reader is as deep as that takes.

    Parameters
    ----------
    config : CoreConfig

    Attributes
    ----------
    latency : int
        Bits of a coordinate + read_latency + 5, and 2 more in a large core.
    add_latency : int
        6

    Ports
    -----
    layer : In(LayerDescriptor(config))
        Static during the layer.
    start : In(1)
        A layer begins. The one before has left.
    busy : Out(1)
        High from the cycle after `start` until every output pixel has been issued.
    parity : In(1)
        Half of the parameter memory that the layer uses.
    can_issue, sequence, issue
        As in `PixelAllocator`: `issue` in a cycle with `can_issue` gives the next output pixel number `sequence`.
    request, response
        To the activation memory.
    beats : Out stream of PostInput(config, Destination(config))
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self._pixels = PixelWalker(config)
        self._adder = Adder(config)
        # The walker, the reader and the gatherer, less the cycles of the first word and of the first beat; two cuts.
        self.latency = self._pixels.latency + 1 + (read_latency(config) + 1) + 2 - 2 + 2 * config.large
        self.add_latency = self._adder.latency
        super().__init__(
            {
                "layer": In(LayerDescriptor(config)),
                "start": In(1),
                "busy": Out(1),
                "parity": In(1),
                "can_issue": In(1),
                "sequence": In(range(unit_window(config))),
                "issue": Out(1),
                "request": Out(stream.Signature(config.activation_address_bits)),
                "response": In(wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})),
                "beats": Out(stream.Signature(PostInput(config, Destination(config)))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pixels = pixels = self._pixels
        m.submodules.walker = walker = PositionWalker(self.config)
        m.submodules.gatherer = gatherer = Gatherer(self.config)
        # A copy of what is static, near its users. It comes a cycle late, when nothing uses it yet.
        layer = Signal(LayerDescriptor(self.config))
        m.d.sync += layer.eq(self.layer)
        m.d.comb += [
            pixels.output.eq(layer.output),
            pixels.vector.eq(layer.vector),
            pixels.start.eq(self.start),
            pixels.can_issue.eq(self.can_issue),
            pixels.sequence.eq(self.sequence),
            self.issue.eq(pixels.issue),
            self.busy.eq(pixels.busy),
        ]
        for part in (walker, gatherer):
            m.d.comb += [part.operation.eq(layer.operation), part.vector.eq(layer.vector)]
        connect(m, producer=pixels.units, consumer=walker.units)
        self._read(m, walker, gatherer)
        self._present(m, layer, gatherer)
        return m

    def _read(self, m: Module, walker: PositionWalker, gatherer: Gatherer) -> None:
        # Enough for a word a cycle: a place is free again a cycle, or in a large core two, after its word has left.
        depth = max(self.config.fetch_depth, read_latency(self.config) + 2 + self.config.large)
        m.submodules.reader = reader = WordReader(self.config.with_changes(fetch_depth=depth), WordTag(self.config))
        # Cuts the path from the memory's arbiters to the walker's counters.
        m.submodules.cut = cut = path_cut(self.config, WordRequest(self.config, WordTag(self.config)))
        connect(m, producer=walker.requests, consumer=cut.i)
        connect(m, producer=cut.o, consumer=reader.requests)
        connect(m, producer=reader.request, consumer=flipped(self.request))
        connect(m, producer=flipped(self.response), consumer=reader.response)
        connect(m, producer=reader.words, consumer=gatherer.words)

    def _present(self, m: Module, layer: data.View, gatherer: Gatherer) -> None:
        """Beats of the gatherer, or of the adder behind it."""
        config = self.config
        # Cuts the path from the post-processor, where it leads to all registers of the gatherer and of the adder.
        m.submodules.beats_cut = cut = path_cut(config, PostInput(config, Destination(config)))
        connect(m, producer=cut.o, consumer=flipped(self.beats))
        beats, post = cut.i, cut.i.payload
        m.submodules.adder = adder = self._adder
        m.submodules.places = places = PlaceCounter(config)
        adds = Signal()
        m.d.sync += adds.eq(self.layer.operation == Operation.ADD)
        gathered, added = gatherer.beats, adder.o
        m.d.comb += [
            adder.vector.eq(layer.vector),
            adder.i.payload.eq(gathered.payload),
            adder.i.valid.eq(gathered.valid & adds),
            adder.o.ready.eq(beats.ready),
            # What the adder does, but with few inputs: much depends on it.
            gathered.ready.eq(beats.ready | (adds & ~added.valid)),
            beats.valid.eq(Mux(adds, added.valid, gathered.valid)),
            places.output.eq(layer.output),
            places.start.eq(delay(m, self.start, 1, name="start", reset_less=False)),
            places.tag.eq(Mux(adds, Value.cast(added.payload.tag), Value.cast(gathered.payload.tag))),
            places.taken.eq(beats.valid & beats.ready),
            post.parameters.eq(Mux(self.parity, config.groups * config.post_beats, 0) + places.tag.entry),
            post.pool_first.eq(1),
            post.pool_last.eq(1),
            post.destination.eq(places.destination),
        ]
        pairs = zip(gathered.payload.values, added.payload.sums, strict=True)
        m.d.comb += [into.eq(Mux(adds, s, v)) for into, (v, s) in zip(post.accumulators, pairs, strict=True)]
