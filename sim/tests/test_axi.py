"""The accelerator behind AXI, driven by masters that are not ours."""

import numpy as np
import pytest

from compiler.compiled import describe_program
from compiler.network_program import compile_network
from models import golden
from sim.accelerator_samples import SMALL, random_images, random_network
from sim.axi_run import build_axi, run_axi
from sim.harness import toolchain
from sim.harness.runner import run

pytestmark = [
    pytest.mark.xdist_group("axi"),
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]

NETWORK = random_network(2, size=6)
PROGRAM = describe_program(compile_network(NETWORK, SMALL))
(OUTPUT,) = NETWORK.outputs
IMAGES = random_images(NETWORK, 2, seed=3)


@pytest.fixture(scope="module")
def model():
    return build_axi(SMALL)


@pytest.mark.parametrize(("stalls", "seed"), [("none", 0), ("random", 1)])
def test_a_network_runs_as_the_golden_model_does(model, stalls, seed):
    answers = run_axi(model, PROGRAM, list(IMAGES), seed=seed, stalls=stalls)
    expected = golden.run(NETWORK, IMAGES)[OUTPUT]
    for index, answer in enumerate(answers):
        np.testing.assert_array_equal(answer[OUTPUT][0], expected[index], f"image {index}, seed {seed}")


def test_what_is_not_there_is_refused(model):
    run(model, "sim.axi_test", testcase="refusals", seed=5)
