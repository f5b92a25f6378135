"""The same layers on each dataflow that can run them: what the compiler chooses between.

By the cycle model, which the other benchmarks hold against the Verilog; nothing is simulated. The network is compiled
once with all dataflows, and once with `nullhop` alone, on which a depthwise layer runs as a dense one with weights of
zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

from bench.benchmark import Benchmark, Case, Column, Row, rates
from compiler.network_program import compile_network
from compiler.program_prediction import predict_program
from hw.config import AcceleratorConfig, CoreConfig
from models import golden, zoo
from models.inputs import read_input

NETWORK = "keyword_spotting"
SEED = 0
_CORES = {"all dataflows": CoreConfig(), "nullhop alone": CoreConfig(csc=False)}


@cache
def _predictions(built_with: str) -> dict[str, Row]:
    """The row of each layer of the array, by name."""
    core = _CORES[built_with]
    network = zoo.load(NETWORK)
    program = compile_network(network, AcceleratorConfig(core, program_depth=32768))
    predictions = predict_program(program, golden.run(network, read_input(network, None, SEED)))
    rows = {}
    for entry, prediction in zip(program.entries, predictions, strict=True):
        if entry.layer is None:
            continue
        multiplies = entry.layer.mapping.multiplies(prediction.operations, entry.layer.conv.maps)
        layer = network.layer(entry.operation.layers[0])
        macs = layer.macs(network)
        rows[entry.operation.name] = {
            "layer": layer.name,
            "op": layer.op,
            "dataflow": entry.layer.mapping.dataflow,
            "groups": core.groups,
            "lanes": core.lanes,
            "predicted_cycles": prediction.cycles,
            "macs": macs,
            "multiplies": multiplies,
            **rates(prediction.cycles, macs, multiplies, core.groups * core.lanes),
        }
    return rows


def _measure(built_with: str, name: str) -> Row:
    return _predictions(built_with)[name]


def _cases(full: bool) -> Sequence[Case]:
    cases = []
    for layer in zoo.load(NETWORK).layers:
        if layer.op in ("conv_2d", "depthwise_conv_2d"):
            # What is not depthwise runs on nullhop either way.
            choices = tuple(_CORES) if layer.op == "depthwise_conv_2d" else ("all dataflows",)
            cases += [
                Case(f"{layer.name}, {choice}", partial(_measure, choice, layer.name), cheap=True) for choice in choices
            ]
    return cases


DATAFLOWS = Benchmark(
    name="dataflows",
    title="KWS DS-CNN, layer by layer on each dataflow that can run it: predicted, on 8 x 16 multipliers",
    cases=_cases,
    columns=(
        Column("layer", "layer"),
        Column("dataflow", "dataflow"),
        Column("predicted cycles", "predicted_cycles", ",d"),
        Column("MACs", "macs", ",d"),
        Column("multiplies", "multiplies", ",d"),
        Column("MAC/cycle/lane", "efficiency", ".2f"),
    ),
    seed=SEED,
)
