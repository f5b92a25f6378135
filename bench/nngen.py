"""A peer: NNgen, a generator of dense accelerators in the same language family, on the same layers and on ResNet-8.

NNgen is simulated with a memory at its bus that takes a cycle to answer and then gives a beat a cycle, and checked
against its own model; its weights are seeded and random, which its cycles do not depend on. It has as nearly as many
multipliers as it can have, and its best setting that was found: a bus of 128 bits, and all output channels of a pass
at once. A full run adds its defaults. Its cycles are from the start command to the end. Skipstone's layers are those
of its core alone, with nothing loaded before; its ResNet-8 is the real one on the sample image, from start to done.

Multipliers are those of the 3x3 kernels, or of the only layer. NNgen's ResNet-8 has more, for 1x1 kernels and the
classifier, which are not counted, in its favour. What each takes (`NNGEN_SIZE`) is counted by the same yosys for the
same ECP5: NNgen's hardware, whose weights lie in a memory behind its bus; Skipstone's accelerator with AXI interfaces,
whose weights lie in its own program memory, of block RAM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import resources
from bench.benchmark import Benchmark, Case, Column, Row, layer_columns, rates
from bench.layers import layer_row, make_job, only_described, simulate
from bench.peers import nngen
from bench.synthetic import feature_map
from compiler.network_program import compile_network
from hw.config import AcceleratorConfig, CoreConfig
from models import zoo
from models.inputs import read_input
from sim.accelerator_run import run_program
from sim.random_layers import LayerShape, make_layer

SEED = 0
RESNET8 = "ResNet-8"
LAYERS = {
    "3x3, 64 to 64 on 8x8": LayerShape((8, 8), 64, 64, kernel=(3, 3), padding=((1, 1), (1, 1))),
    "1x1, 64 to 64 on 25x5": LayerShape((25, 5), 64, 64),
}
_ZEROS = (0, 50, 70)
_BEST: dict[str, int | None] = {"bus_bits": 128, "concur_och": 64}
_DEFAULT: dict[str, int | None] = {"bus_bits": 32, "concur_och": None}


@dataclass(frozen=True)
class Size:
    """About as many multipliers on both sides.

    Attributes:
        groups: of 16 lanes of Skipstone.
        parallel: input and output channels that NNgen multiplies at once, by the kernel's side.
        synthesised: what NNgen's hardware is synthesised for in a quick run, and if anything, Skipstone's is, too; each
            of the rest takes up to half an hour.
    """

    groups: int
    parallel: dict[int, tuple[int, int]]
    synthesised: tuple[str, ...]

    @property
    def config(self) -> AcceleratorConfig:
        """With the one front end that these layers take."""
        return AcceleratorConfig(CoreConfig(groups=self.groups, csc=False))

    @property
    def multipliers(self) -> int:
        """Skipstone's."""
        return self.config.core.groups * self.config.core.lanes


ANY_WORK = "any layer or network"
"""What Skipstone's accelerator runs."""

OWN, PEER = "Skipstone", f"NNgen {nngen.VERSION}"
SIZES = (
    Size(8, {3: (4, 4), 1: (8, 16)}, ("3x3, 64 to 64 on 8x8",)),
    Size(1, {3: (1, 2), 1: (4, 4)}, ()),
)


def _macs(work: str) -> int:
    if work == RESNET8:
        return zoo.load("resnet8").macs
    shape = LAYERS[work]
    return shape.size[0] * shape.size[1] * shape.kernel[0] * shape.kernel[1] * shape.channels * shape.maps


def _multipliers(side: int, parallel: tuple[int, int]) -> int:
    return side * side * parallel[0] * parallel[1]


def _side(work: str) -> int:
    """Of the kernel that has most of the multiplications."""
    return 3 if work == RESNET8 else LAYERS[work].kernel[0]


def _peer(work: str, parallel: tuple[int, int], setting: Mapping[str, int | None]) -> Path:
    """The folder of NNgen's hardware and its bench."""
    settings: dict[str, Any] = {"par_ich": parallel[0], "par_och": parallel[1], **setting}
    if work != RESNET8:
        shape = LAYERS[work]
        settings |= {"size": shape.size, "channels": shape.channels, "maps": shape.maps, "kernel": shape.kernel[0]}
    return nngen.generate(settings)


