"""The MAC array: G independent groups."""

from __future__ import annotations

from amaranth.hdl import Module, ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.mac.fused_group import FusedMacGroup
from hw.mac.group import MacGroup
from hw.mac.operands import Operands, Results


def group_of(config: CoreConfig) -> type[MacGroup | FusedMacGroup]:
    """What a core's groups are."""
    return MacGroup if config.product_registers else FusedMacGroup


class MacArray(wiring.Component):
    """`groups` x `lanes` multipliers: `MacGroup`s, each with its contract, that know nothing of each other.

    Without `product_registers` they are `FusedMacGroup`s.

    Parameters
    ----------
    config : CoreConfig
    tag_shape : ShapeLike
        Shape of `Operands.tag`.

    Ports
    -----
    operands : G In streams of Operands(config, tag_shape)
    results : G Out streams of Results(config, tag_shape)
    """

    def __init__(self, config: CoreConfig, tag_shape: ShapeLike) -> None:
        self.config = config
        self.tag_shape = tag_shape
        super().__init__(
            {
                "operands": In(stream.Signature(Operands(config, tag_shape))).array(config.groups),
                "results": Out(stream.Signature(Results(config, tag_shape))).array(config.groups),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kind = group_of(self.config)
        for number in range(self.config.groups):
            m.submodules[f"group_{number}"] = group = kind(self.config, self.tag_shape)
            connect(m, operands=flipped(self.operands[number]), group=group.operands)
            connect(m, group=group.results, results=flipped(self.results[number]))
        return m
