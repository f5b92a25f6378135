"""The sparsity-map decoder: from words to operations on single non-zero activations."""

from __future__ import annotations

from amaranth import Cat, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import CoreConfig
from hw.dataflow.nullhop.layouts import PixelOperation, WordContext
from hw.memory.arbiter import lowest_one, one_hot_mux
from hw.memory.word_reader import Word
from hw.stream.register import path_cut


class ChosenActivation(data.StructLayout):
    """An activation picked out of its word: as stored, with its place there."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "stored": config.activation_bits,
                "place": range(config.word_elements),
                "null": 1,
                "word_last": 1,
                "context": WordContext(config),
            }
        )


class MapDecoder(wiring.Component):
    """Issues one operation a cycle: each non-zero activation of a word, lowest element first, with its weight address.

    ::

        words --> choose --> skid buffer --> sign, weight address --> operations

    Zero activations cost nothing. A word without any (which comes only where it closes a result) costs one cycle,
    with a `null` operation. Cycles of a word: max(1, non-zero activations), and no gap between words. Latency: 1 cycle;
    0 in a core of one group, which has no skid buffer.

    The stored byte s is read as the signed distance from the zero point: s - 2**b where s > `threshold`, else s.

    Ports: `words` In stream, `operations` Out stream of `PixelOperation`; static `threshold`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "threshold": In(config.activation_bits),
                "words": In(stream.Signature(Word(config, WordContext(config)))),
                "operations": Out(stream.Signature(PixelOperation(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Also keeps the array's back-pressure away from the words.
        m.submodules.chosen = chosen = path_cut(self.config, ChosenActivation(self.config))
        self._choose(m, chosen.i)
        self._complete(m, chosen.o)
        return m

    def _choose(self, m: Module, chosen: stream.Interface) -> None:
        word, activation = self.words.payload, chosen.payload
        # The word stays where it waits; only which of its activations have been issued is kept here.
        issued = Signal(self.config.word_elements)
        left = word.map & ~issued
        lowest = lowest_one(left)
        word_done = Signal()
        m.d.comb += [
            chosen.valid.eq(self.words.valid),
            activation.stored.eq(one_hot_mux(lowest, list(word.data))),
            activation.place.eq(self._index(lowest)),
            activation.null.eq(~word.map.any()),
            activation.word_last.eq(word_done),
            activation.context.eq(word.meta),
            word_done.eq(left == lowest),
            self.words.ready.eq(chosen.ready & word_done),
        ]
        with m.If(chosen.valid & chosen.ready):
            m.d.sync += issued.eq(Mux(word_done, 0, issued | lowest))

    def _complete(self, m: Module, chosen: stream.Interface) -> None:
        activation, operation = chosen.payload, self.operations.payload
        first = Signal(init=1)
        m.d.comb += [
            self.operations.valid.eq(chosen.valid),
            chosen.ready.eq(self.operations.ready),
            operation.activation.eq(Cat(activation.stored, activation.stored > self.threshold)),
            operation.weights.eq(activation.context.weights + activation.place),
            operation.null.eq(activation.null),
            operation.first.eq(first),
            operation.last.eq(activation.context.last & activation.word_last),
            operation.tag.eq(activation.context.tag),
        ]
        with m.If(self.operations.valid & self.operations.ready):
            m.d.sync += first.eq(operation.last)

    @staticmethod
    def _index(one_hot: Value) -> Value:
        places = range(len(one_hot))
        return Cat(Cat(one_hot[i] for i in places if i >> bit & 1).any() for bit in range(ceil_log2(len(places))))
