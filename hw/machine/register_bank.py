"""The register bank: hardware for a list of declared registers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth import Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.host_bus import WORD_BYTES, BusError
from hw.machine.register import Access, Register
from hw.machine.target import BusTarget


class RegisterBank(wiring.Component):
    """Registers on the bus. A request is served in its first cycle and answered in the next.

    Parameters
    ----------
    registers
        Their declarations.
    bits
        For `RW` registers of one field, by register, how many bits of it are kept, if not all. What does not fit is
        kept as the largest value that does.
    resets
        Values after power-on, by register, of `RW` registers that have another one than declared.

    Ports
    -----
    bus
        In `BusTarget`.
    locked
        In: registers so declared must not be written now.
    written
        Out: one bit a `RW` register by its name in small letters; high for the cycle in which its new value appears.
    <name in small letters>
        For each register its fields: `RO`: In, the value. `RW`: Out, the value. `WO`: Out, high for one cycle where 1
        was written. `W1C`: Out, the bits that are set.
    <name in small letters>_set
        For each `W1C` register: In, the bits to set.
    """

    def __init__(
        self,
        registers: Sequence[Register],
        resets: Mapping[Register, int] | None = None,
        bits: Mapping[Register, int] | None = None,
    ) -> None:
        self._registers = registers
        self._bits = bits or {}
        stored = [register for register in registers if register.access == Access.RW]
        members: dict[str, Any] = {
            "bus": In(BusTarget()),
            "locked": In(1),
            "written": Out(data.StructLayout({register.member: 1 for register in stored})),
        }
        for register in registers:
            reset = (resets or {}).get(register, register.reset) if register.access == Access.RW else 0
            init = register.decode(reset or 0)
            if register.access == Access.RO:
                members[register.member] = In(register.layout)
            else:
                members[register.member] = Out(register.layout, init=init)
            if register.access == Access.W1C:
                members[f"{register.member}_set"] = In(register.layout)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        serving = Signal()
        m.d.comb += serving.eq(bus.select & ~bus.done)
        m.d.sync += [bus.done.eq(serving), bus.answer.eq(0), bus.error.eq(BusError.OK)]
        self._between_writes(m)
        with m.If(serving):
            with m.Switch(bus.offset):
                for register in self._registers:
                    with m.Case(register.address // WORD_BYTES):
                        self._serve(m, register)
                with m.Default():
                    m.d.sync += bus.error.eq(BusError.ADDRESS)
        return m

    def _between_writes(self, m: Module) -> None:
        m.d.sync += self.written.eq(0)
        for register in self._registers:
            value = getattr(self, register.member)
            for field in register.fields:
                if register.access == Access.WO:
                    m.d.sync += value[field.name].eq(0)
                elif register.access == Access.W1C:
                    set_bits = getattr(self, f"{register.member}_set")
                    m.d.sync += value[field.name].eq(value[field.name] | set_bits[field.name])

    def _serve(self, m: Module, register: Register) -> None:
        bus = self.bus
        refused = self.locked if register.locked else Const(0)
        with m.If(~bus.write):
            if register.access == Access.WO:
                m.d.sync += bus.error.eq(BusError.DIRECTION)
            else:
                m.d.sync += bus.answer.eq(getattr(self, register.member))
        if register.access == Access.RO:
            with m.Else():
                m.d.sync += bus.error.eq(BusError.DIRECTION)
            return
        with m.Elif(refused):
            m.d.sync += bus.error.eq(BusError.STATE)
        with m.Else():
            self._write(m, register)

    def _kept(self, register: Register, new: Value) -> Value:
        """What is kept of a field's new value."""
        bits = self._bits.get(register, len(new))
        return Mux(new[bits:].any(), (1 << bits) - 1, new[:bits])

    def _write(self, m: Module, register: Register) -> None:
        value = getattr(self, register.member)
        for field in register.fields:
            new = self.bus.data[field.low : field.low + field.width]
            if register.access == Access.W1C:
                set_bits = getattr(self, f"{register.member}_set")
                new = (value[field.name] & ~new) | set_bits[field.name]
            m.d.sync += value[field.name].eq(self._kept(register, new))
        if register.access == Access.RW:
            m.d.sync += self.written[register.member].eq(1)
