"""Predicted cycles of programs, and the plan that shows them."""

import json

import numpy as np
import pytest

from compiler.compiled import describe_program
from compiler.network_program import compile_network
from compiler.operations import Convolve, VectorOperation
from compiler.plan import memory_rows, plan_rows, summary
from compiler.program_prediction import estimate_program, predict_program, vector_cycles
from compiler.tests.graphs import GraphBuilder
from hw.config import AcceleratorConfig, CoreConfig
from models import golden
from models.inputs import read_input
from models.layers import AveragePool2D, MaxPool2D
from models.zoo import networks


@pytest.fixture(scope="module")
def resnet8():
    return compile_network(networks.load("resnet8"), AcceleratorConfig())


def test_operations_are_the_non_zero_activations_under_the_windows(resnet8):
    network = resnet8.network
    tensors = golden.run(network, read_input(network, None, 0))
    found = predict_program(resnet8, tensors)
    for entry, prediction in zip(resnet8.entries, found, strict=True):
        operation = entry.operation
        if isinstance(operation, Convolve):
            conv = operation.conv
            density = np.mean(tensors[operation.input.tensor] != conv.input_zero_point)
            assert 0 < prediction.operations * conv.maps / entry.layer.mapping.passes <= conv.macs
            if conv.kernel == (1, 1) and conv.stride == (1, 1):
                assert prediction.operations == round(density * conv.macs / conv.maps)
            assert prediction.cycles * resnet8.config.core.groups >= prediction.operations
        else:
            assert prediction.operations == 0


def test_zeros_make_a_program_faster(resnet8):
    values = {
        name: np.full(resnet8.network.tensors[name].shape, lying.zero_point, np.int8)
        for name, lying in resnet8.lowered.maps.items()
    }
    nothing = predict_program(resnet8, values)
    everything = predict_program(resnet8, {name: value ^ 1 for name, value in values.items()})
    typical = estimate_program(resnet8)
    for index in resnet8.layers:
        if isinstance(resnet8.entries[index].operation, Convolve):
            # A layer of few channels is bound by the steps of its windows, whatever is in them.
            assert nothing[index].cycles <= typical[index].cycles <= everything[index].cycles
        else:
            assert nothing[index].cycles == typical[index].cycles == everything[index].cycles
    totals = [sum(prediction.cycles for prediction in found) for found in (nothing, typical, everything)]
    assert 1.5 * totals[0] < totals[1] < totals[2] / 1.5
    assert estimate_program(resnet8) == typical


def _words(operation: VectorOperation, config: CoreConfig) -> list[tuple[int, int]]:
    """For each word of the output the words it needs and its beats, from the hardware's own description."""
    output, source = operation.output, operation.operands[0].map
    found = []
    for row, column in np.ndindex(output.rows, output.columns):
        inside = [
            sum(0 <= slide.start + at * slide.step + tap < size for tap in range(slide.taps))
            for slide, at, size in ((operation.rows, row, source.rows), (operation.columns, column, source.columns))
        ]
        for first in range(0, operation.elements, 16):
            beats = -(-min(16, operation.elements - first) // config.post_lanes)
            found.append((inside[0] * inside[1] * len(operation.operands), beats))
    return found


@pytest.mark.parametrize("config", [CoreConfig(), CoreConfig(groups=4, post_lanes=2)], ids=["8 lanes", "2 lanes"])
@pytest.mark.parametrize(
    "make",
    [
        lambda b: b.sum(b.input((1, 3, 4, 20)), "input_0"),
        lambda b: b.pool(b.input((1, 6, 5, 40)), MaxPool2D, (3, 2), stride=(1, 2), padding=((1, 1), (1, 0))),
        lambda b: b.pool(b.input((1, 6, 5, 40)), AveragePool2D, (6, 5)),
    ],
)
def test_the_vector_units_own_formula(make, config):
    builder = GraphBuilder(1)
    program = compile_network(builder.build(make(builder)), AcceleratorConfig(config))
    operation = program.entries[1].operation
    assert isinstance(operation, VectorOperation)
    words = _words(operation, config)
    paced = sum(max(needs, beats) for (needs, _), (_, beats) in zip(words[1:], words, strict=False))
    rest = vector_cycles(operation, config) - (words[0][0] + paced + words[-1][1])
    assert 10 < rest < 60  # what the unit adds, whatever the map


def test_the_plan(resnet8):
    compiled = describe_program(resnet8)
    rows, memory, sums = plan_rows(resnet8, compiled), memory_rows(resnet8), summary(resnet8, compiled)
    json.dumps([rows, memory, sums])
    assert [row["name"] for row in rows] == [entry.name for entry in compiled.entries[: compiled.last + 1]]
    assert sum(row["cycles"] for row in rows if row["operation"] not in ("LOAD", "STORE")) == sums["cycles"]
    assert sums["macs"] == resnet8.network.macs
    assert max(row["live_bytes"] for row in rows) <= sums["activation_bytes"] <= sums["activation_capacity"]
    assert max(row["first_word"] * 16 + row["bytes"] for row in memory) == sums["activation_bytes"]
    assert sums["kinds"] == {"LOAD": 1, "CONVOLVE": 10, "ADD": 3, "SUM": 1, "STORE": 1}
    assert rows[1] | {"cycles": 0, "live_bytes": 0} == {
        "name": "conv_2d_0",
        "operation": "CONVOLVE",
        "layers": ["conv_2d_0"],
        "input": [32, 32, 3],
        "output": [32, 32, 16],
        "dataflow": "nullhop",
        "split": "1 x 8",
        "passes": 1,
        "weights": (27 + 18) * 16,
        "macs": 442368,
        "cycles": 0,
        "live_bytes": 0,
    }
