"""A core as Verilog for other flows, with a description of its ports and parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from amaranth.back import verilog
from amaranth.hdl import Shape
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.core import Core

MODULE = "skipstone_core"
"""Name of the top module."""

WAIVERS = {
    "DECLFILENAME": "one file holds all modules of a core",
    "UNUSEDSIGNAL": "a field of a struct, or a bit of a wider sum, that this configuration does not read",
    "UNUSEDPARAM": "yosys keeps parameters of cells that it resolved",
    "WIDTHTRUNC": "yosys drops the carry of a sum by assigning it to a narrower wire",
    "WIDTHEXPAND": "yosys extends operands by assigning them to a wider wire",
    "UNOPTFLAT": "fields of one vector that depend on each other are taken for a loop",
    "CASEINCOMPLETE": "yosys gives the default before the case",
    "CASEOVERLAP": "yosys writes priority as overlapping case items",
    "PINCONNECTEMPTY": "an output that this configuration does not read",
}
"""Verilator lint rules that the Verilog of Amaranth and yosys breaks, and why each does no harm."""


def _flow(flow: wiring.Flow, outer: wiring.Flow) -> wiring.Flow:
    return flow if outer == Out else flow.flip()


def _leaves(signature: wiring.Signature, outer: wiring.Flow, path: str) -> Iterator[tuple[str, wiring.Flow, Any]]:
    for name, member in signature.members.items():
        here = f"{path}__{name}" if path else name
        indices = [here]
        for dimension in member.dimensions:
            indices = [f"{prefix}__{index}" for prefix in indices for index in range(dimension)]
        for place in indices:
            if member.is_port:
                yield place, _flow(member.flow, outer), member.shape
            else:
                yield from _leaves(member.signature, _flow(member.flow, outer), place)


def _fields(shape: Any, path: str = "", offset: int = 0) -> Iterator[tuple[str, int, int, bool]]:
    """The leaves of a layout as (path, offset, width, signed); arrays of plain elements stay together."""
    if isinstance(shape, data.ArrayLayout):
        element = Shape.cast(shape.elem_shape)
        yield f"{path}[0..{shape.length - 1}]", offset, element.width * shape.length, element.signed
    elif isinstance(shape, data.Layout):
        for name, field in shape:
            yield from _fields(field.shape, f"{path}.{name}" if path else str(name), offset + field.offset)
    else:
        plain = Shape.cast(shape)
        yield path, offset, plain.width, plain.signed


def ports(core: Core) -> list[dict[str, Any]]:
    """The ports of a core's Verilog: name, direction, width, and the fields of structured ones."""
    described: list[dict[str, Any]] = [
        {"name": "clk", "direction": "input", "width": 1, "fields": []},
        {"name": "rst", "direction": "input", "width": 1, "fields": []},
    ]
    for name, flow, shape in _leaves(core.signature, Out, ""):
        fields = [
            {"name": path, "offset": offset, "width": width, "signed": is_signed}
            for path, offset, width, is_signed in _fields(shape)
            if path
        ]
        direction = "input" if flow == In else "output"
        described.append({"name": name, "direction": direction, "width": Shape.cast(shape).width, "fields": fields})
    return described


def _port_table(core: Core) -> str:
    lines = ["| port | direction | bits | fields (least significant first) |", "|---|---|---|---|"]
    for port in ports(core):
        fields = "<br>".join(
            f"`{field['name']}` {field['offset']} +: {field['width']}{' signed' if field['signed'] else ''}"
            for field in port["fields"]
        )
        lines.append(f"| `{port['name']}` | {port['direction']} | {port['width']} | {fields} |")
    return "\n".join(lines)


def _description(core: Core, config: CoreConfig) -> str:
    documentation = (Core.__doc__ or "").strip().splitlines()
    text = "\n".join(line[4:] if line.startswith("    ") else line for line in documentation)
    parameters = "\n".join(f"| `{name}` | {value} |" for name, value in config.as_dict().items())
    return f"""# {MODULE}

{text}

One clock, `clk`, rising edge; `rst` is synchronous, active high. A stream `x` has the ports `x__valid`, `x__ready` and
`x__payload`; a beat passes in every cycle in which both are high.

## Ports

{_port_table(core)}

## Parameters

The Verilog is generated for these; another core is generated anew.

| parameter | value |
|---|---|
{parameters}
"""


def _waiver_file() -> str:
    rules = "\n".join(f"// {reason}\nlint_off -rule {rule}" for rule, reason in WAIVERS.items())
    return f"`verilator_config\n{rules}\n"


def generate(config: CoreConfig) -> dict[str, str]:
    """The files of a core by name: Verilog, lint waivers with their reasons, ports and parameters (text and JSON)."""
    core = Core(config)
    source = verilog.convert(core, name=MODULE, emit_src=False, strip_internal_attrs=True)
    interface = {"module": MODULE, "parameters": config.as_dict(), "ports": ports(core)}
    return {
        f"{MODULE}.v": source,
        f"{MODULE}.vlt": _waiver_file(),
        f"{MODULE}.md": _description(core, config),
        f"{MODULE}.json": json.dumps(interface, indent=2) + "\n",
    }
