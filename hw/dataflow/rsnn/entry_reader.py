"""The entry reader: a group's weight entries, over and over, from its weight memory."""

from __future__ import annotations

from amaranth import Array, Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.dataflow.rsnn.layouts import (
    GroupHeader,
    WeightEntry,
    entries_per_word,
    header_words,
    word_bits,
    words_per_entry,
)
from hw.memory.weights import weight_word, weights_port


class EntryReader(wiring.Component):
    """Reads the header once a pass, and then the entries of a segment again and again.

    An entry a cycle, if a word holds one; otherwise one in as many cycles as it takes words. Each segment begins with a
    word of its own. In a `shared` layer each word of entries is followed by a word of weights for each of them, one a
    lane, which come with the entry; reading the word of entries takes a cycle.

    Ports: static `weights_base`, `shared`; `start` (pulse); `weights` to the weight memory; `header`, valid once there
    are entries; `entries` Out stream of `WeightEntry`, `lane_weights` with it; `rewind`: the entry taken in this cycle
    is the segment's last.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "weights_base": In(config.weight_address_bits),
                "start": In(1),
                "weights": Out(weights_port(config)),
                "header": Out(GroupHeader(config)),
                "shared": In(1),
                "entries": Out(stream.Signature(WeightEntry(config))),
                "lane_weights": Out(weight_word(config)),
                "rewind": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        there, taken, heading = Signal(), Signal(), Signal()
        word = Value.cast(self.weights.data)
        self._ask(m, there, taken)
        self._keep_header(m, word, there, heading)
        entry_taken = Signal()
        m.d.comb += [
            entry_taken.eq(self.entries.valid & self.entries.ready),
            Value.cast(self.lane_weights).eq(word),
        ]
        if entries_per_word(self.config):
            kept = Signal(len(word))
            of_entries = Signal()  # in a shared layer: this is a word of entries
            shared = self.shared if self.config.shares_lanes else Const(0)
            word_done = self._unpack(m, Mux(shared, kept, word), entry_taken)
            m.d.comb += [
                self.entries.valid.eq(there & ~heading & ~(shared & of_entries)),
                taken.eq(there & (heading | (shared & of_entries) | (entry_taken & (shared | word_done)))),
            ]
            with m.If(self.start):
                m.d.sync += of_entries.eq(1)
            with m.Elif(there & ~heading & of_entries):
                m.d.sync += [of_entries.eq(0), kept.eq(word)]
            with m.Elif(entry_taken & word_done):
                m.d.sync += of_entries.eq(1)
        else:
            complete = self._put_together(m, word, there & ~heading, entry_taken)
            m.d.comb += [
                self.entries.valid.eq(there & ~heading & complete),
                taken.eq(there & (heading | ~complete | entry_taken)),
            ]
        return m

    def _ask(self, m: Module, there: Value, taken: Value) -> None:
        """One word ahead: the header's words, and those of the entries in a circle."""
        config = self.config
        first, address = Signal(config.weight_address_bits), Signal(config.weight_address_bits)
        # Words of entries asked for since the first one. The header comes a cycle after that was asked for.
        asked, in_header = Signal(config.weight_address_bits + 1), Signal(range(header_words(config) + 1))
        running, again = Signal(), Signal()
        m.d.comb += [
            first.eq(self.weights_base + header_words(config)),
            again.eq(asked == self.header.words_last + 1),
            self.weights.address.eq(Mux(again, first, address)),
            self.weights.enable.eq(running & (~there | taken)),
        ]
        with m.If(self.start):
            m.d.sync += [running.eq(1), there.eq(0), address.eq(self.weights_base), asked.eq(0)]
            m.d.sync += in_header.eq(header_words(config))
        with m.Elif(self.weights.enable):
            m.d.sync += [there.eq(1), address.eq(self.weights.address + 1)]
            with m.If(in_header != 0):
                m.d.sync += in_header.eq(in_header - 1)
            with m.Else():
                m.d.sync += asked.eq(Mux(again, 1, asked + 1))

    def _keep_header(self, m: Module, word: Value, there: Value, heading: Value) -> None:
        """The words that come first."""
        words = header_words(self.config)
        kept = Signal(words * word_bits(self.config))
        number = Signal(range(words + 1))
        m.d.comb += [heading.eq(number != words), Value.cast(self.header).eq(kept)]
        with m.If(self.start):
            m.d.sync += number.eq(0)
        with m.Elif(there & heading):
            m.d.sync += [number.eq(number + 1), kept.eq(Cat(kept, word)[len(word) :])]

    def _unpack(self, m: Module, word: Value, entry_taken: Value) -> Value:
        """One of the entries in a word; returns whether it is the last that counts."""
        size, count = WeightEntry(self.config).size, entries_per_word(self.config)
        number = Signal(range(count))
        entries = Array(word[at * size : (at + 1) * size] for at in range(count))
        m.d.comb += Value.cast(self.entries.payload).eq(entries[number])
        word_done = (number == count - 1) | self.rewind
        with m.If(self.start):
            m.d.sync += number.eq(0)
        with m.Elif(entry_taken):
            m.d.sync += number.eq(Mux(word_done, 0, number + 1))
        return word_done

    def _put_together(self, m: Module, word: Value, comes: Value, entry_taken: Value) -> Value:
        """An entry of several words; returns whether this word is its last."""
        words = words_per_entry(self.config)
        number, before = Signal(range(words)), Signal((words - 1) * len(word))
        complete = number == words - 1
        so_far = Cat(before, word)
        m.d.comb += Value.cast(self.entries.payload).eq(so_far)
        with m.If(self.start | entry_taken):
            m.d.sync += number.eq(0)
        with m.Elif(comes & ~complete):
            m.d.sync += [number.eq(number + 1), before.eq(so_far[len(word) :])]
        return complete
