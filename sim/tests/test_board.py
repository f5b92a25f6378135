"""A board's own top level, from its pins: the driver gets the right answer from power-on."""

import numpy as np
import pytest

from boards.platform.board import load_board
from compiler.compiled import describe_program
from compiler.network_program import compile_network
from models import golden
from sim.accelerator_run import open_accelerator
from sim.accelerator_samples import random_images, random_network
from sim.board_sim import SimulatedBoard
from sim.harness import toolchain

pytestmark = [
    pytest.mark.xdist_group("board"),
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]

NETWORK = random_network(2, size=6)
(OUTPUT,) = NETWORK.outputs
IMAGES = random_images(NETWORK, 2, seed=5)


def check(accelerator, program):
    expected = golden.run(NETWORK, IMAGES)[OUTPUT]
    for index, image in enumerate(IMAGES):
        np.testing.assert_array_equal(accelerator.run(image)[OUTPUT][0], expected[index], f"image {index}")


def test_the_board_answers_from_power_on():
    board = load_board("orangecrab_25f")
    program = describe_program(compile_network(NETWORK, board.accelerator))
    with SimulatedBoard(board, program=program.image) as simulated:
        accelerator = open_accelerator(simulated)
        assert accelerator.device.status().program_valid
        assert not accelerator.load(program), "the program was there, but has been written again"
        check(accelerator, program)
