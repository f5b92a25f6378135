"""Streaming reads of the activation memory: addresses in, words with their sparsity map out."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.memory.activation import activation_word
from hw.stream.delay import delay


class WordRequest(data.StructLayout):
    """A word that is wanted.

    `read` it at `address`, or take it as all zero (the memory is asked all the same, so that words stay in order: give
    a word that nobody writes then); `keep` it even if it is zero; `meta` comes back with it.
    """

    def __init__(self, config: CoreConfig, meta: Any) -> None:
        super().__init__({"address": config.activation_address_bits, "read": 1, "keep": 1, "meta": meta})


class Word(data.StructLayout):
    """A word, its sparsity map (bit i: element i is not zero) and what came with its request.

    Of a word that was not read only the map is right: all zero.
    """

    def __init__(self, config: CoreConfig, meta: Any) -> None:
        super().__init__({"data": activation_word(config), "map": config.word_elements, "meta": meta})


class WordReader(wiring.Component):
    """One request a cycle in, words in the same order out; zero words that nobody wants to keep are dropped.

    Up to `fetch_depth` words are under way or waiting, which hides the memory's latency and its arbitration. Latency:
    read_latency + 1 cycles from an accepted request to its word, and what the arbitration adds. In a large core the
    place of a word that is taken is free a cycle later.

    Ports: `requests` In stream of `WordRequest`, `words` Out stream of `Word`; `request` and `response` to the memory.
    """

    def __init__(self, config: CoreConfig, meta: Any) -> None:
        self.config = config
        self.meta = meta
        super().__init__(
            {
                "requests": In(stream.Signature(WordRequest(config, meta))),
                "words": Out(stream.Signature(Word(config, meta))),
                "request": Out(stream.Signature(config.activation_address_bits)),
                "response": In(wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self.config.fetch_depth
        credits = Signal(range(depth + 1), init=depth)
        issue, drop, pop = Signal(), Signal(), Signal()
        m.d.comb += [
            self.request.payload.eq(self.requests.payload.address),
            self.request.valid.eq(self.requests.valid & (credits != 0)),
            self.requests.ready.eq(self.request.ready & (credits != 0)),
            issue.eq(self.requests.valid & self.requests.ready),
        ]
        # That a word is all zero, or taken, is known late in a cycle.
        returned = delay(m, (drop + pop)[:2], int(self.config.large), name="returned", reset_less=False)
        m.d.sync += credits.eq(credits - issue + returned)

        if depth == 1:
            self._hold(m, issue, drop, pop)
            return m
        arrived, asked = self._asked(m, issue)
        word = Signal(Word(self.config, self.meta))
        m.d.comb += [
            word.data.eq(self.response.data),
            word.map.eq(Cat(element.any() & asked.read for element in word.data)),
            word.meta.eq(asked.meta),
            drop.eq(arrived & ~word.map.any() & ~asked.keep),
        ]
        m.submodules.queue = queue = fifo.SyncFIFO(width=len(Value.cast(word)), depth=depth)
        m.d.comb += [
            queue.w_data.eq(word),
            queue.w_en.eq(arrived & ~drop),
            Value.cast(self.words.payload).eq(queue.r_data),
            self.words.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.words.ready),
            pop.eq(self.words.valid & self.words.ready),
        ]
        return m

    def _hold(self, m: Module, issue: Value, drop: Value, pop: Value) -> None:
        """A single word needs no queues: what was asked for with it is kept until it is taken."""
        word, wanted = self.words.payload, self.requests.payload
        asked = Signal(self._asked_layout())
        m.d.comb += [
            word.map.eq(Cat(element.any() & asked.read for element in word.data)),
            word.meta.eq(asked.meta),
            drop.eq(self.response.valid & ~asked.keep & ~(Value.cast(self.response.data).any() & asked.read)),
            pop.eq(self.words.valid & self.words.ready),
        ]
        with m.If(issue):
            m.d.sync += [asked.read.eq(wanted.read), asked.keep.eq(wanted.keep), asked.meta.eq(wanted.meta)]
        with m.If(self.response.valid):
            m.d.sync += [word.data.eq(self.response.data), self.words.valid.eq(~drop)]
        with m.Elif(pop):
            m.d.sync += self.words.valid.eq(0)

    def _asked_layout(self) -> data.StructLayout:
        return data.StructLayout({"read": 1, "keep": 1, "meta": self.meta})

    def _asked(self, m: Module, issue: Value) -> tuple[Value, data.View]:
        """Whether a word has come, and what was asked for with it: answers come in the order of the requests."""
        layout = self._asked_layout()
        asked, wanted = Signal(layout), self.requests.payload
        m.submodules.under_way = under_way = fifo.SyncFIFO(width=layout.size, depth=self.config.fetch_depth)
        m.d.comb += [
            under_way.w_data.eq(Cat(wanted.read, wanted.keep, wanted.meta)),
            under_way.w_en.eq(issue),
            Value.cast(asked).eq(under_way.r_data),
            under_way.r_en.eq(self.response.valid),
        ]
        return self.response.valid, asked
