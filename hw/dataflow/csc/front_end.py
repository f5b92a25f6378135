"""The csc front end: a dealer of runs, and a controller for each group.

::

                   +--> controller 0 --> array
    run dealer  ---+--> controller 1 --> array
                   +--> ...  |  ^
                             |  ^
                  activation and weight memories
"""

from __future__ import annotations

from amaranth import Array, Cat, Signal
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hw.config import CoreConfig
from hw.dataflow.csc.controller import Controller
from hw.dataflow.csc.dealer import RunDealer
from hw.dataflow.ports import front_end_ports


class CscFrontEnd(wiring.Component):
    """Feeds G groups from G controllers: lane = channel, one operation for each tap inside the map.

    With `channel_groups` c, the groups of a set work on the same outputs and on consecutive blocks of channels. They do
    not wait for each other; the collector puts their results together.

    Ports: see `hw.dataflow.ports`. `issued` are all operations.
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
            self.issued.eq(Cat(port.valid & port.ready for port in self.operands)),
        ]
        # Of the pass, in the input, which lies by itself.
        pass_channel = Signal.like(self.first_channel)
        m.d.comb += pass_channel.eq(self.first_channel - self.layer.output.first_channel)
        for group in range(config.groups):
            m.submodules[f"controller_{group}"] = controller = Controller(config)
            ahead = Array(group % channel_groups * config.lanes for channel_groups, _ in config.splits)
            m.d.comb += [
                controller.layer.eq(self.layer),
                controller.weights_base.eq(self.weights_base),
                controller.channel.eq(pass_channel + ahead[self.layer.split]),
            ]
            connect(m, producer=dealer.runs[group], consumer=controller.runs)
            connect(m, producer=controller.request, consumer=flipped(self.requests[group]))
            connect(m, producer=flipped(self.responses[group]), consumer=controller.response)
            connect(m, controller.weights, flipped(self.weights[group]))
            connect(m, producer=controller.operands, consumer=flipped(self.operands[group]))
        return m
