"""Whole runs of a core, with Verilog at the ends of its streams and no Python in the cycle.

    beats --> player --+--> core --+--> recorder --> beats
                       |           |
                    checker     checker ---> bench_fault ends the run

`Bench(core)` is that circuit, made from the core's signature alone; `build_bench` compiles it; `bench_run.run_bench` plays
beats through it and gives back what was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sim.harness import payload
from sim.harness.players import VERILOG, StreamChecker, StreamPlayer, StreamRecorder
from sim.harness.runner import Build, build

_END = wiring.Signature({"done": Out(1), "count": Out(32)})
"""What the bench tells of a stream: all beats have passed, and how many have."""


@dataclass(frozen=True)
class StreamPort:
    """A stream of a core: its name in the Verilog, the shape of its payload, and whether the core can be stalled there."""

    name: str
    shape: Any
    stallable: bool

    @property
    def width(self) -> int:
        """Bits of the payload."""
        return payload.width_of(self.shape)


class Bench(wiring.Component):
    """A core with a player on each input stream, a recorder on each output stream and a checker on all.

    Parameters
    ----------
    core
        A component in the `sync` domain. Every member that is a `stream.Signature`, or an array of them, is a stream of the
        core; no stream that it reads may be `always_valid`.

    Members
    -------
    <name> : each other member of the core, as the core has it.
    <stream> : Out(Signature({"done": Out(1), "count": Out(32)}))
        All beats of that stream have passed; how many have. Stream `i` of an array `x` is called `x__i`.
    bench_fault : Out(1)
        A rule of a stream has been broken, or a file cannot be used; the log says which.

    Raises
    ------
    ValueError
        A stream of the core cannot be played.
    """

    def __init__(self, core: wiring.Component) -> None:
        self._core = core
        self.inputs: dict[str, StreamPort] = {}
        self.outputs: dict[str, StreamPort] = {}
        self._interfaces: dict[str, Any] = {}
        members: dict[str, Any] = {"bench_fault": Out(1)}
        for name, member in core.signature.members.items():
            if member.is_signature and isinstance(member.signature, stream.Signature):
                for flat, interface in _flatten(name, getattr(core, name), member.dimensions):
                    self._add_stream(flat, interface, member)
                    members[flat] = Out(_END)
            else:
                members[name] = member
        super().__init__(members)

    def _add_stream(self, name: str, interface: Any, member: Any) -> None:
        port = StreamPort(name, interface.payload.shape(), not member.signature.always_ready)
        if member.flow == In and member.signature.always_valid:
            raise ValueError(f"stream {name} is always valid: a bench cannot pause it, so give it a valid")
        self._interfaces[name] = interface
        (self.inputs if member.flow == In else self.outputs)[name] = port

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = self._core
        for name, member in self._core.signature.members.items():
            if name in self.signature.members and name not in self._interfaces:
                _pass_through(m, getattr(self, name), getattr(self._core, name), member)
        faults = [self._add_player(m, port) for port in self.inputs.values()]
        faults += [self._add_recorder(m, port) for port in self.outputs.values()]
        for name, port in (self.inputs | self.outputs).items():
            faults.append(self._add_checker(m, port, self._interfaces[name]))
        with m.If(sum(faults) != 0):
            m.d.comb += self.bench_fault.eq(1)
        return m

    def _add_player(self, m: Module, port: StreamPort) -> Any:
        m.submodules[f"player_{port.name}"] = player = StreamPlayer(port.shape, port.name)
        interface, end = self._interfaces[port.name], getattr(self, port.name)
        m.d.comb += [
            interface.payload.eq(player.stream.payload),
            interface.valid.eq(player.stream.valid),
            player.stream.ready.eq(interface.ready),
            end.done.eq(player.done),
            end.count.eq(player.count),
        ]
        return player.fault

    def _add_recorder(self, m: Module, port: StreamPort) -> Any:
        m.submodules[f"recorder_{port.name}"] = recorder = StreamRecorder(port.shape, port.name)
        interface, end = self._interfaces[port.name], getattr(self, port.name)
        m.d.comb += [
            recorder.stream.payload.eq(interface.payload),
            recorder.stream.valid.eq(interface.valid),
            end.done.eq(recorder.complete),
            end.count.eq(recorder.count),
        ]
        if port.stallable:
            m.d.comb += interface.ready.eq(recorder.stream.ready)
        return recorder.fault

    def _add_checker(self, m: Module, port: StreamPort, interface: Any) -> Any:
        m.submodules[f"checker_{port.name}"] = checker = StreamChecker(port.shape, port.name)
        m.d.comb += [
            checker.payload.eq(interface.payload),
            checker.valid.eq(interface.valid),
            checker.ready.eq(interface.ready),
        ]
        return checker.fault


def _flatten(name: str, item: Any, dimensions: Sequence[int]) -> Iterator[tuple[str, Any]]:
    """The streams of a member, which may be an array, with the names that they have in the Verilog."""
    if not dimensions:
        yield name, item
        return
    for index, inner in enumerate(item):
        yield from _flatten(f"{name}__{index}", inner, dimensions[1:])


def _pass_through(m: Module, outer: Any, inner: Any, member: Any) -> None:
    """Connect a member of the bench with the same member of the core."""
    if member.dimensions:
        for outer_item, inner_item in zip(outer, inner, strict=True):
            bare = member.flow(member.signature if member.is_signature else member.shape)
            _pass_through(m, outer_item, inner_item, bare.array(*member.dimensions[1:]) if member.dimensions[1:] else bare)
    elif member.is_signature:
        wiring.connect(m, wiring.flipped(outer), inner)
    elif member.flow == In:
        m.d.comb += inner.eq(outer)
    else:
        m.d.comb += outer.eq(inner)


@dataclass(frozen=True)
class BenchModel:
    """A compiled bench, with the streams that can be played and recorded."""

    build: Build
    inputs: Mapping[str, StreamPort]
    outputs: Mapping[str, StreamPort]


def build_bench(
    core: wiring.Component,
    *,
    name: str,
    simulator: str = "verilator",
    waves: bool = False,
    verilog_sources: Sequence[Path] = (),
    optimise: str = "build",
) -> BenchModel:
    """Compile `Bench(core)`; arguments and errors as for `runner.build`."""
    bench = Bench(core)
    compiled = build(
        bench,
        name=name,
        simulator=simulator,
        waves=waves,
        verilog_sources=[*VERILOG, *verilog_sources],
        optimise=optimise,
    )
    return BenchModel(compiled, bench.inputs, bench.outputs)
