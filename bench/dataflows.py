"""The same layers on each dataflow that can run them: what the compiler chooses between.

By the cycle model, which the other benchmarks hold against the Verilog; nothing is simulated. Each network is compiled
for cores of the same size that have a single dataflow. On `nullhop` a depthwise layer runs as a dense one with weights
of zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

from bench.benchmark import Benchmark, Case, Column, Row, layer_columns, rates
from compiler.network_program import compile_network
from compiler.program_prediction import predict_program
from hw.config import AcceleratorConfig, CoreConfig
from models import golden, zoo
from models.inputs import read_input

SEED = 0
NETWORKS = {"keyword_spotting": ("nullhop", "csc"), "resnet8_pruned35": ("nullhop", "rsnn", "csc")}
"""A network with depthwise layers, and one of whose weights two thirds are pruned; the dataflows that can run each."""

_CORES = {
    "nullhop": CoreConfig(csc=False),
    "csc": CoreConfig(nullhop=False),
    "rsnn": CoreConfig.sized(8, 16, ("rsnn",)).with_changes(csc=False),
}


@cache
def _predictions(network_name: str, dataflow: str) -> dict[str, Row]:
    """The row of each layer of the array, by name."""
    core, network = _CORES[dataflow], zoo.load(network_name)
    program = compile_network(network, AcceleratorConfig(core, program_depth=32768))
    predictions = predict_program(program, golden.run(network, read_input(network, None, SEED)))
    rows = {}
    for entry, prediction in zip(program.entries, predictions, strict=True):
        if entry.layer is None:
            continue
        layer = network.layer(entry.operation.layers[0])
        macs, multiplies = layer.macs(network), entry.layer.multiplies(prediction.operations)
        rows[layer.name] = {
            "op": layer.op,
            "groups": core.groups,
            "lanes": core.lanes,
            "predicted_cycles": prediction.cycles,
            "macs": macs,
            "multiplies": multiplies,
            **rates(prediction.cycles, macs, multiplies, core.groups * core.lanes),
        }
    return rows


def _measure(network: str, dataflow: str, name: str) -> Row:
    return _predictions(network, dataflow)[name]


def _cases(full: bool) -> Sequence[Case]:
    return [
        Case(
            f"{network}, {layer.name}, {dataflow}",
            partial(_measure, network, dataflow, layer.name),
            {"network": network, "layer": layer.name, "dataflow": dataflow},
            cheap=network == "keyword_spotting",
        )
        for network, dataflows in NETWORKS.items()
        for layer in zoo.load(network).layers
        if layer.op in ("conv_2d", "depthwise_conv_2d")
        for dataflow in dataflows
    ]


DATAFLOWS = Benchmark(
    name="dataflows",
    title="Each layer on each dataflow that can run it: predicted, on 8 x 16 multipliers",
    cases=_cases,
    columns=(
        Column("network", "network"),
        Column("layer", "layer"),
        *layer_columns("dataflow"),
        Column("predicted cycles", "predicted_cycles", ",d"),
        *layer_columns("macs", "multiplies", "efficiency"),
    ),
    seed=SEED,
)
