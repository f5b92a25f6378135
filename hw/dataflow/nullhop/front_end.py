"""The NullHop front end: allocator, controllers, and the broadcast of each controller's operations to its groups.

::

                       +--> controller 0 --+
    pixel allocator ---+--> controller 1 --+--> broadcast --> operand stage 0..G-1 --> array
                       +--> ...            |    (split)            |  ^
                             |  ^          |                       v  |
                       activation memory                      weight memories
"""

from __future__ import annotations

from amaranth import Cat, Signal
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hw.config import CoreConfig
from hw.dataflow.nullhop.allocator import PixelAllocator
from hw.dataflow.nullhop.controller import Controller
from hw.dataflow.nullhop.layouts import WorkUnit
from hw.dataflow.nullhop.operand_stage import OperandStage
from hw.dataflow.ports import front_end_ports
from hw.stream.register import slow_cut


class NullHopFrontEnd(wiring.Component):
    """Feeds G groups from G controllers.

    With `channel_groups` c, controllers 0, c, 2c, ... work, and each feeds the c groups from its own number on, in
    lockstep: same pixels, other maps.

    Ports: see `hw.dataflow.ports`. Requests come from controllers, so those of groups that share one are idle. `issued`
    are operations with a non-zero activation, one bit a controller.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(front_end_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.allocator = allocator = PixelAllocator(self.config)
        controllers = [Controller(self.config) for _ in range(self.config.groups)]
        stages = [OperandStage(self.config) for _ in range(self.config.groups)]
        m.d.comb += [
            allocator.input.eq(self.layer.input),
            allocator.window.eq(self.layer.window),
            allocator.output.eq(self.layer.output),
            allocator.split.eq(self.layer.split),
            allocator.start.eq(self.start),
            self.busy.eq(allocator.busy),
            allocator.rows_loaded.eq(self.rows_loaded),
            allocator.rows_stored.eq(self.rows_stored),
            allocator.can_issue.eq(self.can_issue),
            allocator.sequence.eq(self.sequence),
            self.issue.eq(allocator.issue),
        ]
        for index, (controller, stage) in enumerate(zip(controllers, stages, strict=True)):
            m.submodules[f"controller_{index}"] = controller
            m.submodules[f"operand_stage_{index}"] = stage
            m.d.comb += [
                controller.input.eq(self.layer.input),
                controller.window.eq(self.layer.window),
                controller.weights_base.eq(self.weights_base),
            ]
            # Between the allocator, which looks at all controllers, and each of them; a unit waits there already
            # while the controller does the one before.
            m.submodules[f"unit_{index}"] = waiting = slow_cut(self.config, WorkUnit(self.config))
            connect(m, producer=allocator.units[index], consumer=waiting.i)
            connect(m, producer=waiting.o, consumer=controller.units)
            connect(m, producer=controller.request, consumer=flipped(self.requests[index]))
            connect(m, producer=flipped(self.responses[index]), consumer=controller.response)
            connect(m, stage.weights, flipped(self.weights[index]))
            connect(m, producer=stage.operands, consumer=flipped(self.operands[index]))
        self._broadcast(m, controllers, stages)
        return m

    def _broadcast(self, m: Module, controllers: list[Controller], stages: list[OperandStage]) -> None:
        """A controller's operation goes to all its groups in the same cycle, when all of them are ready."""
        ready = Signal(self.config.groups)
        m.d.comb += ready.eq(Cat(stage.operations.ready for stage in stages))
        with m.Switch(self.layer.split):
            for split, (channel_groups, _) in enumerate(self.config.splits):
                with m.Case(split):
                    for head in range(0, self.config.groups, channel_groups):
                        operations = controllers[head].operations
                        all_ready = ready[head : head + channel_groups].all()
                        m.d.comb += operations.ready.eq(all_ready)
                        for stage in stages[head : head + channel_groups]:
                            m.d.comb += [
                                stage.operations.payload.eq(operations.payload),
                                stage.operations.valid.eq(operations.valid & all_ready),
                            ]
        for index, controller in enumerate(controllers):
            operations = controller.operations
            m.d.comb += self.issued[index].eq(operations.valid & operations.ready & ~operations.payload.null)
