"""The feature store: finished rows from the output ring of the activation memory to the stream."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.control.descriptor import OutputLayout
from hw.memory.activation import activation_word
from hw.memory.word_reader import WordReader, WordRequest
from hw.stream.layouts import PlainWord
from hw.stream.register import StreamRegister


class StoreContext(data.StructLayout):
    """What a stored word is: its valid elements, and whether the packet ends with it."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"count": range(config.word_elements + 1), "last": 1})


class FeatureStore(wiring.Component):
    """Reads each finished row, in order, and hands its words to the encoder. One word a cycle.

    Ports: static `output`, `final` (the pass is the last one); `start` (pulse), `busy` (until the last packet has
    left);
    `rows_finished`, `rows_stored` (rows whose place in the ring is free again); `request`, `response` to the activation
    memory; `words` Out to the encoder; `packet_left` (pulse: the encoder has sent a packet's last beat).
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        rows = range(config.max_size + 2)
        super().__init__(
            {
                "output": In(OutputLayout(config)),
                "final": In(1),
                "start": In(1),
                "busy": Out(1),
                "rows_finished": In(rows),
                "rows_stored": Out(rows),
                "request": Out(stream.Signature(config.activation_address_bits)),
                "response": In(wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})),
                "words": Out(stream.Signature(PlainWord(config))),
                "packet_left": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request = WordRequest(self.config, StoreContext(self.config))
        m.submodules.walk_register = walk_register = StreamRegister(request)
        m.submodules.reader = reader = WordReader(self.config, StoreContext(self.config))
        connect(m, producer=walk_register.o, consumer=reader.requests)
        connect(m, producer=reader.request, consumer=flipped(self.request))
        connect(m, producer=flipped(self.response), consumer=reader.response)
        word = reader.words.payload
        m.d.comb += [
            self.words.valid.eq(reader.words.valid),
            reader.words.ready.eq(self.words.ready),
            self.words.payload.data.eq(word.data),
            self.words.payload.count.eq(word.meta.count),
            self.words.payload.last.eq(word.meta.last),
            self.words.payload.sparse.eq(self.output.sparse),
        ]
        self._walk(m, walk_register.i)
        # A row's place is free once the memory has taken the request for its last word, however long that waited.
        row_read = reader.requests.valid & reader.requests.ready & reader.requests.payload.meta.last
        m.d.sync += self.rows_stored.eq(self.rows_stored + row_read)
        packets = Signal.like(self.rows_stored)
        with m.If(self.packet_left):
            m.d.sync += [packets.eq(packets + 1), self.busy.eq(packets != self.output.rows_last)]
        with m.If(self.start):
            m.d.sync += [packets.eq(0), self.rows_stored.eq(0), self.busy.eq(1)]
        return m

    def _walk(self, m: Module, steps: stream.Interface) -> None:
        layout = self.output
        rows_walked = Signal.like(self.rows_stored)
        column, word = Signal.like(layout.columns_last), Signal.like(layout.store_words_last)
        row_address = Signal.like(layout.base)
        pixel_address = Signal.like(layout.base)
        ring_row = Signal.like(layout.ring_rows_last)
        words_last = Mux(self.final, layout.final_store_words_last, layout.store_words_last)
        tail = Mux(self.final, layout.final_store_tail, layout.store_tail)
        pixel_done = word == words_last
        row_done = pixel_done & (column == layout.columns_last)
        wrap = ring_row == layout.ring_rows_last
        next_row_address = Mux(wrap, layout.base, row_address + layout.row_words)
        m.d.comb += [
            steps.valid.eq(self.busy & (self.rows_finished > rows_walked)),
            steps.payload.address.eq(pixel_address + word),
            steps.payload.read.eq(1),
            steps.payload.keep.eq(1),
            steps.payload.meta.count.eq(Mux(pixel_done, tail, self.config.word_elements)),
            steps.payload.meta.last.eq(row_done),
        ]
        with m.If(steps.valid & steps.ready):
            m.d.sync += word.eq(word + 1)
            with m.If(pixel_done):
                m.d.sync += [
                    word.eq(0),
                    column.eq(column + 1),
                    pixel_address.eq(pixel_address + layout.pixel_words),
                ]
            with m.If(row_done):
                m.d.sync += [
                    column.eq(0),
                    ring_row.eq(Mux(wrap, 0, ring_row + 1)),
                    row_address.eq(next_row_address),
                    pixel_address.eq(next_row_address),
                    rows_walked.eq(rows_walked + 1),
                ]
        with m.If(self.start):
            m.d.sync += [
                column.eq(0),
                word.eq(0),
                ring_row.eq(0),
                row_address.eq(layout.base),
                pixel_address.eq(layout.base),
                rows_walked.eq(0),
            ]
