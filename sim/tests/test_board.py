"""Boards' own top levels, from their pins: a whole network, and the right answers."""

import numpy as np
import pytest

from boards.platform.board import load_board
from compiler.compiled import describe_program
from compiler.network_program import compile_network
from compiler.program_prediction import predict_program
from models import golden, zoo
from sim.accelerator_run import open_accelerator
from sim.board_sim import SimulatedBoard
from sim.harness import toolchain

IMAGES = 2

pytestmark = [
    pytest.mark.xdist_group("board"),
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]


def test_lenet5_answers_from_power_on():
    board, network = load_board("orangecrab_25f"), zoo.load("lenet5")
    program = describe_program(compile_network(network, board.accelerator))
    images = zoo.sample_inputs("lenet5")[:IMAGES]
    (output,) = network.outputs
    expected = golden.run(network, images)[output]
    with SimulatedBoard(board, program=program.image) as simulated:
        accelerator = open_accelerator(simulated)
        accelerator.device.wait("verify its program", lambda status: not status.verifying)
        assert accelerator.device.status().program_valid
        assert not accelerator.load(program), "the program was there, but has been written again"
        for index, image in enumerate(images):
            np.testing.assert_array_equal(accelerator.run(image)[output][0], expected[index], f"image {index}")


def test_lenet5_on_the_smallest_board():
    """Its program comes from the host: no bitstream fills the RAM that has room for it."""
    board, network = load_board("icebreaker"), zoo.load("lenet5")
    compiled = compile_network(network, board.accelerator)
    image = zoo.sample_inputs("lenet5")[:1]
    tensors = golden.run(network, image)
    (output,) = network.outputs
    with SimulatedBoard(board) as simulated:
        accelerator = open_accelerator(simulated)
        assert accelerator.load(describe_program(compiled))
        np.testing.assert_array_equal(accelerator.run(image[0])[output], tensors[output])
        layers = compiled.layers
        accelerator.load_inputs(image[0])
        accelerator.run_entries(layers[0], layers[-1])
        predicted = sum(entry.cycles for entry in predict_program(compiled, tensors)[layers.start : layers.stop])
        assert abs(predicted / accelerator.cycles - 1) < 0.02, f"{predicted} predicted, {accelerator.cycles} counted"
