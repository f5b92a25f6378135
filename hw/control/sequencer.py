"""The sequencer: one layer after another, one pass after another."""

from __future__ import annotations

from typing import Any

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor, Operation, moves_only, runs_on_vector_unit
from hw.control.sparse_layout import map_beats

COUNTER_BITS = 32


class LayerReport(data.StructLayout):
    """What a finished layer took.

    `cycles`: from start to done. `operations`: non-zero activations that entered the array, counted once for each set
    of groups that shared them. `weights`: cycles in which a pass waited for its weights. Then, summed over the groups,
    the cycles of a pass in which a group took operands (`busy`), had none to take (`activations`), or could not take
    them because its results had not been taken (`post`).
    """

    def __init__(self) -> None:
        names = ("cycles", "operations", "busy", "weights", "activations", "post")
        super().__init__(dict.fromkeys(names, COUNTER_BITS))


class GroupActivity(data.StructLayout):
    """What each group does in this cycle, one bit a group: has operands (`offered`), takes them (`taken`)."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"offered": config.groups, "taken": config.groups})


class Sequencer(wiring.Component):
    """Runs the passes of a layer and tells everyone where they are.

    A layer starts when its descriptor is taken and is done when its last packet has left, or its last activation is
    in memory. Without `lookahead` the descriptor is not held here, and taken at the end of its layer: it must stay as
    it is until then. A pass starts as soon as its weights are in memory; a layer that only moves a map has none.

    Ports: `layers` In, `reports` Out; `layer` (the descriptor, held), `weights_base`, `parity`, `first_channel`,
    `final` (last pass), `blocks_last`, of a core with rsnn `map_beats_last`; pulses at the start of a pass: `start`,
    and with it `convolve` (the dataflow works), `compute` (the vector unit works), `load` (input rows come by
    stream), `present` (the whole input is in memory), `store` (rows leave); `loaded` In (pulse: the weights of a pass
    are in memory), `release` (pulse) with `released_words`; `idle` In (nothing of the pass is left to do); `issued` In
    (operations entering the array, one bit a controller), `groups` In (see `GroupActivity`); `busy`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        of_rsnn = {"map_beats_last": Out(range(map_beats(config)))} if config.rsnn else {}
        super().__init__(
            {
                **of_rsnn,
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
                "convolve": Out(1),
                "compute": Out(1),
                "load": Out(1),
                "present": Out(1),
                "store": Out(1),
                "loaded": In(1),
                "release": Out(1),
                "released_words": Out(range(config.weight_depth + 1)),
                "idle": In(1),
                "issued": In(config.groups),
                "groups": In(GroupActivity(config)),
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
            self.released_words.eq(layer.weights.pass_words),
        ]
        if self.config.rsnn:
            sparse = layer.sparse
            m.d.comb += self.map_beats_last.eq(Mux(self.final, sparse.final_map_beats_last, sparse.map_beats_last))
        kind = self._kind(m)
        m.d.sync += ready_passes.eq(ready_passes + self.loaded - self.release)
        with m.FSM() as states:
            with m.State("IDLE"):
                with m.If(self.layers.valid):
                    m.next = "TAKE"
            with m.State("TAKE"):
                # A cycle of its own: the state alone enables the many registers of the descriptor.
                upcoming = self.layers.payload
                m.d.sync += [
                    pass_index.eq(0),
                    self.first_channel.eq(upcoming.output.first_channel),
                ]
                with m.If(upcoming.weights.kept):
                    m.d.sync += self.weights_base.eq(upcoming.weights.base)
                m.next = "WEIGHTS"
            with m.State("WEIGHTS"):
                with m.If(moves_only(layer.operation) | (ready_passes != 0)):
                    m.next = "START"
            with m.State("START"):
                self._start_pass(m, kind, pass_index)
                m.next = "RUN"
            with m.State("RUN"):
                with m.If(self.idle):
                    with m.If(~moves_only(layer.operation)):
                        m.d.comb += self.release.eq(1)
                        m.d.sync += [
                            self.weights_base.eq(self.weights_base + layer.weights.pass_words),
                            self.parity.eq(~self.parity),
                        ]
                    m.d.sync += [
                        pass_index.eq(pass_index + 1),
                        self.first_channel.eq(self.first_channel + layer.output.pass_channels),
                    ]
                    m.next = "WEIGHTS"
                    with m.If(self.final):
                        m.next = "REPORT"
            with m.State("REPORT"):
                m.d.comb += self.reports.valid.eq(1)
                with m.If(self.reports.ready):
                    m.next = "IDLE"
        m.d.comb += self.busy.eq(~states.ongoing("IDLE"))
        if self.config.lookahead:
            m.d.comb += self.layers.ready.eq(states.ongoing("TAKE"))
            with m.If(self.layers.ready):
                m.d.sync += layer.eq(self.layers.payload)
        else:
            m.d.comb += [layer.eq(self.layers.payload), self.layers.ready.eq(self.reports.valid & self.reports.ready)]
        self._count(m, states)
        return m

    def _start_pass(self, m: Module, kind: data.View, pass_index: Value) -> None:
        layer = self.layer
        first = pass_index == 0
        m.d.comb += [
            self.start.eq(1),
            self.convolve.eq(kind.convolves),
            self.compute.eq(kind.computes),
            self.load.eq(kind.loads & (first | ~layer.input.resident)),
            self.present.eq(~kind.loads),
            self.store.eq(kind.stores & (self.final | ~layer.output.merged)),
        ]

    def _kind(self, m: Module) -> data.View:
        """What the layer does, a cycle after its descriptor is there, which is before its first pass starts."""
        operation = self.layer.operation
        convolves = operation == Operation.CONVOLVE
        kind = Signal(data.StructLayout(dict.fromkeys(("convolves", "computes", "loads", "stores"), 1)))
        m.d.sync += [
            kind.convolves.eq(convolves),
            kind.computes.eq(runs_on_vector_unit(operation)),
            kind.loads.eq((operation == Operation.LOAD) | (convolves & self.layer.input.streamed)),
            kind.stores.eq((operation == Operation.STORE) | self.layer.output.streamed),
        ]
        return kind

    def _count(self, m: Module, states: Any) -> None:
        report = self.reports.payload
        running, waiting = Signal(), Signal()
        # Counted a cycle later, which cuts the paths from the array; a pass ends later than its last operation.
        counts = {
            "operations": self.issued,
            "busy": self.groups.taken,
            "activations": ~self.groups.offered & running.replicate(self.config.groups),
            "post": self.groups.offered & ~self.groups.taken,
        }
        m.d.comb += [running.eq(states.ongoing("RUN") & ~self.idle), waiting.eq(states.ongoing("WEIGHTS"))]
        for name, bits in counts.items():
            seen = Signal(self.config.groups, name=f"{name}_seen")
            m.d.sync += [seen.eq(bits), report[name].eq(report[name] + sum(seen[1:], start=seen[0]))]
        m.d.sync += [report.cycles.eq(report.cycles + 1), report.weights.eq(report.weights + waiting)]
        with m.If(self.reports.valid):
            m.d.sync += report.eq(report)
        with m.If(states.ongoing("TAKE")):
            m.d.sync += [report.eq(0), report.cycles.eq(1)]
