"""The edge walker: which channels, weights and lanes each operation of a column of taps has."""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import CoreConfig
from hw.control.descriptor import EdgesLayout
from hw.dataflow.csc.layouts import Column, Step


def wrapped(channel: Value, edges: Value) -> Value:
    """A channel below twice `edges.nodes`, modulo these."""
    return Mux(channel >= edges.nodes, channel - edges.nodes, channel)


class EdgeWalker(wiring.Component):
    """The operator's inner loops: for each tap of a column, for each block of maps of the group, for each edge.

    ::

        channel = start of the block; from edge to edge: channel = (channel + dilation) mod nodes

    The lanes read neighbouring channels, which lie in a vector and the one behind it. If the nodes are no multiple of
    the lanes, lanes beyond the last node go on with channel 0, in an operation of their own. Weights are in the order
    in which they are used in a block: the edges of a tap, tap after tap. Cycles: one for each edge of each block and
    tap, one more for each that crosses the last node so; none between columns.

    Ports: static `edges`, `tap_weights` (words of a tap of a block), `block_weights` (of a block), `start` (channel of
    the group's first block), `rounds_last` (index of its last block); `columns` In stream of `Column`, `steps` Out
    stream of `Step`. Latency 0.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "edges": In(EdgesLayout(config)),
                "tap_weights": In(range(config.max_channels + 1)),
                "block_weights": In(config.weight_address_bits),
                "start": In(range(config.max_channels)),
                "rounds_last": In(range(config.max_rounds)),
                "columns": In(stream.Signature(Column(config))),
                "steps": Out(stream.Signature(Step(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        column, step = self.columns.payload, self.steps.payload
        row, edge, round_ = Signal.like(column.rows_last), Signal.like(column.edges_last), Signal.like(self.rounds_last)
        # The second operation of an edge, for the lanes beyond the last node.
        beyond = Signal()
        taken, edge_done, block_done, tap_done = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.steps.valid.eq(self.columns.valid),
            taken.eq(self.steps.valid & self.steps.ready),
            block_done.eq(edge_done & (edge == column.edges_last)),
            tap_done.eq(block_done & (round_ == self.rounds_last)),
            self.columns.ready.eq(taken & tap_done & (row == column.rows_last)),
            step.round.eq(round_),
            step.first.eq(column.first & (row == 0) & (edge == 0) & ~beyond),
            step.last.eq(column.last & (row == column.rows_last) & block_done),
            step.tag.eq(column.tag),
        ]
        channel = self._walk_channels(m, taken, edge_done, block_done, tap_done)
        row_vectors = Signal.like(column.vector)
        self._read(m, channel, beyond, edge_done, column.vector + row_vectors)
        self._release(m, channel, taken, tap_done)
        self._weigh(m, taken & edge_done, block_done, tap_done)
        with m.If(taken):
            m.d.sync += beyond.eq(~edge_done)
            with m.If(edge_done):
                m.d.sync += edge.eq(edge + 1)
            with m.If(block_done):
                m.d.sync += [edge.eq(0), round_.eq(round_ + 1)]
            with m.If(tap_done):
                m.d.sync += [round_.eq(0), row.eq(row + 1), row_vectors.eq(row_vectors + self.edges.vectors_last + 1)]
        with m.If(self.columns.ready):
            m.d.sync += [row.eq(0), row_vectors.eq(0)]
        return m

    def _walk_channels(self, m: Module, taken: Value, edge_done: Value, block_done: Value, tap_done: Value) -> Value:
        """The channel of lane 0."""
        edges, column = self.edges, self.columns.payload
        later, block = Signal.like(self.start), Signal.like(self.start)
        first, channel = Signal.like(self.start), Signal.like(self.start)
        fresh = Signal(init=1)
        m.d.comb += [
            first.eq(Mux(edges.packed, column.start, self.start)),
            channel.eq(Mux(fresh, first, later)),
        ]
        next_block = wrapped(Mux(fresh, first, block) + edges.round_step, edges)
        of_block = Mux(fresh, first, block)
        with m.If(taken & edge_done):
            m.d.sync += [later.eq(wrapped(channel + edges.dilation, edges)), block.eq(of_block), fresh.eq(0)]
            with m.If(block_done):
                m.d.sync += [later.eq(next_block), block.eq(next_block), fresh.eq(tap_done)]
        return channel

    def _read(self, m: Module, channel: Value, beyond: Value, edge_done: Value, pixel: Value) -> None:
        """Which vectors of a pixel, rotated by how much, for which lanes."""
        edges, step, lanes = self.edges, self.steps.payload, self.config.lanes
        bits = exact_log2(lanes)
        left = Signal(range(self.config.max_channels + 1))
        few, shift = Signal(), Signal.like(step.shift)
        before = Signal(lanes)
        m.d.comb += [
            left.eq(edges.nodes - channel),
            few.eq(edges.crosses & (left < lanes)),
            before.eq(Mux(few, Cat(left > lane for lane in range(lanes)), Const(-1, lanes))),
            edge_done.eq(~few | beyond),
            step.mask.eq(Mux(beyond, ~before, before)),
            # Beyond the last node lane 0 would be at a negative channel: in the vector before the pixel's first.
            shift.eq(Mux(beyond, -left, channel)[:bits] if bits else 0),
            step.vector.eq(pixel + Mux(beyond, -1, channel >> bits)),
            step.shift.eq(shift),
            step.broadcast.eq(edges.broadcast),
            step.pair.eq(~edges.broadcast & (shift != 0)),
        ]

    def _release(self, m: Module, channel: Value, taken: Value, tap_done: Value) -> None:
        """A broadcast vector is done with its last channel; rotated ones, maybe used again, with their tap.

        So are those of a tap that none of its edges needed.
        """
        edges, released, lanes = self.edges, self.steps.payload.released, self.config.lanes
        gone = Signal.like(edges.vectors_last)
        with m.If(self.columns.payload.release):
            m.d.comb += released.eq(edges.broadcast & (channel % lanes == lanes - 1))
            with m.If(tap_done):
                m.d.comb += released.eq(edges.vectors_last + 1 - gone)
        with m.If(taken):
            m.d.sync += gone.eq(Mux(tap_done, 0, gone + released))

    def _weigh(self, m: Module, advance: Value, block_done: Value, tap_done: Value) -> None:
        """The address of the weights, which goes on edge by edge, and from tap to tap by all of a tap's weights."""
        step = self.steps.payload
        of_edge, of_block, of_tap = (Signal.like(step.weights, name=name) for name in ("of_edge", "of_block", "of_tap"))
        next_block, next_tap = of_block + self.block_weights, of_tap + self.tap_weights
        m.d.comb += step.weights.eq(self.columns.payload.weights + of_edge)
        with m.If(advance):
            m.d.sync += of_edge.eq(of_edge + 1)
            with m.If(block_done):
                m.d.sync += [of_edge.eq(next_block), of_block.eq(next_block)]
            with m.If(tap_done):
                m.d.sync += [of_edge.eq(next_tap), of_block.eq(next_tap), of_tap.eq(next_tap)]
        with m.If(self.columns.ready):
            m.d.sync += [of_edge.eq(0), of_block.eq(0), of_tap.eq(0)]
