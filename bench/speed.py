"""How fast the tools are on the machine that runs them, in one process: the fastest of a few times."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence

import numpy.typing as npt

from bench import zeros
from bench.benchmark import Benchmark, Case, Column, Row
from bench.layers import make_job, model
from bench.synthetic import feature_map
from compiler.network_program import compile_network
from compiler.prediction import predict_run
from hw.config import AcceleratorConfig, CoreConfig
from hw.verilog import generate
from models import golden, zoo
from models.importers import load, source_path
from models.inputs import read_input
from models.judge import Judge
from sim.core_run import run_layers
from sim.random_layers import make_layer
from sim.streams import LayerJob

NETWORK = "resnet8"
CORE = CoreConfig(csc=False)
"""With the one front end that the simulated layer takes."""

_IMAGES = 50
_LAYERS = 16
_TURNS = 5


def _fastest(work: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of some times."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def _seconds(work: Callable[[], object], times: int = 3) -> Row:
    return {"value": round(_fastest(work, times), 3), "unit": "s"}


def _rate(amount: int, unit: str, work: Callable[[], object], times: int = 3) -> Row:
    rate = amount / _fastest(work, times)
    return {"value": round(rate) if rate >= 1000 else round(rate, 1), "unit": f"{unit}/s"}


def _generation() -> Row:
    return _seconds(lambda: generate(CORE), 1)


def _importing() -> Row:
    path = zoo.fetch(NETWORK)
    return _seconds(lambda: load(path))


def _compilation() -> Row:
    network = zoo.load(NETWORK)
    return _seconds(lambda: compile_network(network, AcceleratorConfig()))


def _job() -> LayerJob:
    values = feature_map((*zeros.SHAPE.size, zeros.SHAPE.channels), 0.5, 0)
    return make_job(make_layer(zeros.SHAPE, 0, values), CORE)


def _simulation() -> Row:
    core, jobs = model(CORE), [_job()] * _LAYERS
    cycles = sum(run.cycles for run in run_layers(core, jobs, CORE))
    return _rate(cycles, "cycles", lambda: run_layers(core, jobs, CORE), 1)


def _prediction() -> Row:
    job = _job()
    layers = [(job.program, job.input, job.expected)] * _LAYERS
    cycles = sum(prediction.cycles for prediction in predict_run(layers, CORE))
    return _rate(cycles, "cycles", lambda: predict_run(layers, CORE))


def _images() -> npt.NDArray:
    """Copies of the sample image."""
    return read_input(zoo.load(NETWORK), None).repeat(_IMAGES, axis=0)


def _golden_work() -> Callable[[], object]:
    network, images = zoo.load(NETWORK), _images()
    return lambda: golden.run(network, images, layers=[network.layers[-1].name])


def _reference_work() -> Callable[[], object]:
    reference, images = Judge(source_path(NETWORK)), _images()

    def work() -> None:
        for image in images:
            reference.run(image[None])

    return work


def _golden() -> Row:
    return _rate(_IMAGES, "images", _golden_work())


def _reference() -> Row:
    return _rate(_IMAGES, "images", _reference_work())


def _against_reference() -> Row:
    """In turns, so that what else the machine does slows both."""
    works = _golden_work(), _reference_work()
    seconds = zip(*([_fastest(work, 1) for work in works] for _ in range(_TURNS)), strict=True)
    own, reference = map(min, seconds)
    return {"value": round(reference / own, 2), "unit": "times as fast"}


_CASES = {
    "import of ResNet-8": _importing,
    "compilation of ResNet-8": _compilation,
    "Verilog of a core": _generation,
    "simulated cycles": _simulation,
    "predicted cycles": _prediction,
    "ResNet-8, golden model": _golden,
    "ResNet-8, LiteRT reference kernels": _reference,
    "golden model against reference kernels": _against_reference,
}


def _cases(full: bool) -> Sequence[Case]:
    machine = {"machine": platform.machine(), "cores": os.cpu_count()}
    return [Case(name, measure, machine, held=False) for name, measure in _CASES.items()]


SPEED = Benchmark(
    name="speed",
    title="How fast the tools are: on one thread, with a core of 8 x 16 multipliers",
    cases=_cases,
    columns=(Column("what", "name"), Column("value", "value", ","), Column("unit", "unit")),
)
"""Depends on the machine and on what else it does: nothing here is held against anything."""
