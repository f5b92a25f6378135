"""The options that make a core small, on a whole network with every kind of operation in it."""

import pytest

from compiler.network_program import compile_network
from hw.config import ConfigurationError
from hw.machine.machine import Machine
from hw.machine.program import ProgramImage
from sim.accelerator_run import run_program
from sim.accelerator_samples import SMALL, random_images, random_network
from sim.harness import toolchain

pytestmark = pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator")))

CORE = SMALL.core.with_changes(
    word_elements=4,
    stream_units=4,
    codec_elements=1,
    sparse_streams=False,
    post_lanes=2,
    post_dsps=4,
    product_registers=False,
    packed_parameters=True,
    single_port=True,
    lookahead=False,
    activation_depth=512,
)


def test_all_of_them_together():
    """With both dataflows and the vector unit."""
    seed = 4
    network = random_network(seed)
    program = compile_network(network, SMALL.with_changes(core=CORE, activity_counters=False))
    run = run_program(program, random_images(network, 1, seed), seed=seed)
    assert run.mismatches == {}, f"seed {seed}"


def test_a_program_cannot_be_in_single_port_ram():
    config = SMALL.with_changes(core=CORE)
    with pytest.raises(ConfigurationError, match="single_port is True: no program can be in that memory at power-on"):
        Machine(config, ProgramImage(bytes(4), 1))
