"""The sequencer: one layer after another, one pass after another."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor

COUNTER_BITS = 32


class LayerReport(data.StructLayout):
    """What a finished layer took.

    `cycles`: from start to done. `operations`: non-zero activations that entered the array, counted once for each set
    of groups that shared them.
    """

    def __init__(self) -> None:
        super().__init__({"cycles": COUNTER_BITS, "operations": COUNTER_BITS})


class Sequencer(wiring.Component):
    """Runs the passes of a layer and tells everyone where they are.

    A layer starts when its descriptor is taken and is done when its last packet has left. A pass starts as soon as its
    weights are in memory.

    Ports: `layers` In, `reports` Out; `layer` (the descriptor, held), `weights_base`, `parity`, `first_channel`,
    `final` (last pass), `blocks_last`; pulses `start` (a pass), `load` (its input rows come by stream), `store` (its
    rows leave); `loaded` In (pulse: the weights of a pass are in memory), `release` (pulse) with `released_words`;
    `idle` In (nothing of the pass is left to do); `issued` In (operations entering the array, one bit a controller);
    `busy`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "layers": In(stream.Signature(LayerDescriptor(config))),
                "reports": Out(stream.Signature(LayerReport())),
                "layer": Out(LayerDescriptor(config)),
                "weights_base": Out(config.weight_address_bits),
                "parity": Out(1),
                "first_channel": Out(range(config.max_channels + 1)),
                "final": Out(1),
                "blocks_last": Out(range(config.groups)),
                "final_beats_last": Out(range(config.post_beats)),
                "start": Out(1),
                "load": Out(1),
                "store": Out(1),
                "loaded": In(1),
                "release": Out(1),
                "released_words": Out(range(config.weight_depth + 1)),
                "idle": In(1),
                "issued": In(config.groups),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layer = self.layer
        pass_index = Signal.like(layer.passes_last)
        ready_passes = Signal(range(3))
        m.d.comb += [
            self.final.eq(pass_index == layer.passes_last),
            self.blocks_last.eq(Mux(self.final, layer.weights.final_blocks_last, layer.weights.blocks_last)),
            self.final_beats_last.eq(Mux(self.final, layer.post.final_beats_last, self.config.post_beats - 1)),
            self.released_words.eq(layer.weights.words),
        ]
        m.d.sync += ready_passes.eq(ready_passes + self.loaded - self.release)
        with m.FSM() as states:
            with m.State("IDLE"):
                m.d.comb += self.layers.ready.eq(1)
                with m.If(self.layers.valid):
                    m.d.sync += [layer.eq(self.layers.payload), pass_index.eq(0), self.first_channel.eq(0)]
                    m.next = "WEIGHTS"
            with m.State("WEIGHTS"):
                with m.If(ready_passes != 0):
                    m.next = "START"
            with m.State("START"):
                m.d.comb += [
                    self.start.eq(1),
                    self.load.eq((pass_index == 0) | ~layer.input.resident),
                    self.store.eq(self.final | ~layer.output.merged),
                ]
                m.next = "RUN"
            with m.State("RUN"):
                with m.If(self.idle):
                    m.d.comb += self.release.eq(1)
                    m.d.sync += [
                        pass_index.eq(pass_index + 1),
                        self.first_channel.eq(self.first_channel + layer.output.pass_channels),
                        self.weights_base.eq(self.weights_base + layer.weights.words),
                        self.parity.eq(~self.parity),
                    ]
                    m.next = "WEIGHTS"
                    with m.If(self.final):
                        m.next = "REPORT"
            with m.State("REPORT"):
                m.d.comb += self.reports.valid.eq(1)
                with m.If(self.reports.ready):
                    m.next = "IDLE"
        m.d.comb += self.busy.eq(~states.ongoing("IDLE"))
        self._count(m)
        return m

    def _count(self, m: Module) -> None:
        report = self.reports.payload
        with m.If(self.layers.valid & self.layers.ready):
            m.d.sync += [report.cycles.eq(1), report.operations.eq(0)]
        with m.Elif(~self.reports.valid):
            entered = sum(self.issued[1:], start=self.issued[0])
            m.d.sync += [
                report.cycles.eq(report.cycles + 1),
                report.operations.eq(report.operations + entered),
            ]
