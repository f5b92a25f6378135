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
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.control.units import UnitTag, unit_window
from hw.dataflow.csc.controller import Controller
from hw.dataflow.csc.dealer import RunDealer
from hw.mac.operands import Operands
from hw.memory.activation import activation_word
from hw.memory.weights import weights_port


class CscFrontEnd(wiring.Component):
    """Feeds G groups from G controllers: lane = channel, one operation for each tap inside the map.

    With `channel_groups` c, the groups of a set work on the same outputs and on consecutive blocks of channels. They do
    not wait for each other; the collector puts their results together.

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
        Operations that entered the array in this cycle, one bit a group.
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
