"""A controller: everything between a run of outputs and the operands of one group."""

from __future__ import annotations

from typing import Any

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.control.units import UnitTag
from hw.dataflow.csc.edge_walker import EdgeWalker
from hw.dataflow.csc.fetcher import WindowFetcher
from hw.dataflow.csc.layouts import Column, Run
from hw.dataflow.csc.walker import ColumnWalker
from hw.dataflow.csc.window import WindowMemory
from hw.mac.operands import Operands
from hw.memory.activation import activation_word
from hw.memory.weights import weights_port
from hw.stream.register import StreamRegister


class Controller(wiring.Component):
    """Holds the vectors under a window, and reads one or two of them and a weight word for each operation.

    ::

        runs --+--> fetcher --> activation memory ------------------------> window memory --+--> operands
               +--> next run --> column walker --> column --> edge walker -----^            |
                                                                   +--> weight memory ------+

    Cycles of a run: its operations (see `EdgeWalker`), if the vectors come in time. The fetcher works up to a run
    ahead.

    Ports: static `layer`, `weights_base`; `start`, `rounds_last`: channel of the group's first block of maps, and index
    of its last one; `channel_groups`: blocks from one of its blocks to the next; `runs` In stream of `Run`; `request`
    and `response` to the activation memory; `weights` to the group's weight memory; `operands` Out stream.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        response = wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})
        super().__init__(
            {
                "layer": In(LayerDescriptor(config)),
                "weights_base": In(config.weight_address_bits),
                "start": In(range(config.max_channels)),
                "rounds_last": In(range(config.max_rounds)),
                "channel_groups": In(range(config.groups + 1)),
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
        m.submodules.edge_walker = edge_walker = EdgeWalker(config)
        m.submodules.window = window = WindowMemory(config)
        m.submodules.next_run = next_run = StreamRegister(Run(config))
        m.submodules.column = column = StreamRegister(Column(config))
        layer, edges = self.layer, self.layer.edges
        # Static during a pass, and there before its first run: in a large core each controller has a copy nearby.
        domain = m.d.sync if config.large else m.d.comb
        bits = exact_log2(config.lanes)
        vector = Signal(range(config.max_vectors))
        domain += [
            vector.eq(Mux(edges.whole, 0, self.start >> bits)),
            edge_walker.start.eq(Mux(edges.whole, self.start, self.start[:bits])),
            edge_walker.rounds_last.eq(self.rounds_last),
            edge_walker.tap_weights.eq(layer.window.channels),
            edge_walker.block_weights.eq(layer.weights.words),
            walker.pixel_words.eq(layer.output.pixel_words),
            walker.weights_base.eq(self.weights_base),
            *(part.input.eq(layer.input) for part in (fetcher, walker, window)),
            *(part.window.eq(layer.window) for part in (fetcher, walker)),
            *(part.edges.eq(edges) for part in (fetcher, walker, edge_walker, window)),
        ]
        m.d.comb += [fetcher.vector.eq(vector), window.vector.eq(vector)]
        for taker, other in ((fetcher.runs, next_run.i), (next_run.i, fetcher.runs)):
            m.d.comb += [taker.payload.eq(self.runs.payload), taker.valid.eq(self.runs.valid & other.ready)]
        m.d.comb += self.runs.ready.eq(fetcher.runs.ready & next_run.i.ready)
        connect(m, producer=next_run.o, consumer=walker.runs)
        connect(m, producer=walker.columns, consumer=column.i)
        connect(m, producer=column.o, consumer=edge_walker.columns)
        connect(m, producer=fetcher.request, consumer=flipped(self.request))
        connect(m, producer=flipped(self.response), consumer=window.response)
        m.d.comb += fetcher.released.eq(self._issue(m, edge_walker.steps, window))
        return m

    def _issue(self, m: Module, steps: stream.Interface, window: WindowMemory) -> Value:
        """Read the vectors and the weights of a step once they are there, and give both to the array a cycle later.

        Returns how many vectors it releases.
        """
        step, operands = steps.payload, self.operands.payload
        there, ready, issued, released = Signal(), Signal(), Signal(), Signal.like(steps.payload.released)
        ahead = Signal.like(step.vector)
        m.d.comb += [
            # Vectors come in order, and none is further ahead or behind than the window holds.
            ahead.eq(window.arrived - (step.vector + step.pair) - 1),
            there.eq(~ahead[-1]),
            ready.eq(~self.operands.valid | self.operands.ready),
            steps.ready.eq(there & ready),
            issued.eq(steps.valid & steps.ready),
            released.eq(Mux(issued, step.released, 0)),
            window.read.eq(issued),
            window.pointer.eq(step.vector),
            window.shift.eq(step.shift),
            window.broadcast.eq(step.broadcast),
            self.weights.address.eq(step.weights),
            self.weights.enable.eq(ready),
            operands.activations.eq(window.activations),
            operands.weights.eq(self.weights.data),
        ]
        with m.If(ready):
            m.d.sync += [
                self.operands.valid.eq(steps.valid & there),
                operands.first.eq(step.first),
                operands.last.eq(step.last),
                operands.mask.eq(step.mask),
                operands.tag.eq(step.tag),
                operands.tag.block.eq(self._block(step)),
            ]
            if self.config.accumulators >= self.config.max_rounds:
                m.d.sync += [index.eq(step.round) for index in operands.index]
        return released

    def _block(self, step: Any) -> Value:
        """Number of the first of the blocks that the groups of the set work on."""
        return step.round * self.channel_groups
