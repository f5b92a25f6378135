"""The runner: starts a run, follows it to its end, and stops it when something is wrong."""

from __future__ import annotations

from amaranth import Signal, unsigned
from amaranth.hdl import Module, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from hw.config import AcceleratorConfig
from hw.machine.registers import CONTROL, CYCLES, RunError


class _State(enum.Enum, shape=unsigned(2)):  # type: ignore[call-arg]  # Amaranth's own
    IDLE = 0
    RUN = 1
    DRAIN = 2
    FAILED = 3


class Runner(wiring.Component):
    """One run after another, of the entries `first` to `last`.

    It is done when the last entry's report has been recorded and its output has been read. All that runs is held in
    reset when no run is under way, and so begins every run as after power-on; it is released in the second cycle after
    `start`.

    Parameters
    ----------
    config
        The accelerator: entries that there are counters for.

    Ports
    -----
    control
        In, pulses: the fields of `CONTROL`.
    first, last, entries
        In: the registers, steady while it runs.
    program_valid, verifying
        In: of the verifier.
    verify
        Out, pulse: to the verifier.
    verify_error
        In, pulse: what is wrong with the program.
    fetch_error, fetch_entry
        In: what is wrong with the entry that is being fetched, and its index.
    packet_error, collision
        In: the core's errors.
    recorded
        In, pulse: the report of `entry` has been recorded.
    drained
        In: all output has been read.
    entry
        Out: index of the oldest entry that is not done.
    reset
        Out: for all that runs.
    running, done, failed
        Out: as in `STATUS`.
    error, failed_entry, cycles
        Out: the registers.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self._max_entries = config.max_entries
        index = config.entry_bits
        super().__init__(
            {
                "control": In(CONTROL.layout),
                "first": In(index),
                "last": In(index),
                "entries": In(index),
                "program_valid": In(1),
                "verifying": In(1),
                "verify": Out(1),
                "verify_error": In(RunError),
                "fetch_error": In(RunError),
                "fetch_entry": In(index),
                "packet_error": In(1),
                "collision": In(1),
                "recorded": In(1),
                "drained": In(1),
                "entry": Out(index),
                "reset": Out(1, init=1),
                "running": Out(1),
                "done": Out(1),
                "failed": Out(1),
                "error": Out(RunError),
                "failed_entry": Out(index),
                "cycles": Out(CYCLES.fields[0].width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state = Signal(_State)
        m.d.comb += [
            self.running.eq((state == _State.RUN) | (state == _State.DRAIN)),
            self.failed.eq(state == _State.FAILED),
        ]
        m.d.sync += self.reset.eq(~self.running)
        with m.Switch(state):
            with m.Case(_State.IDLE):
                self._idle(m, state)
            with m.Case(_State.RUN, _State.DRAIN):
                self._run(m, state)
        with m.If(self.control.clear):
            m.d.sync += [state.eq(_State.IDLE), self.done.eq(0), self.error.eq(RunError.NONE)]
        return m

    def _fail(self, m: Module, state: Signal, error: object, entry: Value) -> None:
        m.d.sync += [state.eq(_State.FAILED), self.error.eq(error), self.failed_entry.eq(entry)]

    def _idle(self, m: Module, state: Signal) -> None:
        in_range = (self.first <= self.last) & (self.last < self.entries) & (self.entries <= self._max_entries)
        with m.If(self.verify_error != RunError.NONE):
            self._fail(m, state, self.verify_error, self.first)
        with m.Elif(self.control.verify):
            m.d.comb += self.verify.eq(~self.control.clear)
        with m.Elif(self.control.start):
            m.d.sync += [state.eq(_State.RUN), self.entry.eq(self.first), self.cycles.eq(0), self.done.eq(0)]
            with m.If(~self.program_valid):
                self._fail(m, state, RunError.NO_PROGRAM, self.first)
            with m.Elif(~in_range):
                self._fail(m, state, RunError.RANGE, self.first)

    def _run(self, m: Module, state: Signal) -> None:
        m.d.sync += self.cycles.eq(self.cycles + 1)
        with m.If(self.recorded):
            with m.If(self.entry == self.last):
                m.d.sync += state.eq(_State.DRAIN)
            with m.Else():
                m.d.sync += self.entry.eq(self.entry + 1)
        with m.If((state == _State.DRAIN) & self.drained):
            m.d.sync += [state.eq(_State.IDLE), self.done.eq(1)]
        with m.If(self.fetch_error != RunError.NONE):
            self._fail(m, state, self.fetch_error, self.fetch_entry)
        with m.If(self.packet_error):
            self._fail(m, state, RunError.PACKET, self.entry)
        with m.If(self.collision):
            self._fail(m, state, RunError.INTERNAL, self.entry)
        with m.If(self.control.start | self.control.verify):
            self._fail(m, state, RunError.START_WHILE_BUSY, self.entry)
