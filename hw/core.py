"""The accelerator core: assembles, nothing else.

::

    layers --------> sequencer ------------- descriptor, pass ------------> everyone
       |                 ^                                      +--------------> reports
       v                 |
    weights --> weight loader --> weight memories (G) --+        parameters
                                                        v             |
    features_in --> decoder --> loader -+      +--> front ends        |
                                        v      |    (G streams)       v
                                 activation memory       |       post-processor <-- collector <-- vector unit
                                        ^      |         v            |                 ^              ^
    features_out <-- encoder <-- store -+------+     MAC array -------|-----------------+              |
                                        ^      |                      |                                |
                                        |      +----------------------|--------------------------------+
                                        +------- result writer <------+
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.control.collector import ResultCollector
from hw.control.descriptor import Dataflow, LayerDescriptor, Operation, moves_only, runs_on_vector_unit
from hw.control.feature_loader import FeatureLoader
from hw.control.feature_store import FeatureStore
from hw.control.retirement import Retirement
from hw.control.segment_collector import SegmentCollector
from hw.control.sequencer import LayerReport, Sequencer
from hw.control.units import UnitTag
from hw.control.weight_loader import WeightLoader
from hw.control.writer import Destination, ResultWriter
from hw.dataflow.front_ends import FrontEnds
from hw.mac.array import MacArray
from hw.memory.activation import ActivationMemory
from hw.memory.weights import WeightMemory, weight_beat
from hw.post.layouts import PostInput
from hw.post.processor import PostProcessor
from hw.stream.delay import delay
from hw.stream.dense_decoder import DenseDecoder
from hw.stream.dense_encoder import DenseEncoder
from hw.stream.layouts import DecodedWord, FeatureBeat, Segment
from hw.stream.register import path_cut
from hw.stream.sparse_decoder import SparseDecoder
from hw.stream.sparse_encoder import SparseEncoder
from hw.vector.unit import VectorUnit


class CoreErrors(data.StructLayout):
    """Sticky errors.

    `packet`: an input packet ended in the wrong place. `collision`: a word was read while it was written, which the
    design excludes.
    """

    def __init__(self) -> None:
        super().__init__({"packet": 1, "collision": 1})


class Core(wiring.Component):
    """A sparse-CNN core: layers in, feature maps in, feature maps out.

    Between layers, feature maps stay in the activation memory or travel by stream, as each descriptor says. The streams
    are independent: each may stall or run ahead at any time. Weights of a layer may come before, while or after its
    descriptor; they are taken as far as there is room.

    Ports
    -----
    layers
        In stream of `LayerDescriptor`, one a layer.
    weights
        In stream of weight words: for each pass, for each block of maps, parameters and weights (see `WeightLoader`).
    features_in
        In stream of beats: for each layer whose input is streamed, for each pass that loads, the packets of its rows
        (SM/NZVL or dense).
    features_out
        Out stream of beats: for each layer whose output is streamed, for each pass that stores, the packets of its
        rows.
    reports
        Out stream of `LayerReport`, one a layer, after its last packet.
    busy
        A layer is running.
    errors
        Sticky until reset; see `CoreErrors`.
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
                "busy": Out(1),
                "errors": Out(CoreErrors()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.sequencer = sequencer = Sequencer(config)
        m.submodules.weight_loader = weight_loader = WeightLoader(config)
        m.submodules.retirement = retirement = Retirement(config)
        m.submodules.front_end = front_end = FrontEnds(config)
        m.submodules.loader = loader = FeatureLoader(config)
        m.submodules.store = store = FeatureStore(config)
        m.submodules.writer = writer = ResultWriter(config)
        m.submodules.post = post = PostProcessor(config, Destination(config))
        vector = VectorUnit(config) if config.vector else None
        readers = [*zip(front_end.requests, front_end.responses, strict=True), (store.request, store.response)]
        if vector is not None:
            m.submodules.vector = vector
            readers.append((vector.request, vector.response))
        m.submodules.activations = activations = ActivationMemory(config, len(readers))
        for reader, (request, response) in enumerate(readers):
            connect(m, producer=request, consumer=activations.requests[reader])
            connect(m, producer=activations.responses[reader], consumer=response)

        self._run_layers(m, sequencer, weight_loader)
        segments = SegmentCollector(config) if config.rsnn else None
        self._run_pass(m, sequencer, front_end, vector, segments, retirement, loader, store)
        self._connect_streams(m, loader, store)
        beats = self._array_results(m, sequencer, front_end, segments)
        if vector is not None:
            m.d.comb += vector.parity.eq(sequencer.parity)
            beats = self._either(m, runs_on_vector_unit(sequencer.layer.operation), vector.beats, beats)
        m.d.comb += [
            post.offset.eq(sequencer.layer.post.offset),
            post.lower.eq(sequencer.layer.post.lower),
            post.upper.eq(sequencer.layer.post.upper),
        ]
        connect(m, producer=weight_loader.parameters, consumer=post.parameters)
        connect(m, producer=beats, consumer=post.results)
        connect(m, producer=post.outputs, consumer=writer.outputs)
        connect(m, producer=writer.complete, consumer=retirement.complete)
        connect(m, producer=writer.writes, consumer=activations.writes[0])
        connect(m, producer=loader.writes, consumer=activations.writes[1])
        self._connect_weights(m, front_end, weight_loader)
        collision = Signal()
        m.d.comb += self.errors.collision.eq(collision)
        with m.If(activations.collision):
            m.d.sync += collision.eq(1)
        return m

    def _run_layers(self, m: Module, sequencer: Sequencer, weight_loader: WeightLoader) -> None:
        """A descriptor waits at `layers` until the layer before is done; the weight loader looks at it there, once.

        One without weights need not be looked at.
        """
        seen, known = Signal(), Signal()
        m.d.comb += [
            known.eq(seen | moves_only(self.layers.payload.operation)),
            weight_loader.layers.valid.eq(self.layers.valid & ~known),
            weight_loader.layers.payload.eq(self.layers.payload),
            sequencer.layers.valid.eq(self.layers.valid & known),
            sequencer.layers.payload.eq(self.layers.payload),
            self.layers.ready.eq(sequencer.layers.ready & known),
            weight_loader.release.eq(sequencer.release),
            weight_loader.released_words.eq(sequencer.released_words),
            sequencer.loaded.eq(weight_loader.loaded),
            self.busy.eq(sequencer.busy),
        ]
        with m.If(weight_loader.layers.valid & weight_loader.layers.ready):
            m.d.sync += seen.eq(1)
        with m.Elif(sequencer.layers.valid & sequencer.layers.ready):
            m.d.sync += seen.eq(0)
        connect(m, producer=flipped(self.weights), consumer=weight_loader.beats)
        connect(m, producer=sequencer.reports, consumer=flipped(self.reports))

    def _run_pass(
        self,
        m: Module,
        sequencer: Sequencer,
        front_end: FrontEnds,
        vector: VectorUnit | None,
        segments: SegmentCollector | None,
        retirement: Retirement,
        loader: FeatureLoader,
        store: FeatureStore,
    ) -> None:
        layer = sequencer.layer
        stays = layer.operation == Operation.STORE
        m.d.comb += [
            front_end.layer.eq(layer),
            front_end.weights_base.eq(sequencer.weights_base),
            front_end.first_channel.eq(sequencer.first_channel),
            front_end.blocks_last.eq(sequencer.blocks_last),
            front_end.can_issue_run.eq(retirement.can_issue_run),
            front_end.start.eq(sequencer.convolve),
            front_end.rows_loaded.eq(loader.rows_loaded),
            front_end.rows_stored.eq(store.rows_stored),
            retirement.start.eq(sequencer.start),
            retirement.columns_last.eq(layer.output.columns_last),
            loader.input.eq(layer.input),
            loader.window.eq(layer.window),
            loader.start.eq(sequencer.load),
            loader.present.eq(sequencer.present),
            loader.rows_finished.eq(retirement.rows),
            store.output.eq(layer.output),
            store.final.eq(sequencer.final),
            store.start.eq(sequencer.store),
            store.rows_finished.eq(Mux(stays, layer.output.rows_last + 1, retirement.rows)),
            sequencer.issued.eq(front_end.issued),
            sequencer.groups.offered.eq(Cat(operands.valid for operands in front_end.operands)),
            sequencer.groups.taken.eq(Cat(operands.valid & operands.ready for operands in front_end.operands)),
        ]
        workers: list[Any] = [front_end]
        if vector is not None:
            workers.append(vector)
            m.d.comb += [vector.layer.eq(layer), vector.start.eq(sequencer.compute)]
        for worker in workers:
            m.d.comb += [worker.can_issue.eq(retirement.can_issue), worker.sequence.eq(retirement.sequence)]
        if segments is not None:
            workers.append(segments)
            m.d.comb += [
                segments.layer.eq(layer),
                segments.start.eq(sequencer.convolve & self._runs_rsnn(sequencer)),
                segments.can_issue_run.eq(retirement.can_issue_run),
                segments.sequence.eq(retirement.sequence),
            ]
        working = Cat(worker.busy for worker in workers).any()
        m.d.comb += [
            # At most one of them works.
            retirement.issue.eq(reduce(or_, (worker.issue for worker in workers))),
            sequencer.idle.eq(~working & retirement.idle & ~loader.busy & ~store.busy),
        ]

    def _connect_streams(self, m: Module, loader: FeatureLoader, store: FeatureStore) -> None:
        sparse = self.config.sparse_streams
        m.submodules.decoder = decoder = (SparseDecoder if sparse else DenseDecoder)(self.config)
        m.submodules.encoder = encoder = (SparseEncoder if sparse else DenseEncoder)(self.config)
        m.submodules.segments = segments = path_cut(self.config, Segment(self.config))
        connect(m, producer=loader.segments, consumer=segments.i)
        connect(m, producer=segments.o, consumer=decoder.segments)
        connect(m, producer=flipped(self.features_in), consumer=decoder.beats)
        # Cuts the path from the activation memory's write ports to the decoder's window of units.
        m.submodules.decoded = decoded = path_cut(self.config, DecodedWord(self.config))
        connect(m, producer=decoder.words, consumer=decoded.i)
        connect(m, producer=decoded.o, consumer=loader.words)
        connect(m, producer=store.words, consumer=encoder.words)
        connect(m, producer=encoder.beats, consumer=flipped(self.features_out))
        m.d.comb += [
            self.errors.packet.eq(decoder.error),
            store.packet_left.eq(encoder.beats.valid & encoder.beats.ready & encoder.beats.payload.last),
        ]

    def _connect_weights(self, m: Module, front_end: FrontEnds, weight_loader: WeightLoader) -> None:
        """In a large core a word takes a cycle from the loader to the memories, less than a pass takes to start."""
        cycles = int(self.config.large)
        for group in range(self.config.groups):
            m.submodules[f"weights_{group}"] = memory = WeightMemory(self.config)
            connect(m, front_end.weights[group], memory.read)
            word = Value.cast(weight_loader.weight_data)
            enable = weight_loader.weight_enable[group]
            m.d.comb += [
                memory.write.address.eq(delay(m, weight_loader.weight_address, cycles, name=f"weight_address_{group}")),
                memory.write.data.eq(delay(m, word, cycles, name=f"weight_data_{group}")),
                memory.write.enable.eq(delay(m, enable, cycles, name=f"weight_enable_{group}", reset_less=False)),
            ]

    def _runs_rsnn(self, sequencer: Sequencer) -> Value:
        """Whether a convolution of this layer is of the rsnn dataflow, in a core that has it."""
        return sequencer.layer.dataflow == Dataflow.RSNN if len(self.config.dataflows) > 1 else Const(1)

    def _array_results(
        self, m: Module, sequencer: Sequencer, front_end: FrontEnds, segments: SegmentCollector | None
    ) -> stream.Interface:
        """The array and its collectors; returns the collected beats."""
        m.submodules.array = array = MacArray(self.config, UnitTag(self.config))
        for operands, into in zip(front_end.operands, array.operands, strict=True):
            connect(m, producer=operands, consumer=into)
        if segments is None:
            return self._collected(m, sequencer, list(array.results))
        m.submodules.segment_collector = segments
        m.d.comb += [
            segments.map_beats_last.eq(sequencer.map_beats_last),
            segments.parity.eq(sequencer.parity),
            segments.first_channel.eq(sequencer.first_channel),
        ]
        if self.config.dataflows == ("rsnn",):
            for results, into in zip(array.results, segments.results, strict=True):
                connect(m, producer=results, consumer=into)
            return segments.beats
        chosen = self._runs_rsnn(sequencer)
        others = []
        for group, (results, into) in enumerate(zip(array.results, segments.results, strict=True)):
            other = stream.Signature(results.payload.shape()).create(path=(f"results_{group}",))
            _deal(m, chosen, results, into, other)
            others.append(other)
        return self._either(m, chosen, segments.beats, self._collected(m, sequencer, others), name="collected")

    def _collected(self, m: Module, sequencer: Sequencer, results: list[stream.Interface]) -> stream.Interface:
        """The beats of results that are many maps of a pixel each."""
        m.submodules.collector = collector = ResultCollector(self.config)
        for result, into in zip(results, collector.results, strict=True):
            connect(m, producer=result, consumer=into)
        m.d.comb += [
            collector.split.eq(sequencer.layer.split),
            collector.blocks_last.eq(sequencer.blocks_last),
            collector.final_beats_last.eq(sequencer.final_beats_last),
            collector.parity.eq(sequencer.parity),
            collector.first_channel.eq(sequencer.first_channel),
        ]
        return collector.beats

    def _either(
        self, m: Module, choice: Value, one: stream.Interface, other: stream.Interface, *, name: str = "results"
    ) -> stream.Interface:
        """The beats of `one` if `choice`, else of `other`; both come from all over the core.

        `choice`: static, two cycles before there are beats.
        """
        results = path_cut(self.config, PostInput(self.config, Destination(self.config)))
        m.submodules[name] = results
        chosen = Signal(name=f"{name}_chosen")
        m.d.sync += chosen.eq(choice)
        m.d.comb += [
            results.i.payload.eq(Mux(chosen, Value.cast(one.payload), Value.cast(other.payload))),
            results.i.valid.eq(Mux(chosen, one.valid, other.valid)),
            one.ready.eq(chosen & results.i.ready),
            other.ready.eq(~chosen & results.i.ready),
        ]
        return results.o


def _deal(m: Module, choice: Value, source: stream.Interface, one: stream.Interface, other: stream.Interface) -> None:
    """What comes from `source` goes to `one` if `choice`, else to `other`."""
    m.d.comb += [
        one.payload.eq(source.payload),
        other.payload.eq(source.payload),
        one.valid.eq(source.valid & choice),
        other.valid.eq(source.valid & ~choice),
        source.ready.eq(Mux(choice, one.ready, other.ready)),
    ]
