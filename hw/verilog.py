"""A component as Verilog for other flows, with a description of its ports and parameters."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.back import verilog
from amaranth.hdl import Shape
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from hw.config import CoreConfig
from hw.core import Core

MODULE = "skipstone_core"
"""Name of a core's module."""

CLOCKS = ("clk", "rst")
"""The ports of the domain in which components are written."""

CORE_TIMING = """One clock, `clk`, rising edge; `rst` is synchronous, active high. A stream `x` has the ports
`x__valid`, `x__ready` and `x__payload`; a beat passes in every cycle in which both
`x__valid` and `x__ready` are high."""

WAIVERS = {
    "DECLFILENAME": "one file holds all modules",
    "UNUSEDSIGNAL": "yosys names every member of a stream and every field of a struct, used or not",
    "PROCASSINIT": "yosys gives a register its reset value as its initial value, too",
    "WIDTHTRUNC": "yosys writes `x == 0` as `! x`, and drops what a shift brings in by assigning it to a narrower wire",
    "WIDTHEXPAND": "yosys leaves it to Verilog to extend the narrower operand of an operator",
    "ASCRANGE": "yosys declares a signal without bits, such as the number of the only group, as [-1:0]; none is read",
    "CASEINCOMPLETE": "yosys assigns the default before the case, not in it",
    "VARHIDDEN": "yosys gives a memory the name that its module's instance bears one level up",
    "UNSIGNED": "columns have no ring: the length with which rows wrap around is 0 there",
    "CMPCONST": "the codec asks whether a place lies past a row of units, which here is as long as the place counts",
}
"""Verilator lint rules that the Verilog of Amaranth and yosys breaks, and why each does no harm."""


def _fields(shape: Any, path: str = "", offset: int = 0) -> Iterator[dict[str, Any]]:
    """The leaves of a layout; arrays of plain elements stay together."""
    if isinstance(shape, data.ArrayLayout):
        element = Shape.cast(shape.elem_shape)
        name = f"{path}[0..{shape.length - 1}]"
        yield {"name": name, "offset": offset, "width": element.width * shape.length, "signed": element.signed}
    elif isinstance(shape, data.Layout):
        for name, field in shape:
            yield from _fields(field.shape, f"{path}.{name}" if path else str(name), offset + field.offset)
    elif path:
        plain = Shape.cast(shape)
        yield {"name": path, "offset": offset, "width": plain.width, "signed": plain.signed}


def _members(component: wiring.Component) -> Iterator[tuple[str, str, Any]]:
    """Each member: its name, its direction and its shape."""
    for path, member, _ in component.signature.flatten(component):
        yield "__".join(map(str, path)), "input" if member.flow == In else "output", member.shape


def ports(component: wiring.Component, clocks: Sequence[str] = CLOCKS) -> list[dict[str, Any]]:
    """The ports of a component's Verilog: name, direction, width, and the fields of structured ones.

    `clocks` are those that are no members. A field has a `name`, its lowest bit's `offset`, a `width`, which is 0 if
    this configuration needs none, and is `signed` or not.
    """
    described: list[dict[str, Any]] = [
        {"name": name, "direction": "input", "width": 1, "fields": []} for name in clocks
    ]
    for name, direction, shape in _members(component):
        width = Shape.cast(shape).width
        described.append({"name": name, "direction": direction, "width": width, "fields": list(_fields(shape))})
    return described


def _documentation(component: wiring.Component) -> tuple[str, dict[str, str]]:
    """A component's docstring: its description, and what it says of each port."""
    description, _, listed = inspect.cleandoc(component.__doc__ or "").partition("\nPorts\n-----\n")
    meanings: dict[str, str] = {}
    name = ""
    for line in listed.splitlines():
        if line.startswith(" "):
            meanings[name] = f"{meanings.get(name, '')} {line.strip()}".strip()
        else:
            name = line.strip()
    return description.strip(), meanings


