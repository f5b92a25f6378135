"""A host link with a target behind its bus at which nothing can be done twice unseen."""

from enum import IntEnum

from amaranth import Cat, Signal
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.host_bus import DATA_BITS, BusError, HostBus
from hw.bus.link import HostLink
from hw.memory.two_port_memory import TwoPortMemory

LINK_WORDS = 16
SUM_WORDS = 64
PLACE_BITS = 12


class Place(IntEnum):
    """What lies at an address, by the two bits from `PLACE_BITS` up.

    `SUMS`: `SUM_WORDS` words, to which what is written is added. `TICKETS`: each read gives a number higher by one than
    the read before. `WRITES`: how many words have been added to the sums. `NOTHING`: every access is an error.
    """

    SUMS = 0
    TICKETS = 1
    WRITES = 2
    NOTHING = 3

    @property
    def base(self) -> int:
        """Its first address."""
        return int(self.value) << PLACE_BITS


class CountingTarget(wiring.Component):
    """The target. It answers 2 to 9 cycles after it has taken a request, at random."""

    bus: In(HostBus())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sums = sums = TwoPortMemory(DATA_BITS, SUM_WORDS)
        request, response = self.bus.request, self.bus.response
        wanted, noise, wait = Signal.like(request.payload), Signal(16, init=1), Signal(3)
        m.d.sync += noise.eq(Cat(noise[15] ^ noise[13] ^ noise[12] ^ noise[10], noise))
        m.d.comb += [
            sums.read.address.eq(wanted.address[2:]),
            sums.write.address.eq(wanted.address[2:]),
            sums.write.data.eq(sums.read.data + wanted.data),
        ]
        with m.FSM():
            with m.State("REQUEST"):
                m.d.comb += request.ready.eq(1)
                m.d.sync += [wanted.eq(request.payload), wait.eq(noise)]
                with m.If(request.valid):
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += sums.read.enable.eq(1)
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.next = "RESPONSE"
            with m.State("RESPONSE"):
                m.d.comb += response.valid.eq(1)
                self._serve(m, wanted, sums)
                with m.If(response.ready):
                    m.next = "REQUEST"
        return m

    def _serve(self, m: Module, wanted: Signal, sums: TwoPortMemory) -> None:
        response = self.bus.response
        tickets, writes = Signal(DATA_BITS), Signal(DATA_BITS)
        place = wanted.address[PLACE_BITS : PLACE_BITS + 2]
        with m.If(place == Place.NOTHING):
            m.d.comb += response.payload.error.eq(BusError.ADDRESS)
        with m.Elif(wanted.write & (place == Place.SUMS)):
            m.d.comb += sums.write.enable.eq(response.ready)
            m.d.sync += writes.eq(writes + response.ready)
        with m.Elif(wanted.write):
            m.d.comb += response.payload.error.eq(BusError.DIRECTION)
        with m.Elif(place == Place.SUMS):
            m.d.comb += response.payload.data.eq(sums.read.data)
        with m.Elif(place == Place.TICKETS):
            m.d.comb += response.payload.data.eq(tickets)
            m.d.sync += tickets.eq(tickets + response.ready)
        with m.Else():
            m.d.comb += response.payload.data.eq(writes)


class LinkBench(wiring.Component):
    """`HostLink` with a `CountingTarget`: bytes in, bytes out."""

    bytes_in: In(stream.Signature(8))
    bytes_out: Out(stream.Signature(8))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.link = link = HostLink(LINK_WORDS)
        m.submodules.target = target = CountingTarget()
        connect(m, producer=flipped(self.bytes_in), consumer=link.bytes_in)
        connect(m, producer=link.bytes_out, consumer=flipped(self.bytes_out))
        connect(m, link.bus, target.bus)
        return m
