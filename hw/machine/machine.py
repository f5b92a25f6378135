"""The machine: assembles all that stands between the host bus and the core, nothing else.

::

    bus --> bus decoder --> register bank --> runner ----> reset of all that runs
                       |                 |--> verifier --+
                       |--> program memory <-------------+-- entry fetcher --> layers
                       |                 <------------------ weight fetcher -> weights
                       |--> input window ------------------------------------> features_in
                       |--> output window <----------------------------------- features_out
                       +--> counters <---------------------------------------- reports
"""

from __future__ import annotations

from amaranth import Mux, ResetInserter, Signal
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.host_bus import DATA_BITS, BusError, HostBus
from hw.config import AcceleratorConfig, ConfigurationError
from hw.control.descriptor import LayerDescriptor
from hw.control.sequencer import LayerReport
from hw.core import CoreErrors
from hw.machine import registers
from hw.machine.bus_decoder import BusDecoder
from hw.machine.counters import Counters
from hw.machine.entry_fetcher import EntryFetcher
from hw.machine.input_window import InputWindow
from hw.machine.output_window import OutputWindow
from hw.machine.program import ProgramImage
from hw.machine.program_memory import ProgramMemory
from hw.machine.register import Register
from hw.machine.register_bank import RegisterBank
from hw.machine.runner import Runner
from hw.machine.verifier import Verifier
from hw.machine.weight_fetcher import WeightFetcher
from hw.memory.weights import weight_beat
from hw.stream.layouts import FeatureBeat


class StreamWord(data.StructLayout):
    """Four bytes of the packets of a feature map; `last`: the map ends with them."""

    def __init__(self) -> None:
        super().__init__({"data": DATA_BITS, "last": 1})


