"""A peer on the same layers: NNgen, a generator of dense accelerators in the same language family.

NNgen runs in its own simulation flow (Icarus Verilog, its memory model at its bus), checked against its own model, with
as nearly as many multipliers as it can have, and its best setting that was found: a bus of 128 bits, and all output
channels of a pass at once. A full run adds its defaults. Its memory takes a cycle to answer and then gives a beat a
cycle; its cycles are from the start command to the end. Skipstone's are those of its core alone, with nothing loaded
before.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.benchmark import LAYER_COLUMNS, Benchmark, Case, Column, Row, rates
from bench.layers import layer_row, make_job, simulate
from bench.peers.environment import python_with
from bench.synthetic import feature_map
from hw.config import CoreConfig
from models.errors import SkipstoneError
from sim.harness import toolchain
from sim.random_layers import LayerShape, make_layer

REQUIREMENTS = ("nngen==1.3.4", "veriloggen==2.3.0", "numpy==2.4.6", "setuptools<81")
CORE = CoreConfig()
SEED = 0
_ZEROS = (0, 50, 70)
_SCRIPT = Path(__file__).parent / "peers/nngen_layer.py"
_SECONDS = 3600

LAYERS = {
    "3x3, 64 to 64 on 8x8": LayerShape((8, 8), 64, 64, kernel=(3, 3), padding=((1, 1), (1, 1))),
    "1x1, 64 to 64 on 25x5": LayerShape((25, 5), 64, 64),
}
_BEST: dict[str, int | None] = {"bus_bits": 128, "concur_och": 64}
_DEFAULT: dict[str, int | None] = {"bus_bits": 32, "concur_och": None}
_PARALLEL = {3: ((4, 4),), 1: ((8, 16),)}
_FEW = {3: ((1, 2),), 1: ((4, 4),)}


def _macs(shape: LayerShape) -> int:
    return shape.size[0] * shape.size[1] * shape.kernel[0] * shape.kernel[1] * shape.channels * shape.maps


def _measure_peer(shape: LayerShape, parallel: tuple[int, int], setting: dict[str, Any]) -> Row:
    toolchain.require("icarus")
    settings = {
        "size": shape.size,
        "channels": shape.channels,
        "maps": shape.maps,
        "kernel": shape.kernel[0],
        "par_ich": parallel[0],
        "par_och": parallel[1],
        **setting,
    }
    python = python_with("nngen", REQUIREMENTS)
    with tempfile.TemporaryDirectory(prefix="skipstone-nngen-") as folder:
        command = [str(python), str(_SCRIPT), json.dumps(settings)]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if result.returncode:
        said = result.stderr.strip().splitlines() or ["no message"]
        raise SkipstoneError(f"NNgen could not be measured: {said[-1]}")
    found = json.loads(result.stdout.splitlines()[-1])
    multipliers = shape.kernel[0] * shape.kernel[1] * parallel[0] * parallel[1]
    macs = _macs(shape)
    return {"multipliers": multipliers, "macs": macs, **found, **rates(found["cycles"], macs, macs, multipliers)}


def _measure(shape: LayerShape, percent: int) -> Row:
    values = feature_map((*shape.size, shape.channels), percent / 100, SEED)
    (run,) = simulate([make_job(make_layer(shape, SEED, values), CORE)], CORE)
    return {"multipliers": CORE.groups * CORE.lanes, **layer_row(run)}


def _cases(full: bool) -> Sequence[Case]:
    cases = []
    for name, shape in LAYERS.items():
        side = shape.kernel[0]
        runs = [(parallel, _BEST) for parallel in _PARALLEL[side]]
        if full:
            runs += [(parallel, _DEFAULT) for parallel in (*_PARALLEL[side], *_FEW[side])]
        for parallel, setting in runs:
            tool = {"generator": "NNgen 1.3.4", "layer": name, **setting}
            of = f"NNgen, {setting['bus_bits']} bit bus, {side * side * parallel[0] * parallel[1]} multipliers, {name}"
            cases.append(Case(of, partial(_measure_peer, shape, parallel, setting), tool, held=False))
        for percent in _ZEROS:
            what = {"generator": "Skipstone", "layer": name, "zero_share": percent / 100}
            cases.append(Case(f"Skipstone, {percent} % zeros, {name}", partial(_measure, shape, percent), what))
    return cases


NNGEN = Benchmark(
    name="nngen",
    title="A peer: NNgen on the same layers, with about as many multipliers",
    cases=_cases,
    columns=(
        Column("layer", "layer"),
        Column("generator", "generator"),
        Column("zero inputs", "zero_share", ".0%"),
        Column("bus, bits", "bus_bits", "d"),
        Column("multipliers", "multipliers", "d"),
        *(column for column in LAYER_COLUMNS if column.key in ("cycles", "macs", "efficiency", "equal")),
    ),
    seed=SEED,
)
