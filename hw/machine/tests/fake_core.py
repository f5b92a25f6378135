"""A stand-in for the core: its ports, its order of things, and answers that are easy to foretell."""

from __future__ import annotations

from amaranth import Mux, ResetInserter, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.host_bus import HostBus
from hw.config import AcceleratorConfig, CoreConfig
from hw.control.descriptor import LayerDescriptor, Operation
from hw.control.sequencer import LayerReport
from hw.core import CoreErrors
from hw.machine.machine import Machine
from hw.machine.program import ProgramImage
from hw.memory.weights import weight_beat
from hw.stream.layouts import FeatureBeat

PACKET_FAULT, COLLISION_FAULT, HANG = 1, 2, 3
"""Values of `passes_last` that make a convolution fail, or never end."""


class FakeCore(wiring.Component):
    """Keeps the sum of what it is given, and gives it back.

    A LOAD takes `input.rows_last` + 1 packets; each of their beats (as a number) is added to the sum. A CONVOLVE takes
    `weights.words` weight words and adds them. A STORE sends `output.rows_last` + 1 packets of `output.columns_last` +
    1 beats, each of which is the sum plus its index. Reports: `cycles` is the sum, `operations` the beats or words
    moved. The sum starts as 0 and, unlike the core's memory, does not survive a reset.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "layers": In(stream.Signature(LayerDescriptor(config))),
                "weights": In(stream.Signature(weight_beat(config))),
                "features_in": In(stream.Signature(FeatureBeat(config))),
                "features_out": Out(stream.Signature(FeatureBeat(config))),
                "reports": Out(stream.Signature(LayerReport())),
                "errors": Out(CoreErrors()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layer = Signal(LayerDescriptor(self.config))
        total, moved, packets = Signal(32), Signal(32), Signal(32)
        m.d.comb += [self.reports.payload.cycles.eq(total), self.reports.payload.operations.eq(moved)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.layers.ready.eq(1)
                m.d.sync += [layer.eq(self.layers.payload), moved.eq(0), packets.eq(0)]
                with m.If(self.layers.valid):
                    m.next = "MOVE"
            with m.State("MOVE"):
                with m.Switch(layer.operation):
                    with m.Case(Operation.LOAD):
                        self._load(m, layer, total, moved, packets)
                    with m.Case(Operation.STORE):
                        self._store(m, layer, total, moved, packets)
                    with m.Default():
                        self._convolve(m, layer, total, moved)
            with m.State("REPORT"):
                m.d.comb += self.reports.valid.eq(1)
                with m.If(self.reports.ready):
                    m.next = "IDLE"
        return m

    def _load(self, m: Module, layer: Signal, total: Signal, moved: Signal, packets: Signal) -> None:
        beat = self.features_in.payload
        m.d.comb += self.features_in.ready.eq(1)
        with m.If(self.features_in.valid):
            m.d.sync += [
                total.eq(total + beat.data.as_value()),
                moved.eq(moved + 1),
                packets.eq(packets + beat.last),
            ]
            with m.If(beat.last & (packets == layer.input.rows_last)):
                m.next = "REPORT"

    def _store(self, m: Module, layer: Signal, total: Signal, moved: Signal, packets: Signal) -> None:
        beat, sent = self.features_out.payload, Signal(32)
        m.d.comb += [
            self.features_out.valid.eq(1),
            beat.data.eq(total + moved),
            beat.last.eq(sent == layer.output.columns_last),
        ]
        with m.If(self.features_out.ready):
            m.d.sync += [moved.eq(moved + 1), sent.eq(Mux(beat.last, 0, sent + 1)), packets.eq(packets + beat.last)]
            with m.If(beat.last & (packets == layer.output.rows_last)):
                m.next = "REPORT"

    def _convolve(self, m: Module, layer: Signal, total: Signal, moved: Signal) -> None:
        with m.If(layer.passes_last == PACKET_FAULT):
            m.d.sync += self.errors.packet.eq(1)
        with m.Elif(layer.passes_last == COLLISION_FAULT):
            m.d.sync += self.errors.collision.eq(1)
        with m.Elif(layer.passes_last != HANG):
            m.d.comb += self.weights.ready.eq(1)
            with m.If(self.weights.valid):
                m.d.sync += [total.eq(total + Value.cast(self.weights.payload)), moved.eq(moved + 1)]
                with m.If(moved + 1 == layer.weights.words):
                    m.next = "REPORT"


class FakeAccelerator(wiring.Component):
    """A machine with a fake core: In `HostBus`, Out `busy` and `interrupt`."""

    def __init__(self, config: AcceleratorConfig, program: ProgramImage | None = None) -> None:
        self.config = config
        self._machine, self._core = Machine(config, program), FakeCore(config.core)
        super().__init__({"bus": In(HostBus()), "busy": Out(1), "interrupt": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.machine = machine = self._machine
        core = self._core
        m.submodules.core = ResetInserter(machine.core_reset)(core)
        connect(m, flipped(self.bus), machine.bus)
        for name in ("layers", "weights", "features_in"):
            connect(m, producer=getattr(machine, name), consumer=getattr(core, name))
        for name in ("features_out", "reports"):
            connect(m, producer=getattr(core, name), consumer=getattr(machine, name))
        m.d.comb += [
            machine.core_errors.eq(core.errors),
            self.busy.eq(machine.busy),
            self.interrupt.eq(machine.interrupt),
        ]
        return m
