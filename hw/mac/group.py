"""A group of lanes: NullHop's MAC cluster, RSNN's processing unit, a row of CSC's processing elements."""

from __future__ import annotations

from typing import ClassVar

from amaranth import Signal
from amaranth.hdl import Module, ShapeLike
from amaranth.lib import wiring

from hw.config import CoreConfig
from hw.mac.lane import MacLane
from hw.mac.operands import group_ports


class MacGroup(wiring.Component):
    """L lanes that work in step.

    ::

        operands --> operand registers --> multiply --> product registers --> add --> result register -->
        results
                                                            ^                  |
                                                            +-- accumulators <-+

    One operation is accepted every cycle, whatever its accumulator indices, as long as windows have two or
    more. A result is valid `latency` cycles after the operation that ended it was accepted. It waits in the
    result register while the next window accumulates; the group stands still only while another result is
    finished and that register is not yet empty. No combinational path leads from `results` to `operands`, and
    `operands.ready` does not depend on `operands.valid`. Nothing is lost or repeated.

    Parameters
    ----------
    config : CoreConfig
    tag_shape : ShapeLike
        Shape of `Operands.tag`.

    Ports
    -----
    operands : In stream of Operands(config, tag_shape)
    results : Out stream of Results(config, tag_shape)
    """

    latency: ClassVar[int] = 3

    def __init__(self, config: CoreConfig, tag_shape: ShapeLike) -> None:
        self.config = config
        super().__init__(group_ports(config, tag_shape))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        operation = Signal(self.operands.payload.shape(), reset_less=True)
        result = Signal(self.results.payload.shape(), reset_less=True)
        tag = Signal.like(operation.tag, reset_less=True)
        multiplying, adding, last, stalled, finish = (
            Signal(name=name) for name in ("multiplying", "adding", "last", "stalled", "finish")
        )
        ready = Signal(init=1)
        advance = ~stalled
        m.d.comb += [
            finish.eq(adding & last),
            self.operands.ready.eq(ready),
            self.results.payload.eq(result),
        ]
        with m.If(advance):
            m.d.sync += [
                operation.eq(self.operands.payload),
                multiplying.eq(self.operands.valid),
                adding.eq(multiplying),
                last.eq(operation.last),
                tag.eq(operation.tag),
            ]
        # A result is finished while another one waits: known a cycle before, in a register for the lanes here and in
        # another one for those who feed them, far from here.
        finishes = stalled | (multiplying & operation.last)
        waits = (self.results.valid & ~self.results.ready) | (finish & advance)
        m.d.sync += [stalled.eq(finishes & waits), ready.eq(~(finishes & waits))]
        with m.If(self.results.ready):
            m.d.sync += self.results.valid.eq(0)
        with m.If(finish & advance):
            m.d.sync += [self.results.valid.eq(1), result.tag.eq(tag)]
        for number in range(self.config.lanes):
            m.submodules[f"lane_{number}"] = lane = MacLane(self.config)
            m.d.comb += [
                lane.advance.eq(advance),
                lane.valid.eq(multiplying),
                lane.activation.eq(operation.activations[number]),
                lane.weight.eq(operation.weights[number]),
                lane.index.eq(operation.index[number]),
                lane.mask.eq(operation.mask[number]),
                lane.first.eq(operation.first),
                lane.write.eq(adding),
            ]
            with m.If(finish & advance):
                m.d.sync += result.accumulators[number].eq(lane.sum)
        return m
