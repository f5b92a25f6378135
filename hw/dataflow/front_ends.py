"""The front ends of a core: all its dataflows, of which each layer has one."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth import Signal
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hw.config import CoreConfig
from hw.control.descriptor import Dataflow
from hw.dataflow.csc.front_end import CscFrontEnd
from hw.dataflow.nullhop.front_end import NullHopFrontEnd
from hw.dataflow.ports import front_end_ports
from hw.dataflow.rsnn.front_end import RsnnFrontEnd
from hw.memory.arbiter import one_hot_mux

FRONT_ENDS: dict[str, type[wiring.Component]] = {
    "nullhop": NullHopFrontEnd,
    "csc": CscFrontEnd,
    "rsnn": RsnnFrontEnd,
}
"""The front end of each dataflow; `CoreConfig.dataflows` says which of them a core has."""

STATIC = (
    "layer",
    "weights_base",
    "first_channel",
    "blocks_last",
    "rows_loaded",
    "rows_stored",
    "can_issue",
    "can_issue_run",
    "sequence",
)
"""Ports that all front ends see, whichever works."""


class FrontEnds(wiring.Component):
    """Turns the descriptor into one stream of operands a group, by the layer's dataflow.

    Each group has one port to the activation memory and one to its weight memory; the dataflows take turns with them,
    layer by layer. With a single dataflow this is only wires. Which operations count in `issued`: of `nullhop` those of
    the first group of each set, without those that only close a result; of `csc` all; of `rsnn` those with a
    weight that is not zero.

    Ports: see `hw.dataflow.ports`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(front_end_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        front_ends = {name: FRONT_ENDS[name](self.config) for name in self.config.dataflows}
        for name, front_end in front_ends.items():
            m.submodules[name] = front_end
            for port in STATIC:
                m.d.comb += Value.cast(getattr(front_end, port)).eq(Value.cast(getattr(self, port)))
        m.d.comb += [
            getattr(self, port).eq(reduce(or_, (getattr(front_end, port) for front_end in front_ends.values())))
            for port in ("busy", "issue", "issued")
        ]
        if len(front_ends) == 1:
            (front_end,) = front_ends.values()
            self._connect(m, front_end)
            return m
        chosen = Signal(len(front_ends))
        for bit, (name, front_end) in zip(chosen, front_ends.items(), strict=True):
            m.d.comb += [
                bit.eq(self.layer.dataflow == Dataflow.__members__[name.upper()]),
                front_end.start.eq(self.start & bit),
            ]
        for group in range(self.config.groups):
            self._choose(m, chosen, list(front_ends.values()), group)
        return m

    def _connect(self, m: Module, front_end: wiring.Component) -> None:
        m.d.comb += front_end.start.eq(self.start)
        for group in range(self.config.groups):
            connect(m, producer=front_end.requests[group], consumer=flipped(self.requests[group]))
            connect(m, producer=flipped(self.responses[group]), consumer=front_end.responses[group])
            connect(m, front_end.weights[group], flipped(self.weights[group]))
            connect(m, producer=front_end.operands[group], consumer=flipped(self.operands[group]))

    def _choose(self, m: Module, chosen: Value, front_ends: list[wiring.Component], group: int) -> None:
        """The group's ports are those of the front end whose bit is set; the other ones stand still."""
        for port in ("operands", "requests"):
            streams = [getattr(front_end, port)[group] for front_end in front_ends]
            into = getattr(self, port)[group]
            m.d.comb += [
                Value.cast(into.payload).eq(one_hot_mux(chosen, [Value.cast(one.payload) for one in streams])),
                into.valid.eq(one_hot_mux(chosen, [one.valid for one in streams])),
            ]
            m.d.comb += [one.ready.eq(into.ready & bit) for bit, one in zip(chosen, streams, strict=True)]
        weights, response = self.weights[group], self.responses[group]
        readers = [front_end.weights[group] for front_end in front_ends]
        m.d.comb += [
            weights.address.eq(one_hot_mux(chosen, [reader.address for reader in readers])),
            weights.enable.eq(one_hot_mux(chosen, [reader.enable for reader in readers])),
        ]
        for bit, front_end in zip(chosen, front_ends, strict=True):
            m.d.comb += [
                front_end.weights[group].data.eq(weights.data),
                front_end.responses[group].data.eq(response.data),
                front_end.responses[group].valid.eq(response.valid & bit),
            ]
