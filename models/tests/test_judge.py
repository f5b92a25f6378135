import numpy as np
import pytest

from models import golden, judge, zoo


def test_each_file_has_its_judge(tmp_path):
    titles = {name: judge.title(zoo.fetch(name)) for name in ("resnet8", "lenet5")}
    assert titles == {"resnet8": "LiteRT reference kernels", "lenet5": "ONNX Runtime"}
    assert all(judge.available(zoo.fetch(name)) for name in titles)


def test_onnx_runtime_takes_what_the_network_takes():
    network, images = zoo.load("lenet5"), zoo.sample_inputs("lenet5")
    scores = judge.OnnxJudge(zoo.fetch("lenet5")).run(images)
    expected = golden.run(network, images)[network.outputs[0]]
    assert scores.dtype == np.int8 and abs(scores.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("suffix", [".onnx", ".ONNX", ".tflite"])
def test_a_damaged_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(b"no network")
    with pytest.raises(judge.JudgeError, match="does not accept the file"):
        judge.of(path)
