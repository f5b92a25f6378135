"""AXI4-Lite (Arm IHI 0022) onto the host bus."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, unsigned
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.host_bus import ADDRESS_BITS, DATA_BITS, WORD_BYTES, BusError, HostBus

PROTECTION_BITS = 3


class AxiResponse(enum.Enum, shape=unsigned(2)):  # type: ignore[call-arg]  # Amaranth's own
    """How a transfer went. `SLVERR`: refused by what is there; `DECERR`: nothing is there."""

    OKAY = 0
    SLVERR = 2
    DECERR = 3


class AxiLite(wiring.Signature):
    """The five channels as their manager sees them, by the names of the specification in small letters.

    Addresses are of `ADDRESS_BITS` bits and count bytes; data are of 32 bits.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "awaddr": Out(ADDRESS_BITS),
                "awprot": Out(PROTECTION_BITS),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(DATA_BITS),
                "wstrb": Out(WORD_BYTES),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(AxiResponse),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(ADDRESS_BITS),
                "arprot": Out(PROTECTION_BITS),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(DATA_BITS),
                "rresp": In(AxiResponse),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiLiteBridge(wiring.Component):
    """Transfers of AXI4-Lite, one at a time, as requests of the host bus.

    A write is taken when its address and its data are both there. Writes and reads that wait at the same time take
    turns. A write that does not write all four bytes is answered with `SLVERR`, and changes nothing; one that writes
    none is answered with `OKAY`, and changes nothing. Of the bus's errors `ADDRESS` becomes `DECERR`, any other
    `SLVERR`. Protection bits are not heeded.

    From a transfer that is taken to its response are 2 cycles and those of the bus.

    Ports
    -----
    axi
        In `AxiLite`.
    bus
        Out `HostBus`.
    """

    def __init__(self) -> None:
        super().__init__({"axi": In(AxiLite()), "bus": Out(HostBus())})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi, bus = self.axi, self.bus
        request, writing, read_before = Signal.like(bus.request.payload), Signal(), Signal()
        response, data = Signal(AxiResponse), Signal(DATA_BITS)
        can_write, takes_write, takes_read = Signal(), Signal(), Signal()
        m.d.comb += [
            can_write.eq(axi.awvalid & axi.wvalid),
            bus.request.payload.eq(request),
            axi.bresp.eq(response),
            axi.rresp.eq(response),
            axi.rdata.eq(data),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [
                    takes_write.eq(can_write & (read_before | ~axi.arvalid)),
                    takes_read.eq(axi.arvalid & ~takes_write),
                    axi.awready.eq(takes_write),
                    axi.wready.eq(takes_write),
                    axi.arready.eq(takes_read),
                ]
                m.d.sync += [
                    writing.eq(takes_write),
                    request.address.eq(Mux(takes_write, axi.awaddr, axi.araddr)),
                    request.write.eq(takes_write),
                    request.data.eq(axi.wdata),
                ]
                with m.If(takes_write | takes_read):
                    m.d.sync += read_before.eq(takes_read)
                    m.next = "REQUEST"
                with m.If(takes_write & ~axi.wstrb.all()):
                    m.d.sync += response.eq(Mux(axi.wstrb.any(), AxiResponse.SLVERR, AxiResponse.OKAY))
                    m.next = "RESPOND"
            with m.State("REQUEST"):
                m.d.comb += bus.request.valid.eq(1)
                with m.If(bus.request.ready):
                    m.next = "AWAIT"
            with m.State("AWAIT"):
                m.d.comb += bus.response.ready.eq(1)
                m.d.sync += [data.eq(bus.response.payload.data), response.eq(AxiResponse.SLVERR)]
                with m.If(bus.response.payload.error == BusError.OK):
                    m.d.sync += response.eq(AxiResponse.OKAY)
                with m.Elif(bus.response.payload.error == BusError.ADDRESS):
                    m.d.sync += response.eq(AxiResponse.DECERR)
                with m.If(bus.response.valid):
                    m.next = "RESPOND"
            with m.State("RESPOND"):
                m.d.comb += [axi.bvalid.eq(writing), axi.rvalid.eq(~writing)]
                with m.If(Mux(writing, axi.bready, axi.rready)):
                    m.next = "IDLE"
        return m
