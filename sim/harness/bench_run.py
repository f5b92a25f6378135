"""Run a compiled bench: play beats, wait for the end, give back what was recorded.

    model = build_bench(core, name="core")
    result = run_bench(
        model,
        {"weights": weights, "features_in": features},
        expect={"features_out": len(expected)},
        until=[Rises("layer_done", layers), Equals("busy", 0)],
        watch={"layer_done": ("cycles", "multiplies")},
        stalls="random",
        seed=seed,
    )

Python wakes only when a signal that it was told to watch changes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sim.harness import payload
from sim.harness.bench import BenchModel
from sim.harness.runner import execute, new_request
from sim.harness.stalls import Stalls, stall_plusargs


@dataclass(frozen=True)
class Rises:
    """An event: the 1-bit signal has risen that many times since reset. It must fall between two pulses."""

    signal: str
    times: int = 1


@dataclass(frozen=True)
class Equals:
    """A level: the signal has that value. It is waited for when all events have happened."""

    signal: str
    value: int


@dataclass(frozen=True)
class BenchResult:
    """What a run gave.

    Parameters
    ----------
    outputs
        Each output stream's beats, as rows of bytes (see `payload`); `beats` gives them as integers.
    status
        The signals asked for, at the end.
    samples
        For each change of a watched signal to another value than 0, in order: `{"signal", "value", "cycle"}`
        and the signals to sample with it, all in the cycle after the clock edge that changed it.
    cycles
        From the end of reset until the run was over.
    taken
        Beats that the core has taken from each input stream.
    """

    outputs: Mapping[str, payload.Rows]
    status: Mapping[str, int]
    samples: Sequence[Mapping[str, Any]]
    cycles: int
    taken: Mapping[str, int]

    def beats(self, name: str) -> list[int]:
        """The beats of an output stream as unsigned integers."""
        return payload.from_rows(self.outputs[name])


@dataclass(frozen=True)
class _Plan:
    """The parameters of `bench_test`."""

    settings: Mapping[str, int]
    events: Sequence[tuple[str, int]]
    levels: Sequence[tuple[str, int]]
    complete: Sequence[str]
    watch: Mapping[str, Sequence[str]]
    status: Sequence[str]
    offered: Mapping[str, int]
    expected: Mapping[str, int | None]
    timeout_cycles: int
    drain_cycles: int


def run_bench(
    model: BenchModel,
    beats: Mapping[str, Any],
    *,
    seed: int,
    expect: Mapping[str, int] | None = None,
    until: Sequence[Rises | Equals] = (),
    timeout_cycles: int = 1_000_000,
    stalls: Stalls | Mapping[str, Stalls] = "none",
    settings: Mapping[str, int] | None = None,
    status: Sequence[str] = (),
    watch: Mapping[str, Sequence[str]] | None = None,
    drain_cycles: int = 32,
    waves: Path | None = None,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> BenchResult:
    """Play beats through a core and record what comes out.

    The run is over when every input beat has been taken, every output stream has given the beats expected,
    and everything in `until` has come true; then it goes on for `drain_cycles`, in which no further beat may
    come.

    Parameters
    ----------
    model
        From `build_bench`.
    beats
        For each input stream: integers, `bytes`, or a uint8 array of shape (beats, bytes a beat); see
        `payload.to_rows`. A stream that is left out gets none.
    seed
        Of the stalls.
    expect
        Beats that each output stream must give, exactly. A stream that is left out is recorded, but does not
        decide.
    until
        What else must come true.
    timeout_cycles
        The run fails when it is not over after that many.
    stalls
        A profile for all streams, or one for each by name, with `none` for those left out.
    settings
        Values of the core's input signals, from before reset to the end.
    status
        Output signals to read at the end.
    watch
        Signals to watch, such as a counter of layers or a pulse at the end of each; and with each, the
        signals to sample when it changes. Python wakes for each change, so watch nothing that changes all the
        time.
    waves
        Record waves to this FST file; needs a model built with `waves=True`.
    on_progress
        Called with each sample of `watch` while the simulation runs.

    Raises
    ------
    SimulationError
        A rule of a stream was broken, the time ran out, or a stream gave another number of beats than
        expected.
    ValueError
        No such stream, or a beat that does not fit it.
    """
    streams = {**model.inputs, **model.outputs}
    profiles = stalls if isinstance(stalls, Mapping) else dict.fromkeys(streams, stalls)
    for what, names, known in (
        ("beats", beats, model.inputs),
        ("expect", expect or {}, model.outputs),
        ("stalls", profiles, streams),
    ):
        if unknown := sorted(set(names) - set(known)):
            raise ValueError(f"{what}: no stream named {', '.join(unknown)}; there are {', '.join(known)}")
    rows = {name: payload.to_rows(width, beats.get(name, ())) for name, width in model.inputs.items()}
    expected = {name: (expect or {}).get(name) for name in model.outputs}
    plan = _Plan(
        settings=settings or {},
        events=[(event.signal, event.times) for event in until if isinstance(event, Rises)],
        levels=[(level.signal, level.value) for level in until if isinstance(level, Equals)],
        complete=[*model.inputs, *(name for name, count in expected.items() if count is not None)],
        watch=watch or {},
        status=status,
        offered={name: len(rows[name]) for name in model.inputs},
        expected=expected,
        timeout_cycles=timeout_cycles,
        drain_cycles=drain_cycles,
    )
    plusargs = []
    for name in streams:
        profile = profiles.get(name, "none") if name in model.stallable else "none"
        plusargs += _plusargs(name, profile, expected.get(name), seed)
    request = new_request(model.build, "sim.harness.bench_test", "bench", asdict(plan), seed, plusargs)
    folder = Path(request.folder)
    for name, stream_rows in rows.items():
        (folder / f"{name}.hex").write_text(payload.to_hex(stream_rows))
    results = execute(model.build, request, waves=waves, on_progress=on_progress and _parsed(on_progress))
    outputs = {
        name: payload.from_hex((folder / f"{name}.hex").read_text(), width) for name, width in model.outputs.items()
    }
    shutil.rmtree(folder, ignore_errors=True)
    return BenchResult(outputs, results["status"], results["samples"], results["cycles"], results["taken"])


def _plusargs(name: str, stalls: Stalls, expected: int | None, seed: int) -> list[str]:
    """The settings of a stream's player or recorder. Files lie in the simulator's working directory."""
    settings = {"file": f"{name}.hex", "expect": expected}
    given = [f"+{name}_{key}={value}" for key, value in settings.items() if value is not None]
    return [*given, *stall_plusargs(name, stalls, seed)]


def _parsed(consume: Callable[[dict[str, Any]], None]) -> Callable[[str], None]:
    """A consumer of lines for a consumer of what `bench_test` writes in them."""
    return lambda line: consume(json.loads(line))
