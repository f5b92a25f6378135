"""The input window: words that a host writes, as the input packets of the core."""

from __future__ import annotations

from amaranth import Cat, Signal
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.host_bus import DATA_BITS, BusError
from hw.config import CoreConfig
from hw.control.descriptor import InputLayout
from hw.machine.program import most_packet_beats
from hw.machine.target import BusTarget
from hw.stream.layouts import FeatureBeat


class InputJob(data.StructLayout):
    """The packets of a LOAD: `rows_last`, index of the last packet; `packet_beats`, beats of each, at least 1."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {"rows_last": InputLayout(config)["rows_last"].shape, "packet_beats": range(most_packet_beats(config) + 1)}
        )


class InputWindow(wiring.Component):
    """Puts words together to beats, and marks the last beat of each packet. Takes no word that no LOAD asks for.

    A word written waits until a LOAD takes it. One beat in every (words of a beat + 1) cycles.

    Ports
    -----
    bus
        In `BusTarget`, write-only. `BusError.STATE`: there is no LOAD, and none will come.
    running, finished
        In: a run is under way; its last entry has been handed out.
    jobs
        In stream of `InputJob`.
    beats
        Out stream of `FeatureBeat`.
    waits
        Out: a word written now is taken.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "bus": In(BusTarget()),
                "running": In(1),
                "finished": In(1),
                "jobs": In(stream.Signature(InputJob(config))),
                "beats": Out(stream.Signature(FeatureBeat(config))),
                "waits": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, units = self.bus, self.beats.payload.data.as_value()
        words = len(units) // DATA_BITS
        job = Signal(InputJob(self.config))
        has_job = Signal()
        word, beat = Signal(range(words)), Signal.like(job.packet_beats)
        takes = Signal()
        m.d.comb += [
            self.jobs.ready.eq(~has_job),
            self.waits.eq(has_job & ~self.beats.valid),
            takes.eq(bus.select & bus.write & self.waits),
            self.beats.payload.last.eq(beat == job.packet_beats),
        ]
        self._answer(m, takes, has_job)
        with m.If(takes):
            m.d.sync += [units.eq(Cat(units, bus.data) >> DATA_BITS), word.eq(word + 1)]
            with m.If(word == words - 1):
                m.d.sync += [word.eq(0), self.beats.valid.eq(1), beat.eq(beat + 1)]
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += self.beats.valid.eq(0)
            with m.If(self.beats.payload.last):
                m.d.sync += [beat.eq(0), job.rows_last.eq(job.rows_last - 1), has_job.eq(job.rows_last != 0)]
        with m.If(self.jobs.valid & self.jobs.ready):
            m.d.sync += [job.eq(self.jobs.payload), has_job.eq(1)]
        return m

    def _answer(self, m: Module, takes: Signal, has_job: Signal) -> None:
        bus = self.bus
        hopeless = ~has_job & (~self.running | self.finished)
        with m.If(~bus.write):
            m.d.comb += [bus.done.eq(1), bus.error.eq(BusError.DIRECTION)]
        with m.Elif(takes):
            m.d.comb += bus.done.eq(1)
        with m.Elif(hopeless):
            m.d.comb += [bus.done.eq(1), bus.error.eq(BusError.STATE)]