def _port_table(described: Sequence[dict[str, Any]], meanings: dict[str, str]) -> str:
    lines = ["| port | direction | bits | meaning |", "|---|---|---|---|"]
    for port in described:
        meaning = meanings.get(port["name"].removesuffix("__payload"), "")
        lines.append(f"| `{port['name']}` | {port['direction']} | {port['width']} | {meaning} |")
    return "\n".join(lines)


def _layouts(shape: Any) -> Iterator[type]:
    """The classes of a layout and of its parts, those that the project defines."""
    if isinstance(shape, data.StructLayout):
        if type(shape) is not data.StructLayout:
            yield type(shape)
        for _, field in shape:
            yield from _layouts(field.shape)


def _field_table(shape: Any) -> str:
    lines = ["| bits | field | type |", "|---|---|---|"]
    for field in _fields(shape):
        if field["width"]:
            bits = f"{field['offset'] + field['width'] - 1}:{field['offset']}"
            lines.append(f"| {bits} | `{field['name']}` | {'signed' if field['signed'] else 'unsigned'} |")
    return "\n".join(lines)


def _field_sections(component: wiring.Component) -> str:
    """For each structured port a section: what its layouts say of themselves, and where its fields lie."""
    parts: list[str] = []
    for name, _, shape in _members(component):
        if isinstance(shape, data.Layout):
            layouts = dict.fromkeys(_layouts(shape))
            meanings = [f"- `{layout.__name__}`: {' '.join((layout.__doc__ or '').split())}" for layout in layouts]
            parts += [f"### `{name}`", *(["\n".join(meanings)] if meanings else []), _field_table(shape)]
    return "\n\n".join(parts)


def _description(source: Source) -> str:
    description, meanings = _documentation(source.component)
    described = ports(source.component, source.clocks)
    parameters = "\n".join(f"| `{name}` | {value} |" for name, value in source.parameters.items())
    sections = _field_sections(source.component)
    fields = f"""
## Fields

A field that this configuration does not need has no bits and is left out. Of an array, element 0 is the lowest.

{sections}
"""
    return f"""# {source.module}

{description}

{source.timing}

## Ports

{_port_table(described, meanings)}
{fields if sections else ""}
## Parameters

The Verilog is generated for these; another one is generated anew.

| parameter | value |
|---|---|
{parameters}
"""


def waiver_file(module: str, waivers: Mapping[str, str]) -> str:
    """Verilator's waivers for the file of a module: rules, with their reasons."""
    rules = "\n".join(f'// {reason}\nlint_off -rule {rule} -file "*{module}.v"' for rule, reason in waivers.items())
    return f"`verilator_config\n{rules}\n"


@dataclass(frozen=True)
class Source:
    """A component to write as Verilog.

    Parameters
    ----------
    component
        What.
    module
        The name of its module.
    parameters
        What it was built from.
    timing
        What its description says of clock, reset and handshakes.
    waivers
        Lint rules that its Verilog breaks, each with the reason why it does no harm.
    clocks
        Ports for clock and reset that are no members.
    """

    component: wiring.Component
    module: str
    parameters: Mapping[str, int]
    timing: str
    waivers: Mapping[str, str]
    clocks: Sequence[str] = CLOCKS

    def files(self) -> dict[str, str]:
        """Verilog, lint waivers with their reasons, ports and parameters (text and JSON), by name of the file."""
        source = verilog.convert(self.component, name=self.module, emit_src=False, strip_internal_attrs=True)
        described = ports(self.component, self.clocks)
        interface = {"module": self.module, "parameters": dict(self.parameters), "ports": described}
        return {
            f"{self.module}.v": source,
            f"{self.module}.vlt": waiver_file(self.module, self.waivers),
            f"{self.module}.md": _description(self),
            f"{self.module}.json": json.dumps(interface, indent=2) + "\n",
        }


def core_source(config: CoreConfig) -> Source:
    """A core, with its streams as ports."""
    return Source(Core(config), MODULE, config.as_dict(), CORE_TIMING, WAIVERS)


def generate(config: CoreConfig) -> dict[str, str]:
    """The files of a core, by name."""
    return core_source(config).files()
