"""Streaming reads of the activation memory: addresses in, words with their sparsity map out."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.memory.activation import activation_word, read_latency


class WordRequest(data.StructLayout):
    """A word that is wanted.

    `read` it at `address`, or take it as all zero; `keep` it even if it is zero; `meta` comes back with it.
    """

    def __init__(self, config: CoreConfig, meta: Any) -> None:
        super().__init__({"address": config.activation_address_bits, "read": 1, "keep": 1, "meta": meta})


class Word(data.StructLayout):
    """A word, its sparsity map (bit i: element i is not zero) and what came with its request.

    Of a word that was not read only the map is right: all zero.
    """

    def __init__(self, config: CoreConfig, meta: Any) -> None:
        super().__init__({"data": activation_word(config), "map": WORD_ELEMENTS, "meta": meta})


class WordReader(wiring.Component):
    """One request a cycle in, words in the same order out; zero words that nobody wants to keep are dropped.

    Up to `fetch_depth` words are under way or waiting, which hides the memory's latency and its arbitration. Latency:
    read_latency + 1 cycles from an accepted request to its word.

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
        wanted = self.requests.payload
        issue, drop, pop = Signal(), Signal(), Signal()
        m.d.comb += [
            self.request.payload.eq(wanted.address),
            self.request.valid.eq(self.requests.valid & wanted.read & (credits != 0)),
            self.requests.ready.eq((credits != 0) & (~wanted.read | self.request.ready)),
            issue.eq(self.requests.valid & self.requests.ready),
        ]
        m.d.sync += credits.eq(credits - issue + drop + pop)

        arrived, request = self._delay(m, issue, wanted)
        word = Signal(Word(self.config, self.meta))
        m.d.comb += [
            word.data.eq(self.response.data),
            word.map.eq(Cat(element.any() & request.read for element in word.data)),
            word.meta.eq(request.meta),
            drop.eq(arrived & ~word.map.any() & ~request.keep),
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

    def _delay(self, m: Module, issue: Value, request: Any) -> tuple[Value, Any]:
        """The request, as long after its issue as the memory's response comes."""
        for stage in range(read_latency(self.config)):
            later_issue = Signal(name=f"issued_{stage}")
            later = Signal(WordRequest(self.config, self.meta), name=f"request_{stage}")
            m.d.sync += [later_issue.eq(issue), later.eq(request)]
            issue, request = later_issue, later
        return issue, request
