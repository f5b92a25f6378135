"""The counters: what each entry of a run took, kept for the host."""

from __future__ import annotations

from amaranth import Cat, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In

from hw.bus.host_bus import DATA_BITS, WORD_BYTES, BusError
from hw.config import COUNTER_RECORD_BYTES, AcceleratorConfig
from hw.control.sequencer import LayerReport
from hw.machine.target import BusTarget
from hw.memory.two_port_memory import TwoPortMemory

RECORD_WORDS = COUNTER_RECORD_BYTES // WORD_BYTES


def counter_fields() -> tuple[str, ...]:
    """The fields of a record, a word each, in order: those of `LayerReport`."""
    return tuple(LayerReport().members)


class Counters(wiring.Component):
    """A record of `COUNTER_RECORD_BYTES` bytes for each entry, in a memory; an entry not run yet has zeros.

    Without `activity_counters` only the first field is kept, the cycles. Writing a record takes a cycle a field. Reads
    of the bus take 2 cycles, and wait while a record is written.

    Ports
    -----
    reports
        In stream of `LayerReport`; taken when it has been written.
    entry
        In: the entry that it is of, steady while it waits.
    bus
        In `BusTarget`, read-only: word `RECORD_WORDS` x entry + field.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "reports": In(stream.Signature(LayerReport())),
                "entry": In(range(config.max_entries)),
                "bus": In(BusTarget()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self.config.max_entries * RECORD_WORDS
        m.submodules.store = store = TwoPortMemory(DATA_BITS, depth)
        kept = counter_fields() if self.config.activity_counters else counter_fields()[:1]
        fields = [self.reports.payload[name] for name in kept]
        if len(fields) > RECORD_WORDS or any(len(Value.cast(field)) > DATA_BITS for field in fields):
            raise ValueError(f"a layer's report has more than {RECORD_WORDS} fields of {DATA_BITS} bits")
        field = Signal(range(RECORD_WORDS))
        m.d.comb += [
            store.write.address.eq(Cat(field, self.entry)),
            store.write.data.eq(data.View(data.ArrayLayout(DATA_BITS, len(fields)), Cat(*fields))[field]),
            store.write.enable.eq(self.reports.valid),
            self.reports.ready.eq(field == len(fields) - 1),
        ]
        m.d.sync += field.eq(field + 1)
        with m.If(~self.reports.valid | self.reports.ready):
            m.d.sync += field.eq(0)
        self._read(m, store, depth)
        return m

    def _read(self, m: Module, store: TwoPortMemory, depth: int) -> None:
        bus = self.bus
        read = Signal()
        m.d.comb += [
            store.read.address.eq(bus.offset),
            store.read.enable.eq(bus.select & ~read & ~self.reports.valid),
            bus.answer.eq(store.read.data),
            bus.done.eq(read),
        ]
        m.d.sync += read.eq(store.read.enable)
        with m.If(bus.write):
            m.d.comb += [bus.done.eq(1), bus.error.eq(BusError.DIRECTION)]
        with m.Elif(bus.offset >= depth):
            m.d.comb += [bus.done.eq(1), bus.error.eq(BusError.ADDRESS)]
