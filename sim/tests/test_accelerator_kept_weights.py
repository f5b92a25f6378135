"""Weights that stay in the weight memories: brought there when a program is loaded, used by every run."""

import pytest

from compiler.compiled import describe_program
from compiler.network_program import compile_network
from compiler.tests.graphs import GraphBuilder
from sim.accelerator_run import run_program
from sim.accelerator_samples import SMALL
from sim.harness import toolchain

pytestmark = [
    pytest.mark.xdist_group("accelerator 2x4"),
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]


def test_a_run_brings_no_weights():
    """Dense, depthwise and cyclic layers, of one pass and of several, as a whole and one by one."""
    builder = GraphBuilder(3)
    name = builder.conv(builder.input((1, 5, 5, 4)), 12, (2, 2), stride=(2, 2))
    name = builder.cyclic(builder.depthwise(name, (2, 2)), 16, 3, (1, 1), 4)
    network = builder.build(builder.dense(name, 10))
    streaming, keeping = (compile_network(network, SMALL, keep_weights=keep) for keep in (False, True))
    compiled = describe_program(keeping)
    assert len(compiled.holds) == 4 and compiled.holds.stop == len(keeping.entries)
    # What the layers take in a run are parameters, for any weights the same.
    taken = [sum(len(program.entries[index].weights) for index in program.layers) for program in (streaming, keeping)]
    weights = sum(len(keeping.entries[index].weights) for index in compiled.holds)
    assert taken[0] == taken[1] + weights
    values = builder.values(network)
    before, after = (run_program(program, values) for program in (streaming, keeping))
    assert before.mismatches == after.mismatches == {}
    assert after.cycles < before.cycles
