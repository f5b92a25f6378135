"""A bench that talks while it runs: the bytes of a core's two streams come from, and go to, the process that asked.

    that process <--socket--> live_test --chunk--> player --> bytes_in  +------+
                                       <--chunk-- recorder <-- bytes_out |  core |
                                                                         +------+

The clock runs in long stretches while there is something to do, with no Python in the cycle, and stands still while the
core waits for bytes: `live_test` says when. `live_run` is the other end of the socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect

from sim.harness.bench import pass_through
from sim.harness.chunks import VERILOG, ChunkPlayer, ChunkRecorder
from sim.harness.model import Build, build
from sim.harness.players import VERILOG as PLAYERS
from sim.harness.players import StreamChecker
from sim.harness.ports import streams_of

BYTES_IN, BYTES_OUT, BUSY = "bytes_in", "bytes_out", "busy"


class LiveBench(wiring.Component):
    """A core with a chunk player, a chunk recorder, and a checker on each of the two.

    Parameters
    ----------
    core
        A component in the `sync` domain with the streams of bytes `bytes_in` (In) and `bytes_out` (Out), and `busy`,
        Out(1): it has something to do that takes no bytes. It has no other stream.

    Members
    -------
    bytes_in, bytes_out
        The other members of `ChunkPlayer` and `ChunkRecorder`.
    <name> : each other member of the core, as the core has it.
    bench_fault : Out(1)
        A rule of a stream has been broken; the log says which.

    Raises
    ------
    ValueError
        The core has other streams.
    """

    def __init__(self, core: wiring.Component) -> None:
        self._core = core
        found = {(port.name, port.is_input, port.width) for port in streams_of(core)}
        if found != {(BYTES_IN, True, 8), (BYTES_OUT, False, 8)}:
            raise ValueError(f"a live bench needs the streams of bytes {BYTES_IN} and {BYTES_OUT}, and no other")
        self._player, self._recorder = ChunkPlayer(BYTES_IN), ChunkRecorder(BYTES_OUT)
        self._others = {
            name: member for name, member in core.signature.members.items() if name not in (BYTES_IN, BYTES_OUT)
        }
        ends = {BYTES_IN: Out(_rest(self._player)), BYTES_OUT: Out(_rest(self._recorder))}
        super().__init__({**ends, **self._others, "bench_fault": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = core = self._core
        for name, member in self._others.items():
            pass_through(m, getattr(self, name), getattr(core, name), member)
        faults = []
        for name, end in ((BYTES_IN, self._player), (BYTES_OUT, self._recorder)):
            m.submodules[name] = end
            for part, member in _rest(end).members.items():
                pass_through(m, getattr(getattr(self, name), part), getattr(end, part), member)
            connect(m, getattr(core, name), end.stream)
            m.submodules[f"checker_{name}"] = checker = StreamChecker(8, name)
            m.d.comb += [
                checker.payload.eq(end.stream.payload),
                checker.valid.eq(end.stream.valid),
                checker.ready.eq(end.stream.ready),
            ]
            faults.append(checker.fault)
        m.d.comb += self.bench_fault.eq(faults[0] | faults[1])
        return m


def _rest(end: wiring.Component) -> wiring.Signature:
    """The members of a player or recorder but for its stream."""
    return wiring.Signature({name: member for name, member in end.signature.members.items() if name != "stream"})


def build_live_bench(
    core: wiring.Component,
    *,
    name: str,
    simulator: str = "verilator",
    waves: bool = False,
    verilog_sources: Sequence[Path] = (),
    optimise: str = "build",
    recipe: Sequence[str | bytes] | None = None,
) -> Build:
    """Compile `LiveBench(core)`; arguments and errors as for `runner.build`."""
    return build(
        LiveBench(core),
        name=name,
        simulator=simulator,
        waves=waves,
        verilog_sources=[*PLAYERS, *VERILOG, *verilog_sources],
        optimise=optimise,
        recipe=recipe,
    )
