"""The bus decoder: one request at a time to the target that its address names."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.host_bus import REGION_BITS, WINDOW_TIMEOUT, BusError, BusResponse, HostBus, Region
from hw.machine.target import OFFSET_BITS, BusTarget

_TARGETS = {region: region.name.lower() for region in Region}


class BusDecoder(wiring.Component):
    """Shows a request to its target, and registers the answer. At least 3 cycles a request, which is taken at its end.

    A request to an address that is no word of a region is answered with `BusError.ADDRESS`; one that its target does
    not serve within `timeout` cycles with `BusError.TIMEOUT`.

    Parameters
    ----------
    timeout
        A power of two.

    Ports
    -----
    bus
        In `HostBus`.
    registers, program, input, output, counters
        Out `BusTarget`: the regions.
    """

    def __init__(self, timeout: int = WINDOW_TIMEOUT) -> None:
        self._timeout = timeout
        super().__init__({"bus": In(HostBus()), **{name: Out(BusTarget()) for name in _TARGETS.values()}})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request, response = self.bus.request.payload, Signal(BusResponse())
        selected, done = Signal(), Signal()
        shown = Signal.like(response)
        waited = Signal(range(self._timeout))
        self._show(m, request, selected, done, shown)
        m.d.comb += self.bus.response.payload.eq(response)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += waited.eq(0)
                with m.If(self.bus.request.valid):
                    m.next = "SERVE"
            with m.State("SERVE"):
                m.d.comb += selected.eq(1)
                m.d.sync += [response.eq(shown), waited.eq(waited + 1)]
                with m.If(done):
                    m.d.comb += self.bus.request.ready.eq(1)
                    m.next = "RESPOND"
                with m.Elif(waited == self._timeout - 1):
                    m.d.comb += self.bus.request.ready.eq(1)
                    m.d.sync += [response.data.eq(0), response.error.eq(BusError.TIMEOUT)]
                    m.next = "RESPOND"
            with m.State("RESPOND"):
                m.d.comb += self.bus.response.valid.eq(1)
                with m.If(self.bus.response.ready):
                    m.next = "IDLE"
        return m

    def _show(self, m: Module, request: data.View, selected: Value, done: Value, shown: data.View) -> None:
        """While `selected`: the request to its target, and what that answers; or at once that there is none."""
        low_bits = REGION_BITS - OFFSET_BITS
        offset, region = request.address[low_bits:REGION_BITS], request.address[REGION_BITS:]
        aligned = ~request.address[:low_bits].any()
        m.d.comb += [done.eq(1), shown.error.eq(BusError.ADDRESS)]
        for which, name in _TARGETS.items():
            target = getattr(self, name)
            m.d.comb += [
                target.offset.eq(offset),
                target.write.eq(request.write),
                target.data.eq(request.data),
                target.select.eq(selected & aligned & (region == which)),
            ]
            with m.If(aligned & (region == which)):
                m.d.comb += [done.eq(target.done), shown.data.eq(target.answer), shown.error.eq(target.error)]
