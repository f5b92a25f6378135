"""Every operator that the importer takes against ONNX Runtime, on random graphs of that one operator."""

import pytest

from models.importers import onnx as importer
from models.tests.onnx_judge import Differences, compare, run_judge
from models.tests.onnx_operators import OPERATORS, build, random_inputs

GRAPHS = 60
LARGEST_SHARE = 0.001


def check(operator: str, qdq: bool, seed: int, path, differences: Differences) -> None:
    model = build(operator, qdq, seed)
    path.write_bytes(model.SerializeToString())
    network = importer.load(path)
    message = (
        f"{operator}, qdq {qdq}, seed {seed}: models.tests.test_onnx_operators.check({operator!r}, {qdq}, {seed}, ...)"
    )
    compare(network, run_judge(model, random_inputs(model, seed)), differences, message)


@pytest.mark.parametrize(("operator", "qdq"), OPERATORS)
def test_equals_onnx_runtime(operator, qdq, tmp_path):
    differences = Differences()
    for seed in range(GRAPHS):
        check(operator, qdq, seed, tmp_path / "single.onnx", differences)
    for op in differences.elements:
        assert differences.share(op) <= LARGEST_SHARE, f"{op}: {differences}"
