"""The sparsity-map decoder: from words to operations on single non-zero activations."""

from __future__ import annotations

from amaranth import Cat, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.dataflow.nullhop.layouts import PixelOperation, WordContext
from hw.memory.arbiter import lowest_one, one_hot_mux
from hw.memory.word_reader import Word


class MapDecoder(wiring.Component):
    """Issues one operation a cycle: each non-zero activation of a word, lowest element first, with its weight address.

    Zero activations cost nothing. A word without any (which comes only where it closes a result) costs one cycle,
    with a
    `null` operation. Cycles of a word: max(1, non-zero activations), and no gap between words. Latency: 0 cycles.

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
        word, operation = self.words.payload, self.operations.payload
        # The word stays where it waits; only which of its activations have been issued is kept here.
        issued = Signal(WORD_ELEMENTS)
        first = Signal(init=1)
        left = word.map & ~issued
        chosen = lowest_one(left)
        stored = one_hot_mux(chosen, list(word.data))
        word_done = Signal()
        m.d.comb += [
            self.operations.valid.eq(self.words.valid),
            operation.activation.eq(Cat(stored, stored > self.threshold)),
            operation.weights.eq(word.meta.weights + self._index(chosen)),
            operation.null.eq(~word.map.any()),
            operation.first.eq(first),
            operation.last.eq(word.meta.last & word_done),
            operation.tag.eq(word.meta.tag),
            word_done.eq(left == chosen),
            self.words.ready.eq(self.operations.ready & word_done),
        ]
        with m.If(self.operations.valid & self.operations.ready):
            m.d.sync += [first.eq(operation.last), issued.eq(Mux(word_done, 0, issued | chosen))]
        return m

    @staticmethod
    def _index(one_hot: Value) -> Value:
        bits = ceil_log2(WORD_ELEMENTS)
        return Cat(Cat(one_hot[i] for i in range(WORD_ELEMENTS) if i >> bit & 1).any() for bit in range(bits))
