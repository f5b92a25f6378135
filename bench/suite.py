"""Every benchmark by name."""

from __future__ import annotations

from bench.benchmark import Benchmark
from bench.boards import BOARDS
from bench.csc import CSC_LAYERS
from bench.dataflows import DATAFLOWS
from bench.networks import MLPERF_TINY
from bench.nngen import NNGEN, NNGEN_SIZE
from bench.papers import BALANCE, MOBILENET_CSC, RSNN_VGG16
from bench.speed import SPEED
from bench.vgg import VGG16, VGG16_16BIT, VGG19
from bench.zeros import ZEROS
from models.errors import SkipstoneError

BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        DATAFLOWS,
        ZEROS,
        VGG16,
        VGG19,
        VGG16_16BIT,
        RSNN_VGG16,
        BALANCE,
        CSC_LAYERS,
        MOBILENET_CSC,
        MLPERF_TINY,
        BOARDS,
        NNGEN,
        NNGEN_SIZE,
        SPEED,
    )
}
"""Every benchmark by its name, in the order in which they run."""


def benchmark(name: str) -> Benchmark:
    """The benchmark of that name; raises SkipstoneError if there is none."""
    if name not in BENCHMARKS:
        raise SkipstoneError(f"there is no benchmark {name!r}: give one of {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]
