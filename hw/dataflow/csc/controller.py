"""A controller: everything between a run of outputs and the operands of one group."""

from __future__ import annotations

from amaranth import Array, Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.control.units import UnitTag
from hw.dataflow.csc.fetcher import WindowFetcher
from hw.dataflow.csc.layouts import Column, Run, window_pointer, window_vector
from hw.dataflow.csc.walker import ColumnWalker
from hw.mac.operands import Operands
from hw.memory.activation import activation_word
from hw.memory.two_port_memory import TwoPortMemory
from hw.memory.weights import weights_port
from hw.stream.register import StreamRegister


class Controller(wiring.Component):
    """Holds the words under a window, and reads one of them and a weight word for each tap.

    ::

        runs --+--> fetcher --> activation memory --> sign --> window memory --+--> operands
               +--> next run --> column walker --> column --> taps ------------+
                                                                |  ^
                                                            weight memory

    Of a word, the `lanes` activations that belong to the group are kept, as signed distances from the zero point: the
    stored byte s means s - 2**b where s > `threshold`, else s. Cycles of a run: its taps inside the map, if the words
    come in time. The fetcher works up to a run ahead.

    Ports: static `layer`, `weights_base`, `channel` (of lane 0, in the input); `runs` In stream of `Run`; `request` and
    `response` to the activation memory; `weights` to the group's weight memory; `operands` Out stream, of which the
    weights are left to whoever has the memory's data.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        response = wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})
        super().__init__(
            {
                "layer": In(LayerDescriptor(config)),
                "weights_base": In(config.weight_address_bits),
                "channel": In(range(config.max_channels + 1)),
                "runs": In(stream.Signature(Run(config))),
                "request": Out(stream.Signature(config.activation_address_bits)),
                "response": In(response),
                "weights": Out(weights_port(config)),
                "operands": Out(stream.Signature(Operands(config, UnitTag(config)))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.fetcher = fetcher = WindowFetcher(config)
        m.submodules.walker = walker = ColumnWalker(config)
        m.submodules.next_run = next_run = StreamRegister(Run(config))
        m.submodules.column = column = StreamRegister(Column(config))
        # Static during a pass, and there two cycles before it: in a large core each controller has a copy nearby.
        domain = m.d.sync if config.large else m.d.comb
        part = Signal(range(WORD_ELEMENTS // config.lanes))
        domain += [
            fetcher.input.eq(self.layer.input),
            fetcher.window.eq(self.layer.window),
            fetcher.offset.eq(self.channel // WORD_ELEMENTS),
            part.eq(self.channel % WORD_ELEMENTS // config.lanes),
            walker.input.eq(self.layer.input),
            walker.window.eq(self.layer.window),
            walker.pixel_words.eq(self.layer.output.pixel_words),
            walker.weights_base.eq(self.weights_base),
        ]
        for taker, other in ((fetcher.runs, next_run.i), (next_run.i, fetcher.runs)):
            m.d.comb += [taker.payload.eq(self.runs.payload), taker.valid.eq(self.runs.valid & other.ready)]
        m.d.comb += self.runs.ready.eq(fetcher.runs.ready & next_run.i.ready)
        connect(m, producer=next_run.o, consumer=walker.runs)
        connect(m, producer=walker.columns, consumer=column.i)
        connect(m, producer=fetcher.request, consumer=flipped(self.request))
        m.submodules.window = window = TwoPortMemory(window_vector(config), config.window_depth)
        arrived = self._keep_words(m, window, part)
        self._issue(m, column.o, window, arrived, fetcher.released)
        return m

    def _keep_words(self, m: Module, window: TwoPortMemory, part: Value) -> Value:
        """Write what comes into the window; returns how many words have come, as a pointer."""
        lanes, word = self.config.lanes, self.response.data
        arrived = Signal(window_pointer(self.config))
        parts = [Cat(word[at : at + lanes]) for at in range(0, WORD_ELEMENTS, lanes)]
        kept = data.View(data.ArrayLayout(self.config.activation_bits, lanes), Array(parts)[part])
        threshold = Signal.like(self.layer.input.threshold)
        m.d.sync += threshold.eq(self.layer.input.threshold)
        m.d.comb += [
            window.write.address.eq(arrived),
            window.write.enable.eq(self.response.valid),
            window.write.data.eq(Cat(Cat(stored, stored > threshold) for stored in kept)),
        ]
        m.d.sync += arrived.eq(arrived + self.response.valid)
        return arrived

    def _issue(
        self, m: Module, columns: stream.Interface, window: TwoPortMemory, arrived: Value, released: Value
    ) -> None:
        """Row by row of a column: read its word and its weights, and give both to the array a cycle later."""
        column, operands = columns.payload, self.operands.payload
        row = Signal.like(column.rows_last)
        word = Signal.like(column.word)
        there, ready, issued, column_done = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            word.eq(column.word + row),
            # Words come in order, and none is further ahead or behind than the window holds.
            there.eq(~(arrived - word - 1)[len(word) - 1]),
            ready.eq(~self.operands.valid | self.operands.ready),
            issued.eq(columns.valid & there & ready),
            column_done.eq(row == column.rows_last),
            columns.ready.eq(issued & column_done),
            released.eq(issued & column.release),
            window.read.address.eq(word),
            window.read.enable.eq(issued),
            self.weights.address.eq(column.weights + row),
            self.weights.enable.eq(ready),
            Value.cast(operands.activations).eq(window.read.data),
            operands.weights.eq(self.weights.data),
            operands.mask.eq(Const(-1, len(operands.mask))),
        ]
        with m.If(issued):
            m.d.sync += row.eq(Mux(column_done, 0, row + 1))
        with m.If(ready):
            m.d.sync += [
                self.operands.valid.eq(columns.valid & there),
                operands.first.eq(column.first & (row == 0)),
                operands.last.eq(column.last & column_done),
                operands.tag.eq(column.tag),
            ]
