"""The zoo's networks as programs, each as a whole."""

import numpy as np
import pytest

from compiler.compiled import describe_program
from compiler.network_program import compile_network
from hw.config import AcceleratorConfig, CoreConfig
from models import golden, zoo
from models.inputs import image_to_int8, read_input
from models.zoo import cifar10
from sim.accelerator_run import open_accelerator, run_program
from sim.accelerator_sim import SimulatedAccelerator
from sim.harness import toolchain

pytestmark = [
    pytest.mark.xdist_group("accelerator 8x16"),
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]
DEFAULT = AcceleratorConfig()
IMAGES = 50


@pytest.fixture(scope="module")
def resnet8():
    return compile_network(zoo.load("resnet8"), DEFAULT)


def test_resnet8_is_equal_in_every_tensor_and_fast(resnet8):
    run = run_program(resnet8, read_input(resnet8.network, None))
    assert run.mismatches == {}
    assert {row["op"] for row in run.rows()} == {"conv_2d", "add", "average_pool_2d", "fully_connected"}
    assert run.host_operators == {"softmax": 1}
    total = run.total()
    assert total["macs"] / (total["cycles"] * DEFAULT.core.groups * DEFAULT.core.lanes) >= 1.5
    assert total["utilisation"] >= 0.85
    assert abs(total["predicted_cycles"] - total["cycles"]) <= 0.02 * total["cycles"]


def check_in_a_row(program, images):
    """Images through one loaded program, without a reset between them."""
    (output,) = program.network.outputs
    expected = golden.run(program.network, images)[output]
    with SimulatedAccelerator(DEFAULT) as simulated:
        accelerator = open_accelerator(simulated)
        accelerator.load(describe_program(program))
        for index, image in enumerate(images):
            got = accelerator.run(image)[output][0]
            np.testing.assert_array_equal(got, expected[index], f"image {index}")


def test_the_sample_images_in_a_row(resnet8):
    check_in_a_row(resnet8, zoo.sample_inputs("resnet8"))


@pytest.mark.slow
def test_images_of_the_test_set_in_a_row(resnet8):
    pixels, _ = cifar10.test_set()
    check_in_a_row(resnet8, image_to_int8(pixels[:IMAGES]))


def test_keyword_spotting_is_equal_in_every_tensor_and_fast():
    network = zoo.load("keyword_spotting")
    run = run_program(compile_network(network, DEFAULT), read_input(network, None))
    assert run.mismatches == {}
    rows = run.rows()
    assert {row["dataflow"] for row in rows if row["op"] == "depthwise_conv_2d"} == {"csc"}
    assert run.host_operators == {"quantize": 1, "softmax": 1, "dequantize": 1}
    total = run.total()
    assert total["macs"] / (total["cycles"] * DEFAULT.core.groups * DEFAULT.core.lanes) >= 1.1
    assert abs(total["predicted_cycles"] - total["cycles"]) <= 0.02 * total["cycles"]


@pytest.mark.slow
@pytest.mark.xdist_group("accelerator 1x8")
def test_anomaly_detection_is_equal_in_every_tensor():
    """On a small array, so that its weights fill a large program memory."""
    config = AcceleratorConfig(CoreConfig.sized(1, 8), program_depth=65536)
    network = zoo.load("anomaly_detection")
    run = run_program(compile_network(network, config), read_input(network, None))
    assert run.mismatches == {}
    assert run.host_operators == {"quantize": 1, "dequantize": 1}
