"""The csc front end: a dealer of runs, and a controller for each group.

::

                   +--> controller 0 --> array
    run dealer  ---+--> controller 1 --> array
                   +--> ...  |  ^
                             |  ^
                  activation and weight memories
"""

from __future__ import annotations

from amaranth import Array, Cat, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.control.units import UnitTag, unit_window
from hw.dataflow.csc.controller import Controller
from hw.dataflow.csc.dealer import RunDealer
from hw.dataflow.csc.edge_walker import wrapped
from hw.mac.operands import Operands
from hw.memory.activation import activation_word
from hw.memory.weights import weights_port


class CscFrontEnd(wiring.Component):
    """Feeds G groups from G controllers: one operation for each edge and tap inside the map.

    With `channel_groups` c, the groups of a set work on the same outputs and on consecutive blocks of maps. They do
    not wait for each other; the collector puts their results together. If a pass has more than c blocks, group g works
    on blocks g mod c, g mod c + c, ... of each output, one after another.

    Ports
    -----
    layer, weights_base, first_channel, blocks_last
        The descriptor; the first weight word, the output's channel of lane 0 and the last block of the pass. Static
        during a pass, and there two cycles before it.
    start, busy
        Pulse that begins a pass; high until every run has been given out.
    can_issue, sequence, issue
        To the retirement.
    requests, responses
        To the activation memory, one a group.
    weights
        To the weight memories, one a group.
    operands
        To the array, one stream a group.
    issued
        Operations that entered the array in this cycle, one bit a group; of two for one edge the second counts.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        response = wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})
        super().__init__(
            {
                "layer": In(LayerDescriptor(config)),
                "weights_base": In(config.weight_address_bits),
                "first_channel": In(range(config.max_channels + 1)),
                "blocks_last": In(range(config.groups)),
                "start": In(1),
                "busy": Out(1),
                "can_issue": In(1),
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
        config = self.config
        m.submodules.dealer = dealer = RunDealer(config)
        m.d.comb += [
            dealer.layer.eq(self.layer),
            dealer.blocks_last.eq(self.blocks_last),
            dealer.start.eq(self.start),
            self.busy.eq(dealer.busy),
            dealer.can_issue.eq(self.can_issue),
            dealer.sequence.eq(self.sequence),
            self.issue.eq(dealer.issue),
            self.issued.eq(Cat(port.valid & port.ready & port.payload.mask[-1] for port in self.operands)),
        ]
        channel_groups = Signal(range(config.groups + 1))
        m.d.comb += channel_groups.eq(Array(c for c, _ in config.splits)[self.layer.split])
        starts = self._starts(m)
        for group in range(config.groups):
            m.submodules[f"controller_{group}"] = controller = Controller(config)
            m.d.comb += [
                controller.layer.eq(self.layer),
                controller.weights_base.eq(self.weights_base),
                controller.start.eq(starts[group]),
                controller.rounds_last.eq(self._rounds_last(group)),
                controller.channel_groups.eq(channel_groups),
            ]
            connect(m, producer=dealer.runs[group], consumer=controller.runs)
            connect(m, producer=controller.request, consumer=flipped(self.requests[group]))
            connect(m, producer=flipped(self.responses[group]), consumer=controller.response)
            connect(m, controller.weights, flipped(self.weights[group]))
            connect(m, producer=controller.operands, consumer=flipped(self.operands[group]))
        return m

    def _starts(self, m: Module) -> list[Value]:
        """The channel of each group's first block in this pass, there two cycles after its start."""
        edges, starts = self.layer.edges, []
        first, due, phase = Signal(), Signal(), Signal.like(self.layer.edges.phases_last)
        m.d.comb += [
            first.eq(self.first_channel == self.layer.output.first_channel),
            due.eq(phase == edges.phases_last),
        ]
        with m.If(self.start):
            m.d.sync += phase.eq(Mux(first | due, 0, phase + 1))
        for group, of_first_pass in enumerate(edges.starts):
            start = Signal.like(of_first_pass, name=f"start_{group}")
            with m.If(self.start & first):
                m.d.sync += start.eq(of_first_pass)
            with m.Elif(self.start & due):
                m.d.sync += start.eq(wrapped(start + edges.pass_step, edges))
            starts.append(start)
        return starts

    def _rounds_last(self, group: int) -> Value:
        """Index of a group's last block in this pass; of one without a block it does not matter."""
        found = []
        for channel_groups, _ in self.config.splits:
            whole, rest = self.blocks_last // channel_groups, self.blocks_last % channel_groups
            found.append((whole - (group % channel_groups > rest))[: len(Value.cast(self.blocks_last))])
        return Array(found)[self.layer.split]
