"""Every golden operator against LiteRT's reference kernels, on random networks of that one operator."""

import numpy as np
import pytest

from models import golden
from models.importers import tflite
from models.judge import Judge
from models.network import Network
from models.tests.single_operators import OPERATORS, build

NETWORKS = 150
BATCH = 4


def random_inputs(network: Network, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A batch whose first two entries are the extremes."""
    inputs = {}
    for name in network.inputs:
        tensor = network.tensors[name]
        shape = (BATCH, *tensor.shape[1:])
        if tensor.dtype == np.int8:
            values = rng.integers(-128, 128, shape, dtype=np.int8)
            values[0], values[1] = -128, 127
        else:
            # Halves of the output's scale are where rounding shows.
            scale = network.tensors[network.outputs[0]].scale
            steps = rng.integers(-300, 300, shape)
            values = (steps * np.float32(scale / 2)).astype(np.float32)
        inputs[name] = values
    return inputs


def check(operator: str, seed: int, path) -> None:
    path.write_bytes(build(operator, seed))
    network = tflite.load(path)
    inputs = random_inputs(network, np.random.default_rng(seed))
    got = golden.run(network, inputs)
    judge = Judge(path, keep_all=True)
    for index in range(BATCH):
        judge.run(*(array[index : index + 1] for array in inputs.values()))
        for name, expected in judge.tensors().items():
            if name in got:
                np.testing.assert_array_equal(
                    got[name][index : index + 1],
                    expected,
                    err_msg=f"{operator}, seed {seed}, input {index}, tensor {name!r}; "
                    f"reproduce: models.tests.test_operators.check({operator!r}, {seed}, path)",
                )


@pytest.mark.parametrize("operator", OPERATORS)
def test_equals_the_reference_kernel(operator, tmp_path):
    for seed in range(NETWORKS):
        check(operator, seed, tmp_path / "single.tflite")
