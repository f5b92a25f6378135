"""Whole runs of a core, with Verilog at the ends of its streams and no Python in the cycle.

    beats --> player --+--> core --+--> recorder --> beats
                       |           |
                    checker     checker ---> bench_fault ends the run

`Bench(core)` is that circuit, made from the core's signature alone; `build_bench` compiles it; `run_bench` of
`bench_run` plays beats through it and gives back what was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from amaranth.hdl import Const, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sim.harness.players import VERILOG, StreamChecker, StreamPlayer, StreamRecorder
from sim.harness.ports import StreamPort, streams_of
from sim.harness.runner import Build, build

_END = wiring.Signature({"done": Out(1), "count": Out(32)})


class Bench(wiring.Component):
    """A core with a player on each input stream, a recorder on each output stream and a checker on all.

    Parameters
    ----------
    core
        A component in the `sync` domain. No stream that it reads may be `always_valid`.

    Members
    -------
    <stream> : Out(Signature({"done": Out(1), "count": Out(32)}))
        For each stream of the core (see `ports.streams_of`): all its beats have passed; how many have.
    <name> : each other member of the core, as the core has it.
    bench_fault : Out(1)
        A rule of a stream has been broken, or a file cannot be used; the log says which.

    Raises
    ------
    ValueError
        A stream of the core cannot be played.
    """

    def __init__(self, core: wiring.Component) -> None:
        self._core = core
        self.streams = {port.name: port for port in streams_of(core)}
        for port in self.streams.values():
            if port.is_input and port.always_valid:
                raise ValueError(f"stream {port.name} is always valid: a bench cannot pause it")
        taken = {port.member for port in self.streams.values()}
        self._others = {name: member for name, member in core.signature.members.items() if name not in taken}
        ends = dict.fromkeys(self.streams, Out(_END))
        super().__init__({**ends, **self._others, "bench_fault": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = self._core
        for name, member in self._others.items():
            pass_through(m, getattr(self, name), getattr(self._core, name), member)
        faults = []
        for port in self.streams.values():
            faults.append(self._add_player(m, port) if port.is_input else self._add_recorder(m, port))
            faults.append(self._add_checker(m, port))
        m.d.comb += self.bench_fault.eq(reduce(or_, faults, Const(0)))
        return m

    def _add_player(self, m: Module, port: StreamPort) -> Any:
        m.submodules[f"player_{port.name}"] = player = StreamPlayer(port.shape, port.name)
        end = getattr(self, port.name)
        m.d.comb += [
            port.interface.payload.eq(player.stream.payload),
            port.interface.valid.eq(player.stream.valid),
            player.stream.ready.eq(port.interface.ready),
            end.done.eq(player.done),
            end.count.eq(player.count),
        ]
        return player.fault

    def _add_recorder(self, m: Module, port: StreamPort) -> Any:
        m.submodules[f"recorder_{port.name}"] = recorder = StreamRecorder(port.shape, port.name)
        end = getattr(self, port.name)
        m.d.comb += [
            recorder.stream.payload.eq(port.interface.payload),
            recorder.stream.valid.eq(port.interface.valid),
            end.done.eq(recorder.complete),
            end.count.eq(recorder.count),
        ]
        if not port.always_ready:
            m.d.comb += port.interface.ready.eq(recorder.stream.ready)
        return recorder.fault

    def _add_checker(self, m: Module, port: StreamPort) -> Any:
        m.submodules[f"checker_{port.name}"] = checker = StreamChecker(port.shape, port.name)
        m.d.comb += [
            checker.payload.eq(port.interface.payload),
            checker.valid.eq(port.interface.valid),
            checker.ready.eq(port.interface.ready),
        ]
        return checker.fault


def pass_through(m: Module, outer: Any, inner: Any, member: Any) -> None:
    """Connect a member of the bench, which may be an array, with the same member of the core."""
    if member.dimensions:
        item = member.flow(member.signature if member.is_signature else member.shape)
        item = item.array(*member.dimensions[1:]) if member.dimensions[1:] else item
        for outer_item, inner_item in zip(outer, inner, strict=True):
            pass_through(m, outer_item, inner_item, item)
    elif member.is_signature:
        wiring.connect(m, wiring.flipped(outer), inner)
    elif member.flow == In:
        m.d.comb += inner.eq(outer)
    else:
        m.d.comb += outer.eq(inner)


@dataclass(frozen=True)
class BenchModel:
    """A compiled bench, with the widths of the streams that it plays and records, by name."""

    build: Build
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    stallable: frozenset[str]


def build_bench(
    core: wiring.Component,
    *,
    name: str,
    simulator: str = "verilator",
    waves: bool = False,
    verilog_sources: Sequence[Path] = (),
    optimise: str = "build",
    recipe: Sequence[str | bytes] | None = None,
) -> BenchModel:
    """Compile `Bench(core)`; arguments and errors as for `runner.build`.

    The core alone must not be elaborated elsewhere: give each bench a core of its own.
    """
    bench = Bench(core)
    compiled = build(
        bench,
        name=name,
        simulator=simulator,
        waves=waves,
        verilog_sources=[*VERILOG, *verilog_sources],
        optimise=optimise,
        recipe=recipe,
    )
    ports = bench.streams.values()
    return BenchModel(
        compiled,
        inputs={port.name: port.width for port in ports if port.is_input},
        outputs={port.name: port.width for port in ports if not port.is_input},
        stallable=frozenset(port.name for port in ports if port.is_input or not port.always_ready),
    )