class Machine(wiring.Component):
    """Runs programs on a core, for a host; `registers` says how.

    Parameters
    ----------
    config
        The accelerator.
    program
        What the program memory holds after power-on: it is then verified at once, without a host.
    streams
        Data come and go by `words_in` and `words_out`, and not by the windows of the bus, which then answer with
        `BusError.STATE`.

    Ports
    -----
    bus
        In `HostBus`. While a run or a verification is under way, the program memory and the registers that describe
        the program and the run are locked.
    layers, weights, features_in, features_out, reports, core_errors
        To and from the core.
    words_in, words_out
        With `streams`: In and Out streams of `StreamWord`: the input packets and the output packets, four bytes a word,
        least significant first. `last` marks the end of an output feature map; that of the input is not heeded.
    core_reset
        Out: resets the core.
    busy
        Out: a run is under way.
    ready
        Out: a verified program is loaded.
    failed
        Out: the machine has stopped with an error.
    interrupt
        Out: an event that `INTERRUPT_ENABLE` names has come and has not been cleared.

    Raises
    ------
    ConfigurationError
        The program does not fit the program memory, or is for one that nothing fills (`single_port`).
    """

    def __init__(
        self, config: AcceleratorConfig, program: ProgramImage | None = None, *, streams: bool = False
    ) -> None:
        self.config = config
        self._program = program
        self._streams = streams
        self._words = program.words(config) if program else []
        if program and config.core.single_port:
            raise ConfigurationError(
                "single_port is True: no program can be in that memory at power-on, so let the host load it"
            )
        core = config.core
        words = {"words_in": In(stream.Signature(StreamWord())), "words_out": Out(stream.Signature(StreamWord()))}
        super().__init__(
            {
                **(words if streams else {}),
                "bus": In(HostBus()),
                "layers": Out(stream.Signature(LayerDescriptor(core))),
                "weights": Out(stream.Signature(weight_beat(core))),
                "features_in": Out(stream.Signature(FeatureBeat(core))),
                "features_out": In(stream.Signature(FeatureBeat(core))),
                "reports": In(stream.Signature(LayerReport())),
                "core_errors": In(CoreErrors()),
                "core_reset": Out(1),
                "busy": Out(1),
                "ready": Out(1),
                "failed": Out(1),
                "interrupt": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        when_idle = ResetInserter(self.core_reset)
        m.submodules.decoder = decoder = BusDecoder()
        m.submodules.registers = bank = RegisterBank(registers.REGISTERS, self._resets(), self._bits())
        m.submodules.runner = runner = Runner(config)
        m.submodules.verifier = verifier = Verifier(config, step_bits=32 if config.core.large else 8)
        m.submodules.program = memory = ProgramMemory(config, self._words)
        m.submodules.counters = counters = Counters(config)
        fetcher, weights = EntryFetcher(config), WeightFetcher(config)
        source, sink = InputWindow(config.core), OutputWindow(config.core)
        m.submodules.entry_fetcher, m.submodules.weight_fetcher = when_idle(fetcher), when_idle(weights)
        m.submodules.input_window, m.submodules.output_window = when_idle(source), when_idle(sink)

        connect(m, flipped(self.bus), decoder.bus)
        for port, part in (
            (decoder.registers, bank),
            (decoder.program, memory),
            (decoder.counters, counters),
        ):
            connect(m, port, part.bus)
        self._connect_windows(m, decoder, source, sink)
        self._show_constants(m, bank)
        self._show_state(m, bank, runner, verifier, source, sink)
        self._control(m, bank, runner, verifier, memory)
        self._fetch(m, bank, runner, verifier, memory, fetcher, weights)
        self._run(m, runner, fetcher, source, sink, counters)
        return m

    def _connect_windows(self, m: Module, decoder: BusDecoder, source: InputWindow, sink: OutputWindow) -> None:
        if not self._streams:
            connect(m, decoder.input, source.bus)
            connect(m, decoder.output, sink.bus)
            return
        for refused in (decoder.input, decoder.output):
            m.d.comb += [refused.done.eq(1), refused.error.eq(BusError.STATE)]
        words_in, words_out = self.words_in, self.words_out
        m.d.comb += [
            source.bus.select.eq(words_in.valid),
            source.bus.write.eq(1),
            source.bus.data.eq(words_in.payload.data),
            words_in.ready.eq(source.waits),
            sink.bus.select.eq(words_out.ready & sink.has_word),
            words_out.valid.eq(sink.has_word),
            words_out.payload.data.eq(sink.bus.answer),
            words_out.payload.last.eq(sink.last),
        ]

    def _resets(self) -> dict[Register, int]:
        if self._program is None:
            return {}
        return {
            registers.ENTRIES: self._program.entries,
            registers.PROGRAM_WORDS: len(self._words),
            registers.PROGRAM_CHECKSUM: self._program.checksum,
        }

    def _bits(self) -> dict[Register, int]:
        """What is kept of registers: no more than tells what is right from what is beyond."""
        of_entries = dict.fromkeys((registers.FIRST, registers.LAST, registers.ENTRIES), self.config.entry_bits)
        return of_entries | {registers.PROGRAM_WORDS: self.config.program_word_bits}

    def _show_constants(self, m: Module, bank: RegisterBank) -> None:
        config = self.config
        version = registers.VERSION.decode(registers.VERSION_VALUE)
        m.d.comb += [
            bank.identity.value.eq(registers.IDENTITY_VALUE),
            bank.version.major.eq(version["major"]),
            bank.version.minor.eq(version["minor"]),
            bank.fingerprint.value.eq(config.fingerprint),
            bank.groups.value.eq(config.core.groups),
            bank.lanes.value.eq(config.core.lanes),
            bank.program_depth.words.eq(config.program_depth),
            bank.activation_words.words.eq(config.core.activation_words),
            bank.link_words.words.eq(config.link_words),
        ]

    def _show_state(
        self,
        m: Module,
        bank: RegisterBank,
        runner: Runner,
        verifier: Verifier,
        source: InputWindow,
        sink: OutputWindow,
    ) -> None:
        levels = {"done": runner.done, "failed": runner.failed, "input": source.waits, "output": sink.has_word}
        for name, level in levels.items():
            before = Signal(name=f"{name}_before")
            m.d.sync += before.eq(level)
            m.d.comb += bank.interrupt_set[name].eq(level & ~before)
        m.d.sync += self.interrupt.eq((bank.interrupt.as_value() & bank.interrupt_enable.as_value()).any())
        m.d.comb += [
            self.busy.eq(runner.running),
            self.ready.eq(verifier.valid),
            self.failed.eq(runner.failed),
            bank.status.busy.eq(runner.running),
            bank.status.done.eq(runner.done),
            bank.status.failed.eq(runner.failed),
            bank.status.program_valid.eq(verifier.valid),
            bank.status.verifying.eq(verifier.busy),
            bank.status.waits_for_input.eq(source.waits),
            bank.status.has_output.eq(sink.has_word),
            bank.error.code.eq(runner.error),
            bank.failed_entry.entry.eq(runner.failed_entry),
            bank.cycles.cycles.eq(runner.cycles),
        ]

    def _control(
        self, m: Module, bank: RegisterBank, runner: Runner, verifier: Verifier, memory: ProgramMemory
    ) -> None:
        after_power_on = Signal(init=self._program is not None)
        m.d.sync += after_power_on.eq(0)
        locked = runner.running | verifier.busy
        m.d.comb += [
            runner.control.eq(bank.control),
            runner.first.eq(bank.first.entry),
            runner.last.eq(bank.last.entry),
            runner.entries.eq(bank.entries.count),
            runner.program_valid.eq(verifier.valid),
            runner.verify_error.eq(verifier.error),
            verifier.start.eq(runner.verify | after_power_on),
            verifier.words.eq(bank.program_words.words),
            verifier.checksum.eq(bank.program_checksum.value),
            verifier.forget.eq(memory.written | bank.written.program_words | bank.written.program_checksum),
            bank.locked.eq(locked),
            memory.locked.eq(locked),
        ]

    def _fetch(
        self,
        m: Module,
        bank: RegisterBank,
        runner: Runner,
        verifier: Verifier,
        memory: ProgramMemory,
        fetcher: EntryFetcher,
        weights: WeightFetcher,
    ) -> None:
        connect(m, producer=fetcher.layers, consumer=flipped(self.layers))
        connect(m, producer=fetcher.weights, consumer=weights.jobs)
        connect(m, producer=weights.words, consumer=flipped(self.weights))
        connect(m, weights.read, memory.weights)
        m.d.comb += [
            fetcher.first.eq(bank.first.entry),
            fetcher.last.eq(bank.last.entry),
            fetcher.program_words.eq(bank.program_words.words),
            runner.fetch_error.eq(fetcher.error),
            runner.fetch_entry.eq(fetcher.entry),
            weights.lost.eq(memory.weights_lost),
            # The verifier reads only while there is no run.
            memory.urgent.address.eq(Mux(verifier.busy, verifier.read.address, fetcher.read.address)),
            memory.urgent.enable.eq(verifier.read.enable | fetcher.read.enable),
            verifier.read.data.eq(memory.urgent.data),
            fetcher.read.data.eq(memory.urgent.data),
        ]

    def _run(
        self,
        m: Module,
        runner: Runner,
        fetcher: EntryFetcher,
        source: InputWindow,
        sink: OutputWindow,
        counters: Counters,
    ) -> None:
        connect(m, producer=fetcher.inputs, consumer=source.jobs)
        connect(m, producer=source.beats, consumer=flipped(self.features_in))
        connect(m, producer=flipped(self.features_out), consumer=sink.beats)
        connect(m, producer=flipped(self.reports), consumer=counters.reports)
        # Without `lookahead` a layer is taken at its end; but nothing of the next one is, before.
        begun = fetcher.layers if self.config.core.lookahead else fetcher.weights
        m.d.comb += [
            self.core_reset.eq(runner.reset),
            runner.packet_error.eq(self.core_errors.packet),
            runner.collision.eq(self.core_errors.collision),
            runner.recorded.eq(counters.reports.valid & counters.reports.ready),
            runner.drained.eq(~sink.has_word),
            counters.entry.eq(runner.entry),
            source.running.eq(runner.running),
            source.finished.eq(fetcher.finished),
            sink.running.eq(runner.running),
            sink.begin.eq(begun.valid & begun.ready),
            sink.rows_last.eq(fetcher.layers.payload.output.rows_last),
        ]
