"""The register map as a C header, from the registers' own declaration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hw.bus.host_bus import Region
from hw.config import COUNTER_RECORD_BYTES, REGION_BYTES
from hw.machine.counters import counter_fields
from hw.machine.register import Register
from hw.machine.registers import IDENTITY_VALUE, REGISTERS, VERSION_VALUE, RunError

PREFIX = "SKIPSTONE"


def _define(name: str, value: str, comment: str = "") -> str:
    return f"#define {PREFIX}_{name} {value}{f'  /* {comment} */' if comment else ''}"


def _regions() -> Iterator[str]:
    yield "/* Regions of the address map, from the base address of the accelerator. */"
    for region in Region:
        yield _define(f"{region.name}_BASE", f"0x{region.base:06x}u")
    yield _define("REGION_BYTES", f"0x{REGION_BYTES:x}u")
    yield _define("COUNTERS_STRIDE", f"{COUNTER_RECORD_BYTES}u", "bytes of the counters of a program entry")
    for index, field in enumerate(counter_fields()):
        yield _define(f"COUNTER_{field.upper()}", f"{4 * index}u", "byte of that record")


def _register(register: Register) -> Iterator[str]:
    yield ""
    yield f"/* {register.name} ({register.access}): {register.description} */"
    yield _define(register.name, f"0x{register.address:02x}u")
    for field in register.fields:
        name = f"{register.name}_{field.name.upper()}"
        yield _define(f"{name}_SHIFT", f"{field.low}u", field.description)
        yield _define(f"{name}_MASK", f"0x{field.mask:08x}u")


def c_header(registers: Iterable[Register] = REGISTERS) -> str:
    """A header of nothing but constants: regions, registers and their fields, values, error codes."""
    lines = [
        "/* Registers of a Skipstone accelerator. Generated: do not edit. */",
        f"#ifndef {PREFIX}_REGISTERS_H",
        f"#define {PREFIX}_REGISTERS_H",
        "",
        *_regions(),
    ]
    for register in registers:
        lines += _register(register)
    lines += ["", "/* Values. */", _define("IDENTITY_VALUE_EXPECTED", f"0x{IDENTITY_VALUE:08x}u")]
    lines += [_define("VERSION_EXPECTED", f"0x{VERSION_VALUE:08x}u"), "", "/* Codes of ERROR. */"]
    lines += [_define(f"ERROR_{error.name}", f"{error.value}u") for error in RunError.__members__.values()]
    return "\n".join([*lines, "", "#endif", ""])
