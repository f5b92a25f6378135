"""A harness that gives any component four pins, to measure it on a part with fewer pins than ports."""

from typing import Any

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

FAN_IN = 4
"""Inputs of a look-up table, so of a node of the tree that gathers the outputs."""

REACH = 4
"""Of a bit of the shift register: inputs that it begins, each with another of the bits behind it."""


class ScanHarness(wiring.Component):
    """Feeds a component from a shift register, and gathers what comes out of it in one bit.

    ::

        scan_in -> shift register -> XORs of pairs -> component -> tree of registered XORs -> scan_out

    Each input bit is the XOR of another pair of neighbouring bits of a shift register: no two are equal, none is
    constant, and the XOR fits the look-up table in front of the component's own register, so that the harness
    takes little of the part, and its wires are short. Every output reaches a pin. So synthesis can remove nothing of
    the component. All ports of the component lead to registers through one look-up table, so the clock is that of
    the component's own paths. The reset passes through a register, as a board's reset does.

    Parameters
    ----------
    component
        What to measure, with at least one output. All its ports belong to domain ``sync``.

    Ports
    -----
    clk, rst
        The clock of everything, and the reset of the component.
    scan_in
        The first bit of the shift register; `pairs` tells which bits make each input.
    scan_out
        The parity of all output bits, `latency` cycles after they were valid.
    """

    clk: In(1)
    rst: In(1)
    scan_in: In(1)
    scan_out: Out(1)

    def __init__(self, component: wiring.Component) -> None:
        super().__init__()
        self.component = component
        ports = list(component.signature.flatten(component))
        self._inputs = [Value.cast(value) for _, member, value in ports if member.flow == In]
        self._outputs = [Value.cast(value) for _, member, value in ports if member.flow == Out]
        self._levels = [-(-sum(map(len, self._outputs)) // FAN_IN)]
        while self._levels[-1] > 1:
            self._levels.append(-(-self._levels[-1] // FAN_IN))

    @property
    def _chain(self) -> int:
        """Bits of the shift register."""
        return max(second for _, second in self.pairs) + 1

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """For each input bit, in the order of the component's signature, the two bits that it is made of."""
        inputs = range(sum(map(len, self._inputs)))
        return [(number // REACH, number // REACH + 1 + number % REACH) for number in inputs]

    @property
    def latency(self) -> int:
        """Cycles from an output to its parity at `scan_out`."""
        return len(self._levels)

    @property
    def flip_flops(self) -> int:
        """Flip-flops of the harness itself."""
        return self._chain + sum(self._levels) + 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.component = self.component
        m.domains.pins = ClockDomain("pins", reset_less=True)
        m.domains.sync = ClockDomain("sync")
        m.d.comb += [ClockSignal("pins").eq(self.clk), ClockSignal("sync").eq(self.clk)]
        m.d.pins += ResetSignal("sync").eq(self.rst)

        chain = Signal(self._chain, reset_less=True, attrs={"keep": 1})
        m.d.pins += chain.eq(Cat(self.scan_in, chain))
        m.d.comb += Cat(self._inputs).eq(Cat(chain[first] ^ chain[second] for first, second in self.pairs))

        # The first level is XORs, not plain registers: a RAM or multiplier would absorb those.
        bits: Value = Cat(self._outputs)
        for level, width in enumerate(self._levels):
            nodes = Signal(width, name=f"parity_{level}", reset_less=True)
            m.d.pins += [nodes[i].eq(bits[i * FAN_IN : (i + 1) * FAN_IN].xor()) for i in range(width)]
            bits = nodes
        m.d.comb += self.scan_out.eq(bits)
        return m
