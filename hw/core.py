"""The accelerator core: assembles, nothing else.

::

    layers --------> sequencer ------------- descriptor, pass ------------> everyone
       |                 ^                                      +--------------> reports
       v                 |
    weights --> weight loader --> weight memories (G) --+        parameters
                                                        v             |
    features_in --> decoder --> loader -+      +--> NullHop front     |
                                        v      |    end (G streams)   v
                                 activation memory       |       post-processor <-- collector
                                        ^      |         v            |                 ^
    features_out <-- encoder <-- store -+------+     MAC array -------|-----------------+
                                        ^                             |
                                        +------- result writer <------+
"""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.control.collector import ResultCollector
from hw.control.descriptor import LayerDescriptor
from hw.control.feature_loader import FeatureLoader
from hw.control.feature_store import FeatureStore
from hw.control.retirement import Retirement
from hw.control.sequencer import LayerReport, Sequencer
from hw.control.units import UnitTag
from hw.control.weight_loader import WeightLoader
from hw.control.writer import Destination, ResultWriter
from hw.dataflow.nullhop.front_end import NullHopFrontEnd
from hw.mac.array import MacArray
from hw.memory.activation import ActivationMemory
from hw.memory.weights import WeightMemory, weight_word
from hw.post.processor import PostProcessor
from hw.stream.layouts import DecodedWord, FeatureBeat
from hw.stream.register import path_cut
from hw.stream.sparse_decoder import SparseDecoder
from hw.stream.sparse_encoder import SparseEncoder


class CoreErrors(data.StructLayout):
    """Sticky errors.

    `packet`: an input packet ended in the wrong place. `collision`: a word was read while it was written, which the
    design excludes.
    """

    def __init__(self) -> None:
        super().__init__({"packet": 1, "collision": 1})


class Core(wiring.Component):
    """A sparse-CNN core with the NullHop dataflow: layers in, feature maps in, feature maps out.

    The streams are independent: each may stall or run ahead at any time. Weights of a layer may come before, while or
    after its descriptor; they are taken as far as there is room.

    Ports
    -----
    layers
        In stream of `LayerDescriptor`, one a layer.
    weights
        In stream of weight words: for each pass, for each block of maps, parameters and weights (see `WeightLoader`).
    features_in
        In stream of beats: for each layer, for each pass that loads, the packets of its rows (SM/NZVL or dense).
    features_out
        Out stream of beats: for each layer, for each pass that stores, the packets of its rows.
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
                "weights": In(stream.Signature(weight_word(config))),
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
        m.submodules.front_end = front_end = NullHopFrontEnd(config)
        m.submodules.loader = loader = FeatureLoader(config)
        m.submodules.store = store = FeatureStore(config)
        m.submodules.activations = activations = ActivationMemory(config, readers=config.groups + 1)

        self._run_layers(m, sequencer, weight_loader)
        self._run_pass(m, sequencer, front_end, retirement, loader, store)
        self._connect_streams(m, loader, store)
        self._connect_results(m, sequencer, weight_loader, front_end, retirement, activations)
        for group in range(config.groups):
            connect(m, producer=front_end.requests[group], consumer=activations.requests[group])
            connect(m, producer=activations.responses[group], consumer=front_end.responses[group])
            m.submodules[f"weights_{group}"] = memory = WeightMemory(config)
            connect(m, front_end.weights[group], memory.read)
            m.d.comb += [
                memory.write.address.eq(weight_loader.weight_address),
                memory.write.data.eq(weight_loader.weight_data),
                memory.write.enable.eq(weight_loader.weight_enable[group]),
            ]
        connect(m, producer=store.request, consumer=activations.requests[config.groups])
        connect(m, producer=activations.responses[config.groups], consumer=store.response)
        connect(m, producer=loader.writes, consumer=activations.writes[1])
        collision = Signal()
        m.d.comb += self.errors.collision.eq(collision)
        with m.If(activations.collision):
            m.d.sync += collision.eq(1)
        return m

    def _run_layers(self, m: Module, sequencer: Sequencer, weight_loader: WeightLoader) -> None:
        """A descriptor waits at `layers` until the layer before is done; the weight loader looks at it there, once."""
        seen = Signal()
        m.d.comb += [
            weight_loader.layers.valid.eq(self.layers.valid & ~seen),
            weight_loader.layers.payload.eq(self.layers.payload),
            sequencer.layers.valid.eq(self.layers.valid & seen),
            sequencer.layers.payload.eq(self.layers.payload),
            self.layers.ready.eq(sequencer.layers.ready & seen),
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
        front_end: NullHopFrontEnd,
        retirement: Retirement,
        loader: FeatureLoader,
        store: FeatureStore,
    ) -> None:
        layer = sequencer.layer
        m.d.comb += [
            front_end.layer.eq(layer),
            front_end.weights_base.eq(sequencer.weights_base),
            front_end.start.eq(sequencer.start),
            front_end.rows_loaded.eq(loader.rows_loaded),
            front_end.rows_stored.eq(store.rows_stored),
            front_end.can_issue.eq(retirement.can_issue),
            front_end.sequence.eq(retirement.sequence),
            retirement.start.eq(sequencer.start),
            retirement.columns_last.eq(layer.output.columns_last),
            retirement.issue.eq(front_end.issue),
            loader.input.eq(layer.input),
            loader.window.eq(layer.window),
            loader.start.eq(sequencer.load),
            loader.rows_finished.eq(retirement.rows),
            store.output.eq(layer.output),
            store.final.eq(sequencer.final),
            store.start.eq(sequencer.store),
            store.rows_finished.eq(retirement.rows),
            sequencer.idle.eq(~front_end.busy & retirement.idle & ~loader.busy & ~store.busy),
            sequencer.issued.eq(front_end.issued),
        ]

    def _connect_streams(self, m: Module, loader: FeatureLoader, store: FeatureStore) -> None:
        m.submodules.decoder = decoder = SparseDecoder(self.config)
        m.submodules.encoder = encoder = SparseEncoder(self.config)
        connect(m, producer=loader.segments, consumer=decoder.segments)
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

    def _connect_results(
        self,
        m: Module,
        sequencer: Sequencer,
        weight_loader: WeightLoader,
        front_end: NullHopFrontEnd,
        retirement: Retirement,
        activations: ActivationMemory,
    ) -> None:
        config = self.config
        m.submodules.array = array = MacArray(config, UnitTag(config))
        m.submodules.collector = collector = ResultCollector(config)
        m.submodules.post = post = PostProcessor(config, Destination(config))
        m.submodules.writer = writer = ResultWriter(config)
        for group in range(config.groups):
            connect(m, producer=front_end.operands[group], consumer=array.operands[group])
            connect(m, producer=array.results[group], consumer=collector.results[group])
        m.d.comb += [
            collector.split.eq(sequencer.layer.split),
            collector.blocks_last.eq(sequencer.blocks_last),
            collector.final_beats_last.eq(sequencer.final_beats_last),
            collector.parity.eq(sequencer.parity),
            collector.first_channel.eq(sequencer.first_channel),
            post.lower.eq(sequencer.layer.post.lower),
            post.upper.eq(sequencer.layer.post.upper),
        ]
        connect(m, producer=weight_loader.parameters, consumer=post.parameters)
        connect(m, producer=collector.beats, consumer=post.results)
        connect(m, producer=post.outputs, consumer=writer.outputs)
        connect(m, producer=writer.writes, consumer=activations.writes[0])
        connect(m, producer=writer.complete, consumer=retirement.complete)