def _measure_peer(work: str, parallel: tuple[int, int], setting: Mapping[str, int | None]) -> Row:
    cycles, equal = nngen.simulate(_peer(work, parallel, setting))
    macs, multipliers = _macs(work), _multipliers(_side(work), parallel)
    return {"cycles": cycles, "macs": macs, **rates(cycles, macs, macs, multipliers), "equal": equal}


def _measure_layer(work: str, size: Size, percent: int) -> Row:
    shape, core = LAYERS[work], size.config.core
    values = feature_map((*shape.size, shape.channels), percent / 100, SEED)
    (run,) = simulate([make_job(make_layer(shape, SEED, values), core)], core)
    return layer_row(run)


def _measure_network(size: Size) -> Row:
    network = zoo.load("resnet8")
    with only_described():
        total = run_program(compile_network(network, size.config), read_input(network, None, SEED)).total()
    return {**total, **rates(total["cycles"], total["macs"], total["multiplies"], size.multipliers)}


def _peer_cases(work: str, size: Size, full: bool) -> Iterator[Case]:
    parallel = size.parallel[_side(work)]
    multipliers = _multipliers(_side(work), parallel)
    for setting in (_BEST, _DEFAULT) if full else (_BEST,):
        name = f"NNgen, {multipliers} multipliers, {setting['bus_bits']} bit bus, {work}"
        what = {"generator": PEER, "layer": work, "multipliers": multipliers, **setting}
        yield Case(name, partial(_measure_peer, work, parallel, setting), what, held=False)


def _own_cases(work: str, size: Size) -> Iterator[Case]:
    own = {"generator": OWN, "layer": work, "multipliers": size.multipliers}
    if work == RESNET8:
        name = f"{OWN}, {size.multipliers} multipliers, {work}"
        yield Case(name, partial(_measure_network, size), own, held=False)
        return
    for percent in _ZEROS:
        name = f"{OWN}, {size.multipliers} multipliers, {percent} % zeros, {work}"
        yield Case(name, partial(_measure_layer, work, size, percent), {**own, "zero_share": percent / 100})


def _cases(full: bool) -> Sequence[Case]:
    return [
        case
        for work in (*LAYERS, RESNET8)
        for size in SIZES
        for case in (*_peer_cases(work, size, full), *_own_cases(work, size))
    ]


def _measure_size(work: str, parallel: tuple[int, int]) -> Row:
    return resources.of_verilog(_peer(work, parallel, _BEST) / nngen.HARDWARE, nngen.TOP)


def _size_cases(full: bool) -> Iterator[Case]:
    for size in SIZES if full else (size for size in SIZES if size.synthesised):
        what = {"generator": OWN, "runs": ANY_WORK, "multipliers": size.multipliers}
        of = partial(resources.of_accelerator, size.config)
        yield Case(f"{OWN}, {size.multipliers} multipliers", of, what, held=False)
        for work in (*LAYERS, RESNET8) if full else size.synthesised:
            parallel = size.parallel[_side(work)]
            what = {"generator": PEER, "runs": work, "multipliers": _multipliers(_side(work), parallel)}
            name = f"NNgen, {what['multipliers']} multipliers, {work}"
            yield Case(name, partial(_measure_size, work, parallel), what, held=False)


NNGEN = Benchmark(
    name="nngen",
    title="A peer: NNgen on the same layers and on ResNet-8, with about as many multipliers",
    cases=_cases,
    columns=(
        Column("layer", "layer"),
        Column("generator", "generator"),
        Column("zero inputs", "zero_share", ".0%"),
        Column("bus, bits", "bus_bits", "d"),
        Column("multipliers", "multipliers", "d"),
        *layer_columns("cycles", "macs"),
        Column("MAC/cycle/multiplier", "efficiency", ".2f"),
        *layer_columns("equal"),
    ),
    seed=SEED,
)

NNGEN_SIZE = Benchmark(
    name="nngen-size",
    title="A peer: what NNgen and Skipstone take of an ECP5, with about as many multipliers",
    cases=lambda full: list(_size_cases(full)),
    columns=(
        Column("generator", "generator"),
        Column("runs", "runs"),
        Column("multipliers", "multipliers", "d"),
        *resources.COLUMNS,
    ),
)
"""Cells before anything is placed; a carry cell takes the place of two LUTs."""
