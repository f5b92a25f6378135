"""Weights of 2, 4 and 16 bits and activations of 16, on whole small layers in Verilog."""

import pytest

from compiler.network_program import compile_network
from compiler.tests.test_network_program import narrow_network
from sim.accelerator_run import run_program
from sim.accelerator_samples import SMALL
from sim.harness import toolchain

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]


@pytest.mark.parametrize("weight_bits, activation_bits", [(2, 8), (4, 8), (2, 16), (16, 16)])
def test_every_kind_of_layer(weight_bits, activation_bits):
    core = SMALL.core.with_changes(weight_bits=weight_bits, activation_bits=activation_bits)
    builder, network = narrow_network(weight_bits)
    program = compile_network(network, SMALL.with_changes(core=core))
    assert run_program(program, builder.values(network)).mismatches == {}
