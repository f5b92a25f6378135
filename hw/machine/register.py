"""How registers are declared: once, for the hardware, the driver and the documentation."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from amaranth.lib import data

from hw.bus.host_bus import DATA_BITS


class Access(enum.StrEnum):
    """What a host may do with a register.

    `RO`: read. `RW`: read and write. `WO`: write; the bits written act once. `W1C`: read; writing 1 clears a bit. A
    request in the other direction is refused with `BusError.DIRECTION`.
    """

    RO = "RO"
    RW = "RW"
    WO = "WO"
    W1C = "W1C"


@dataclass(frozen=True)
class Field:
    """Bits `low` to `low + width - 1` of a register."""

    name: str
    low: int
    width: int
    description: str

    @property
    def mask(self) -> int:
        """Its bits in the register."""
        return ((1 << self.width) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """A register of 32 bits. Bits that belong to no field read as 0 and ignore what is written.

    Parameters
    ----------
    name
        In capitals; the hardware's signals have it in small letters.
    address
        Byte address on the host bus.
    access
        What a host may do with it.
    description
        Its meaning.
    fields
        Its bits.
    reset
        Value after power-on; None for a constant that the configuration gives.
    locked
        It cannot be written while a run or a verification is under way: `BusError.STATE`.
    """

    name: str
    address: int
    access: Access
    description: str
    fields: tuple[Field, ...]
    reset: int | None = 0
    locked: bool = False

    @property
    def member(self) -> str:
        """Its name in hardware."""
        return self.name.lower()

    @property
    def layout(self) -> data.FlexibleLayout:
        """Where its fields lie, for hardware."""
        return data.FlexibleLayout(DATA_BITS, {field.name: data.Field(field.width, field.low) for field in self.fields})

    def field(self, name: str) -> Field:
        """The field of that name."""
        return next(field for field in self.fields if field.name == name)

    def encode(self, **values: int) -> int:
        """The register's value with these fields, all others 0.

        Raises
        ------
        ValueError
            A value does not fit its field.
        """
        bits = 0
        for name, value in values.items():
            field = self.field(name)
            if not 0 <= value < 1 << field.width:
                raise ValueError(f"{self.name}.{name} is {value}: give 0 to {(1 << field.width) - 1}")
            bits |= value << field.low
        return bits

    def decode(self, value: int) -> dict[str, int]:
        """The fields of a value read."""
        return {field.name: (value & field.mask) >> field.low for field in self.fields}


def markdown_table(registers: Iterable[Register]) -> str:
    """The registers as a table for documentation, a line a register and a line a field."""
    lines = ["| address | register | access | reset | bits | meaning |", "|---|---|---|---|---|---|"]
    for register in registers:
        reset = "configuration" if register.reset is None else f"{register.reset:#x}"
        note = " Locked while `busy` or `verifying`." if register.locked else ""
        lines.append(
            f"| {register.address:#04x} | `{register.name}` | {register.access} | {reset} | "
            f"| {register.description}{note} |"
        )
        for field in register.fields:
            high = field.low + field.width - 1
            bits = f"{high}:{field.low}" if field.width > 1 else f"{field.low}"
            lines.append(f"| | | | | {bits} | `{field.name}`: {field.description} |")
    return "\n".join(lines) + "\n"
