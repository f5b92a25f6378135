"""The last step before the array: the weight word of each operation."""

from __future__ import annotations

from amaranth import Const, Mux, Signal
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.units import UnitTag
from hw.dataflow.nullhop.layouts import PixelOperation
from hw.mac.operands import Operands
from hw.memory.weights import weight_word


class OperandStage(wiring.Component):
    """Reads the weights of an operation and broadcasts its activation to the lanes of one group.

    An operation without an activation has mask 0, and a value of 0. Throughput 1, latency 1. `operations.ready` does
    not depend on `operations.valid`.

    Ports: `operations` In stream of `PixelOperation`, `operands` Out stream of `Operands`, `weights` (to the group's
    weight memory: address and enable out, data in, one cycle later).
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        weights = wiring.Signature(
            {
                "address": Out(config.weight_address_bits),
                "enable": Out(1),
                "data": In(weight_word(config)),
            }
        )
        super().__init__(
            {
                "operations": In(stream.Signature(PixelOperation(config))),
                "operands": Out(stream.Signature(Operands(config, UnitTag(config)))),
                "weights": Out(weights),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        operation = self.operations.payload
        operands = self.operands.payload
        held = Signal.like(operation, reset_less=True)
        m.d.comb += [
            self.operations.ready.eq(~self.operands.valid | self.operands.ready),
            self.weights.address.eq(operation.weights),
            self.weights.enable.eq(self.operations.ready),
            operands.weights.eq(self.weights.data),
            operands.mask.eq(Mux(held.null, 0, Const(-1, len(operands.mask)))),
            operands.first.eq(held.first),
            operands.last.eq(held.last),
            operands.tag.eq(held.tag),
        ]
        m.d.comb += [activation.eq(held.activation) for activation in operands.activations]
        with m.If(self.operations.ready):
            m.d.sync += [self.operands.valid.eq(self.operations.valid), held.eq(operation)]
        return m
