"""Runs layers on the RTL of a core, in a simulator, and compares what comes out with what must."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compiler.prediction import Prediction, predict_run
from hw.config import CoreConfig
from hw.core import Core
from models.sparsity import CodecError
from sim import streams
from sim.harness.bench import BenchModel, build_bench
from sim.harness.bench_run import Equals, run_bench
from sim.harness.cache import described_by
from sim.streams import LayerJob
from sim.traffic import layer_traffic

CYCLES_PER_STALL = 40
"""How much longer than predicted a run may take before it is taken for hung: random stalls slow every stream."""


@dataclass(frozen=True)
class Mismatch:
    """The first element in which an output differs: its index, what came and what was expected; or why none came."""

    index: tuple[int, ...]
    got: int
    expected: int
    reason: str = ""

    def __str__(self) -> str:
        return self.reason or f"first difference at {list(self.index)}: got {self.got}, expected {self.expected}"


@dataclass(frozen=True, eq=False)
class LayerRun:
    """What a layer did: `cycles` from start to done, `operations` (see `LayerReport`), and how its output differs."""

    job: LayerJob
    cycles: int
    operations: int
    prediction: Prediction
    mismatch: Mismatch | None

    @property
    def multiplies(self) -> int:
        """Useful multiplications that were really issued."""
        return self.job.program.multiplies(self.operations)

    @property
    def traffic(self) -> dict[str, Any]:
        """What moved into and out of the core; see `sim.traffic`."""
        program = self.job.program
        stored = program.stored_input(self.job.input), program.stored_output(self.job.expected)
        return layer_traffic(program, *stored, travels=True)


def build_core(
    config: CoreConfig, *, simulator: str = "verilator", waves: bool = False, optimise: str = "build"
) -> BenchModel:
    """The bench of a core, compiled; the same configuration is compiled once."""
    return build_bench(
        Core(config),
        name="core_bench",
        simulator=simulator,
        waves=waves,
        optimise=optimise,
        recipe=[repr(config), *described_by("hw", "sim/harness")],
    )


def run_layers(
    model: BenchModel,
    jobs: Sequence[LayerJob],
    config: CoreConfig,
    *,
    seed: int = 0,
    stalls: str = "none",
    waves: Path | None = None,
    on_layer: Callable[[int], None] | None = None,
) -> list[LayerRun]:
    """Run layers one after another through one core and compare every output.

    Args:
        on_layer: called with the number of layers done, while the simulation runs.

    Raises:
        SimulationError: a rule of a stream was broken, the core hangs, or it reports an error.
    """
    predicted = predict_run([(job.program, job.input, job.expected) for job in jobs], config)
    longest = sum(prediction.cycles for prediction in predicted) + sum(len(job.program.weights) for job in jobs)
    result = run_bench(
        model,
        streams.core_inputs(jobs),
        expect={"reports": len(jobs)},
        until=[Equals("busy", 0), Equals("errors", 0)],
        status=["errors"],
        watch={"reports__count": ()},
        stalls=stalls,
        seed=seed,
        timeout_cycles=longest * CYCLES_PER_STALL + 100_000,
        waves=waves,
        on_progress=on_layer and (lambda sample: on_layer(int(sample["value"]))),
    )
    reports = streams.reports(result.beats("reports"))
    outputs = streams.split_layers(jobs, streams.from_rows(result.outputs["features_out"]))
    return [
        LayerRun(job, report["cycles"], report["operations"], prediction, _compare(job, beats, config))
        for job, report, prediction, beats in zip(jobs, reports, predicted, outputs, strict=True)
    ]


def _compare(job: LayerJob, beats: streams.Beats, config: CoreConfig) -> Mismatch | None:
    try:
        got = streams.decode_output(job.program, beats, config)
    except CodecError as error:
        return Mismatch((), 0, 0, str(error))
    mismatch = first_difference(got.reshape(job.expected.shape), job.expected)
    if mismatch is None:
        wanted = streams.expected_beats(job)
        if not (np.array_equal(wanted.data, beats.data) and np.array_equal(wanted.last, beats.last)):
            return Mismatch((), 0, 0, "the values are right, but not the packets that carry them")
    return mismatch


def first_difference(got: npt.NDArray, expected: npt.NDArray) -> Mismatch | None:
    """The first element, in row-major order, in which two arrays of one shape differ."""
    different = np.flatnonzero(got.reshape(-1) != expected.reshape(-1))
    if not len(different):
        return None
    index = tuple(int(i) for i in np.unravel_index(different[0], expected.shape))
    return Mismatch(index, int(got[index]), int(expected[index]))
