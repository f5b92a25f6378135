"""Inputs as a user has them and as a network takes them, and outputs as real values."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.compiled import describe_program
from compiler.host_steps import HostStep
from compiler.network_program import compile_network
from compiler.values import as_real, as_taken, gives_probabilities, input_form
from models.inputs import InputError
from sim.accelerator_samples import SMALL, random_network

PROGRAM = describe_program(compile_network(random_network(2), SMALL))
QUANTISE = HostStep("q", "quantize", "real", "input", (1, 10, 10, 3), {"scale": 0.05, "zero_point": -3})
REAL = replace(PROGRAM, takes=("real",), before=(QUANTISE,))
QUANTISED = np.random.default_rng(1).integers(-128, 128, (10, 10, 3), dtype=np.int8)
IN_REAL = (0.05 * (QUANTISED.astype(np.float64) + 3)).astype(np.float32)


@pytest.mark.parametrize("values", [QUANTISED, IN_REAL, IN_REAL.astype(np.float64)[np.newaxis]])
def test_a_quantised_network_takes_int8(values):
    assert input_form(PROGRAM, "input").dtype == np.int8
    taken = as_taken(PROGRAM, values)["input"]
    assert taken.dtype == np.int8
    np.testing.assert_array_equal(taken, QUANTISED[np.newaxis])


@pytest.mark.parametrize("values", [QUANTISED, IN_REAL, {"real": QUANTISED}])
def test_a_network_that_quantises_takes_real_values(values):
    assert input_form(REAL, "real").dtype == np.float32
    taken = as_taken(REAL, values)["real"]
    assert taken.dtype == np.float32
    np.testing.assert_array_equal(taken, IN_REAL[np.newaxis])
    np.testing.assert_array_equal(QUANTISE.run(taken)[0], QUANTISED)


def test_several_inputs_are_given_by_name():
    two = replace(PROGRAM, takes=("input", "conv_2d_0_out"))
    with pytest.raises(InputError, match="give an array for each of input, conv_2d_0_out"):
        as_taken(two, QUANTISED)
    values = {"conv_2d_0_out": np.zeros((10, 10, 8), np.int8), "input": QUANTISED}
    assert {name: array.shape for name, array in as_taken(two, values).items()} == {
        "input": (1, 10, 10, 3),
        "conv_2d_0_out": (1, 10, 10, 8),
    }


def test_an_output_of_softmax_is_probabilities():
    (output,) = PROGRAM.gives
    assert gives_probabilities(PROGRAM)
    assert as_real(PROGRAM, output, np.array([[-128, 0, 127]], np.int8)).tolist() == [[0, 0.5, 255 / 256]]
    shaped = HostStep("r", "reshape", output, "shaped", (3, 1))
    again = replace(PROGRAM, after=(*PROGRAM.after, shaped), gives=("shaped",))
    assert gives_probabilities(again)
    assert as_real(again, "shaped", np.array([[127]], np.int8)).tolist() == [[255 / 256]]


def test_other_outputs_have_their_own_scale_or_are_real():
    logits = replace(PROGRAM, after=(), gives=("fully_connected_8_out",))
    assert not gives_probabilities(logits)
    got = as_real(logits, "fully_connected_8_out", np.array([[5, 25]], np.int8))
    np.testing.assert_allclose(got, [[0, 1]])
    real = np.array([[1.5]], np.float32)
    assert as_real(logits, "anything", real) is real
