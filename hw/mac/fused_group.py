"""A group of lanes without registers but the accumulators: for small parts and slow clocks."""

from __future__ import annotations

from typing import ClassVar

from amaranth import Mux, Signal, signed
from amaranth.hdl import Module, ShapeLike
from amaranth.lib import wiring

from hw.config import CoreConfig
from hw.mac.operands import group_ports


class FusedMacGroup(wiring.Component):
    """L lanes that multiply and add in the same cycle; does what `MacGroup` does, with one accumulator a lane.

    ::

        operands --> multiply --> add --> accumulators --> results
                                   ^           |
                                   +-----------+

    A lane is what a multiplier block with an adder and an accumulator holds. A result stays in the accumulators until
    it is taken, and the group stands still meanwhile. A window's first operation waits for a cycle in which they are
    cleared, which may be that in which the result before is taken. So a window of n operations takes n cycles and those
    in which its result waits, and one more if it does not wait for a cycle.

    `operands.ready` depends on the payload and on `results.ready`, but not on `operands.valid`. In a core with no
    other dataflow than `nullhop` the masks are not looked at: there an operation that is masked is one by zero.

    Ports: as `MacGroup`.
    """

    latency: ClassVar[int] = 1

    def __init__(self, config: CoreConfig, tag_shape: ShapeLike) -> None:
        self.config = config
        super().__init__(group_ports(config, tag_shape))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        operation, result = self.operands.payload, self.results.payload
        tag = Signal.like(operation.tag, reset_less=True)
        free, clears, cleared, accepted = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            free.eq(~self.results.valid | self.results.ready),
            clears.eq(self.operands.valid & free & operation.first & ~cleared),
            self.operands.ready.eq(free & (~operation.first | cleared)),
            accepted.eq(self.operands.valid & self.operands.ready),
            result.tag.eq(tag),
        ]
        with m.If(clears):
            m.d.sync += cleared.eq(1)
        with m.Elif(accepted):
            m.d.sync += cleared.eq(0)
        with m.If(self.results.ready):
            m.d.sync += self.results.valid.eq(0)
        with m.If(accepted & operation.last):
            m.d.sync += [self.results.valid.eq(1), tag.eq(operation.tag)]
        for lane, sum_so_far in enumerate(result.accumulators):
            accumulator = Signal(signed(self.config.accumulator_bits), name=f"accumulator_{lane}", reset_less=True)
            m.d.comb += sum_so_far.eq(accumulator)
            product = self._activation(lane) * operation.weights[lane]
            # In this form the block's own register is taken, which is loaded only when it is enabled.
            with m.If(accepted | clears):
                m.d.sync += accumulator.eq(Mux(clears, 0, accumulator + product))
        return m

    def _activation(self, lane: int) -> Signal:
        operation = self.operands.payload
        value = operation.activations[lane]
        if self.config.dataflows == ("nullhop",):
            return value
        return Mux(operation.mask[lane], value, 0).as_signed()
