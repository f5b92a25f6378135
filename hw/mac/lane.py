"""One lane of the MAC array: multiplier, adder, accumulators."""

from __future__ import annotations

from amaranth import Signal, signed
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.mac.accumulator_file import AccumulatorFile


class MacLane(wiring.Component):
    """Multiplies in one cycle and adds in the next; both stages stand still while `advance` is clear.

    The inputs describe the operation at the multiplier. `sum` is the accumulator after the operation at the
    adder, which is the one that was at the multiplier one `advance` before.

    Ports
    -----
    advance : In(1)
    valid : In(1)
        The multiplier's inputs are an operation.
    activation : In(signed(operand_bits))
    weight : In(signed(weight_bits))
    index : In(range(accumulators))
    mask, first : In(1)
        As in `Operands`.
    write : In(1)
        There is an operation at the adder.
    sum : Out(signed(accumulator_bits))
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "advance": In(1),
                "valid": In(1),
                "activation": In(signed(config.operand_bits)),
                "weight": In(signed(config.weight_bits)),
                "index": In(range(config.accumulators)),
                "mask": In(1),
                "first": In(1),
                "write": In(1),
                "sum": Out(signed(config.accumulator_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.file = file = AccumulatorFile(signed(config.accumulator_bits), config.accumulators)
        product = Signal(signed(config.operand_bits + config.weight_bits), reset_less=True)
        with m.If(self.advance):
            m.d.sync += product.eq(self.activation * self.weight)
            with m.If(~self.mask):
                m.d.sync += product.eq(0)
        m.d.comb += [
            file.advance.eq(self.advance),
            file.read_index.eq(self.index),
            file.start.eq(self.valid & self.first),
            file.write.eq(self.write),
            file.updated.eq(self.sum),
            self.sum.eq(file.value + product),
        ]
        return m
