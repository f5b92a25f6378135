"""The front ends of a core: all its dataflows, of which each layer has one."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.control.descriptor import Dataflow, LayerDescriptor
from hw.control.units import UnitTag, unit_window
from hw.dataflow.csc.front_end import CscFrontEnd
from hw.dataflow.nullhop.front_end import NullHopFrontEnd
from hw.mac.operands import Operands
from hw.memory.activation import activation_word
from hw.memory.weights import weights_port


class FrontEnds(wiring.Component):
    """Turns the descriptor into one stream of operands a group, by the layer's dataflow.

    Each group has one port to the activation memory and one to its weight memory; the dataflows take turns with them,
    layer by layer. With a single dataflow this is only wires.

    Ports
    -----
    layer, weights_base, first_channel, blocks_last
        The descriptor; the first weight word, the output's channel of lane 0 and the last block of the pass. Static
        during a pass.
    start, busy
        Pulse that begins a pass; high until all its work has been given out.
    rows_loaded, rows_stored
        Input rows in the activation memory and output rows that have left it.
    can_issue, can_issue_run, sequence, issue
        To the retirement.
    requests, responses
        To the activation memory, one a group.
    weights
        To the weight memories, one a group.
    operands
        To the array, one stream a group.
    issued
        Operations that entered the array in this cycle, one bit a group: of `nullhop` counted in the first group of
        each set, without those that only close a result; of `csc` in each group.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        rows = range(config.max_size + 2)
        response = wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})
        super().__init__(
            {
                "layer": In(LayerDescriptor(config)),
                "weights_base": In(config.weight_address_bits),
                "first_channel": In(range(config.max_channels + 1)),
                "blocks_last": In(range(config.groups)),
                "start": In(1),
                "busy": Out(1),
                "rows_loaded": In(rows),
                "rows_stored": In(rows),
                "can_issue": In(1),
                "can_issue_run": In(1),
                "sequence": In(range(unit_window(config))),
                "issue": Out(range(config.longest_run + 1)),
                "requests": Out(stream.Signature(config.activation_address_bits)).array(config.groups),
                "responses": In(response).array(config.groups),
                "weights": Out(weights_port(config)).array(config.groups),
                "operands": Out(stream.Signature(Operands(config, UnitTag(config)))).array(config.groups),
                "issued": Out(config.groups),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.nullhop = nullhop = NullHopFrontEnd(self.config)
        m.d.comb += [
            nullhop.layer.eq(self.layer),
            nullhop.weights_base.eq(self.weights_base),
            nullhop.rows_loaded.eq(self.rows_loaded),
            nullhop.rows_stored.eq(self.rows_stored),
            nullhop.can_issue.eq(self.can_issue),
            nullhop.sequence.eq(self.sequence),
        ]
        if not self.config.csc:
            self._connect(m, nullhop)
            return m
        m.submodules.csc = csc = CscFrontEnd(self.config)
        m.d.comb += [
            csc.layer.eq(self.layer),
            csc.weights_base.eq(self.weights_base),
            csc.first_channel.eq(self.first_channel),
            csc.blocks_last.eq(self.blocks_last),
            csc.can_issue.eq(self.can_issue_run),
            csc.sequence.eq(self.sequence),
        ]
        chosen = Signal()
        m.d.comb += chosen.eq(self.layer.dataflow == Dataflow.CSC)
        self._choose(m, chosen, csc, nullhop)
        return m

    def _connect(self, m: Module, front_end: NullHopFrontEnd) -> None:
        m.d.comb += [
            front_end.start.eq(self.start),
            self.busy.eq(front_end.busy),
            self.issue.eq(front_end.issue),
            self.issued.eq(front_end.issued),
        ]
        for group in range(self.config.groups):
            connect(m, producer=front_end.requests[group], consumer=flipped(self.requests[group]))
            connect(m, producer=flipped(self.responses[group]), consumer=front_end.responses[group])
            connect(m, front_end.weights[group], flipped(self.weights[group]))
            connect(m, producer=front_end.operands[group], consumer=flipped(self.operands[group]))

    def _choose(self, m: Module, chosen: Value, csc: CscFrontEnd, nullhop: NullHopFrontEnd) -> None:
        """`csc` if `chosen`, else `nullhop`; the other one stands still."""
        m.d.comb += [
            csc.start.eq(self.start & chosen),
            nullhop.start.eq(self.start & ~chosen),
            self.busy.eq(csc.busy | nullhop.busy),
            self.issue.eq(csc.issue | nullhop.issue),
            self.issued.eq(csc.issued | nullhop.issued),
        ]
        for group in range(self.config.groups):
            _choose_stream(m, chosen, csc.operands[group], nullhop.operands[group], self.operands[group])
            _choose_stream(m, chosen, csc.requests[group], nullhop.requests[group], self.requests[group])
            weights, response = self.weights[group], self.responses[group]
            one, other = csc.weights[group], nullhop.weights[group]
            m.d.comb += [
                weights.address.eq(Mux(chosen, one.address, other.address)),
                weights.enable.eq(Mux(chosen, one.enable, other.enable)),
            ]
            for front_end, takes in ((csc, chosen), (nullhop, ~chosen)):
                m.d.comb += [
                    front_end.weights[group].data.eq(weights.data),
                    front_end.responses[group].data.eq(response.data),
                    front_end.responses[group].valid.eq(response.valid & takes),
                ]


def _choose_stream(
    m: Module, chosen: Value, one: stream.Interface, other: stream.Interface, into: stream.Interface
) -> None:
    payload = Mux(chosen, Value.cast(one.payload), Value.cast(other.payload))
    m.d.comb += [
        Value.cast(into.payload).eq(payload),
        into.valid.eq(Mux(chosen, one.valid, other.valid)),
        one.ready.eq(into.ready & chosen),
        other.ready.eq(into.ready & ~chosen),
    ]
