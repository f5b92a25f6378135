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
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hw.config import CoreConfig
from hw.dataflow.csc.controller import Controller
from hw.dataflow.csc.dealer import RunDealer
from hw.dataflow.csc.edge_walker import wrapped
from hw.dataflow.ports import front_end_ports


class CscFrontEnd(wiring.Component):
    """Feeds G groups from G controllers: one operation for each edge and tap inside the map.

    With `channel_groups` c, the groups of a set work on the same outputs and on consecutive blocks of maps. They do
    not wait for each other; the collector puts their results together. If a pass has more than c blocks, group g works
    on blocks g mod c, g mod c + c, ... of each output, one after another.

    Ports: see `hw.dataflow.ports`. `issued` are all operations; of two for one edge the second.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(front_end_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.dealer = dealer = RunDealer(config)
        m.d.comb += [
            dealer.layer.eq(self.layer),
            dealer.blocks_last.eq(self.blocks_last),
            dealer.start.eq(self.start),
            self.busy.eq(dealer.busy),
            dealer.can_issue.eq(self.can_issue_run),
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
