"""The entry fetcher: the entries of a run, one after another, checked."""

from __future__ import annotations

from amaranth import Cat, Const, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import AcceleratorConfig
from hw.control.descriptor import LayerDescriptor, Operation
from hw.machine.entry_check import EntryCheck
from hw.machine.input_window import InputJob
from hw.machine.program import ProgramEntry, entry_words
from hw.machine.program_memory import ProgramRead
from hw.machine.registers import PROGRAM_WORDS, RunError
from hw.machine.weight_fetcher import WeightJob


class EntryFetcher(wiring.Component):
    """Fetches entry `first`, checks it and hands it out; then the next, up to `last`. Starts by itself after reset.

    Before the first entry are `first` + 2 cycles. An entry is handed out `entry_words` + `EntryCheck.latency` + 3
    cycles after the one before has been taken by all.

    Ports
    -----
    first, last, program_words
        In: the registers, steady.
    read
        Out `ProgramRead`, urgent; `entry_words` reads in a row.
    layers
        Out stream of `LayerDescriptor`: to the core.
    weights
        Out stream of `WeightJob`, one an entry.
    inputs
        Out stream of `InputJob`, one a LOAD.
    finished
        Out: the last entry has been handed out.
    entry
        Out: index of the entry that is fetched or handed out.
    error
        Out: the entry is not handed out, and none after it. Stays until reset.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self._entry_words = entry_words(config.core, config.program_depth)
        index, words = config.entry_bits, PROGRAM_WORDS.fields[0].width
        super().__init__(
            {
                "first": In(index),
                "last": In(index),
                "program_words": In(words),
                "read": Out(ProgramRead(config)),
                "layers": Out(stream.Signature(LayerDescriptor(config.core))),
                "weights": Out(stream.Signature(WeightJob(config))),
                "inputs": Out(stream.Signature(InputJob(config.core))),
                "finished": Out(1),
                "entry": Out(index),
                "error": Out(RunError),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.check = check = EntryCheck(self.config)
        # Wide enough for entries beyond the memory: whether they are there is only asked before they are read.
        address = Signal(range(self.config.max_entries * self._entry_words + self.config.program_depth))
        end, fits = Signal.like(address), Signal()  # of the entry at this address, two cycles later
        count = Signal(range(max(self._entry_words, EntryCheck.latency + 2)))
        given = Signal(3)
        entry = self._assemble(m)
        m.d.comb += [
            self.read.address.eq(address),
            check.entry.eq(entry),
            check.program_words.eq(self.program_words),
        ]
        m.d.sync += [count.eq(count + 1), end.eq(address + self._entry_words), fits.eq(end <= self.program_words)]
        with m.FSM() as states:
            with m.State("SEEK"):
                m.d.sync += count.eq(0)
                with m.If(self.entry == self.first):
                    m.next = "BOUND"
                with m.Else():
                    m.d.sync += [self.entry.eq(self.entry + 1), address.eq(address + self._entry_words)]
            with m.State("BOUND"):
                m.d.sync += count.eq(0)
                m.next = "FETCH"
            with m.State("FETCH"):
                with m.If((count == 0) & ~fits):
                    m.d.sync += self.error.eq(RunError.RANGE)
                    m.next = "STOPPED"
                with m.Else():
                    m.d.comb += self.read.enable.eq(1)
                    m.d.sync += address.eq(address + 1)
                with m.If(count == self._entry_words - 1):
                    m.d.sync += count.eq(0)
                    m.next = "CHECK"
            with m.State("CHECK"):
                # The first cycle is that of the last word.
                with m.If(count == EntryCheck.latency + 1):
                    m.d.sync += [self.error.eq(check.error), given.eq(self._not_for(entry))]
                    m.next = "OFFER"
                    with m.If(check.error != RunError.NONE):
                        m.next = "STOPPED"
            with m.State("OFFER"):
                m.d.sync += [given.eq(given | self._taken()), count.eq(0)]
                with m.If(given.all()):
                    m.d.sync += self.entry.eq(self.entry + 1)
                    m.next = "FETCH"
                    with m.If(self.entry == self.last):
                        m.next = "STOPPED"
                        m.d.sync += [self.entry.eq(self.entry), self.finished.eq(1)]
            with m.State("STOPPED"):
                pass
        self._offer(m, entry, states.ongoing("OFFER"), given)
        return m

    def _assemble(self, m: Module) -> data.View:
        """The entry, once all its words have been read."""
        word_bits, layout = len(self.read.data), ProgramEntry(self.config.core, self.config.program_depth)
        words = Signal(self._entry_words * word_bits)
        arrives = Signal()
        m.d.sync += arrives.eq(self.read.enable)
        with m.If(arrives):
            m.d.sync += words.eq(Cat(words, self.read.data) >> word_bits)
        return data.View(layout, words[: layout.size])

    def _streams(self) -> tuple[stream.Interface, ...]:
        return self.layers, self.weights, self.inputs

    def _not_for(self, entry: data.View) -> Value:
        """One bit a stream: it does not get this entry."""
        return Cat(Const(0, 2), entry.layer.operation != Operation.LOAD)

    def _taken(self) -> Value:
        return Cat(port.valid & port.ready for port in self._streams())

    def _offer(self, m: Module, entry: data.View, offering: Value, given: Value) -> None:
        for port, has_it in zip(self._streams(), given, strict=True):
            m.d.comb += port.valid.eq(offering & ~has_it)
        m.d.comb += [
            self.layers.payload.eq(entry.layer),
            self.weights.payload.start.eq(entry.weights_start),
            self.weights.payload.words.eq(entry.weights_words),
            self.inputs.payload.packet_beats.eq(entry.packet_beats),
            self.inputs.payload.rows_last.eq(entry.layer.input.rows_last),
        ]
