"""The checks that an entry must pass before the core sees it."""

from __future__ import annotations

from amaranth import Cat, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import AcceleratorConfig
from hw.control.descriptor import Operation, runs_on_vector_unit
from hw.machine.program import ENTRY_MARK, ProgramEntry
from hw.machine.registers import PROGRAM_WORDS, RunError


class EntryCheck(wiring.Component):
    """Tells entries from what is none, or would reach beyond a memory.

    `BAD_ENTRY`: the mark is missing, the core has no such operation or split, or a LOAD's packets have no beats.
    `RANGE`: the input's ring or the output's reaches beyond the activation memory, or the weights beyond the program.

    Ports: `entry` In, `program_words` In (the register), both steady; `error` Out, right `latency` cycles later.
    """

    latency = 2

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "entry": In(ProgramEntry(config.core, config.program_depth)),
                "program_words": In(PROGRAM_WORDS.fields[0].width),
                "error": Out(RunError),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        entry, layer, words = self.entry, self.entry.layer, self.config.core.activation_words
        beyond = Signal(3)
        bad = Signal()
        m.d.sync += [
            bad.eq((entry.mark != ENTRY_MARK) | ~self._can_run() | self._has_no_beats()),
            beyond[0].eq(self._end(m, "input", layer.input.base, layer.input.ring_words) > words),
            beyond[1].eq(self._end(m, "output", layer.output.base, layer.output.words) > words),
            beyond[2].eq(self._end(m, "weights", entry.weights_start, entry.weights_words) > self.program_words),
        ]
        with m.If(bad):
            m.d.comb += self.error.eq(RunError.BAD_ENTRY)
        with m.Elif(beyond.any()):
            m.d.comb += self.error.eq(RunError.RANGE)
        return m

    def _end(self, m: Module, name: str, start: Value, length: Value) -> Value:
        """Where a run of words ends, a cycle later."""
        total = start + length
        end = Signal.like(total, name=f"{name}_end")
        m.d.sync += end.eq(total)
        return end

    def _can_run(self) -> Value:
        layer, core = self.entry.layer, self.config.core
        known = Cat(layer.operation == operation for operation in Operation.__members__.values()).any()
        if not core.vector:
            known &= ~runs_on_vector_unit(layer.operation)
        return known & (layer.split < len(core.splits))

    def _has_no_beats(self) -> Value:
        return (self.entry.layer.operation == Operation.LOAD) & (self.entry.packet_beats == 0)
