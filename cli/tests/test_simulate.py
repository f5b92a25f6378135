"""`skipstone simulate`: exit status, table, JSON, and one line for everything that cannot be.

All runs of a layer are of one small layer on one small core, so that a simulator compiles a single model; whole
networks are in `test_simulate_whole`.
"""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

import cli.main
import cli.simulate
from compiler.prediction import Prediction
from models import zoo
from sim import network_run
from sim.core_run import LayerRun, Mismatch
from sim.harness import toolchain
from sim.harness.runner import SimulationError
from sim.streams import expected_beats

LAYER = "fully_connected_14"
SMALL = ("resnet8", "--groups", 1, "--lanes", 2, "--layer", LAYER)
MACS = 64 * 10

pytestmark = pytest.mark.xdist_group("simulate 1x2")
needs_verilator = pytest.mark.skipif(
    toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))
)
needs_icarus = pytest.mark.skipif(toolchain.missing("icarus") is not None, reason=str(toolchain.missing("icarus")))


@pytest.fixture
def run(skipstone):
    return partial(skipstone, "simulate")


@pytest.fixture
def no_simulation(monkeypatch):
    """Nothing may be built or run."""

    def build(*arguments, **options):
        raise AssertionError("a simulation was built")

    monkeypatch.setattr(network_run, "build_core", build)


@needs_verilator
def test_an_equal_layer_exits_with_0(run, tmp_path):
    path = tmp_path / "folder" / "run.json"
    status, table, complained = run(*SMALL, "--json", path, "--seed", 3)
    assert (status, complained) == (0, "")
    document = json.loads(path.read_text())
    assert list(document) == ["network", "seed", "groups", "lanes", "layers", "total"]
    assert [document[key] for key in ("network", "seed", "groups", "lanes")] == ["resnet8", 3, 1, 2]
    (layer,) = document["layers"]
    assert list(layer) == [
        "name",
        "op",
        "dataflow",
        "cycles",
        "predicted_cycles",
        "macs",
        "multiplies",
        "utilisation",
        "equal",
        "traffic",
    ]
    assert [layer[key] for key in ("name", "op", "dataflow", "macs", "equal")] == [
        LAYER,
        "fully_connected",
        "nullhop",
        MACS,
        True,
    ]
    assert 0 < layer["multiplies"] <= MACS and layer["multiplies"] % 10 == 0
    assert layer["cycles"] >= layer["multiplies"] / 2
    assert layer["utilisation"] == pytest.approx(layer["multiplies"] / (layer["cycles"] * 2))
    assert abs(layer["predicted_cycles"] - layer["cycles"]) < 0.05 * layer["cycles"]
    total = document["total"]
    assert list(total) == ["cycles", "predicted_cycles", "macs", "multiplies", "utilisation", "equal"]
    assert total == {key: layer[key] for key in total}
    assert LAYER in table and f"{layer['cycles']:,}" in table
    assert table.rstrip().splitlines()[-1] == (
        "in the golden model: 9 conv_2d, 3 add, 1 average_pool_2d, 1 reshape, 1 softmax"
    )


@needs_verilator
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stalls_change_the_cycles_alone(run, tmp_path, seed):
    path = tmp_path / "run.json"
    assert run(*SMALL, "--stalls", "random", "--seed", seed, "--json", path)[0] == 0
    stalled = json.loads(path.read_text())["layers"][0]
    assert run(*SMALL, "--seed", seed, "--json", path)[0] == 0
    free = json.loads(path.read_text())["layers"][0]
    assert stalled["cycles"] > free["cycles"]
    assert stalled["multiplies"] == free["multiplies"]


@needs_icarus
def test_the_second_simulator(run, tmp_path):
    path = tmp_path / "run.json"
    status, _, complained = run(*SMALL, "--simulator", "icarus", "--json", path)
    assert (status, complained) == (0, "")
    assert json.loads(path.read_text())["total"]["equal"] is True


@needs_icarus
def test_waves(run, tmp_path):
    path = tmp_path / "folder" / "waves.fst"
    assert run(*SMALL, "--simulator", "icarus", "--waves", path)[0] == 0
    content = path.read_bytes()
    # A value change file begins with its header block: kind 0, and 329, its length in 8 bytes.
    assert content[:9] == bytes([0]) + (329).to_bytes(8, "big")
    assert len(content) > 1000


@needs_verilator
@pytest.mark.slow
def test_waves_of_verilator(run, tmp_path):
    path = tmp_path / "waves.fst"
    assert run(*SMALL, "--waves", path)[0] == 0
    assert path.read_bytes()[:9] == bytes([0]) + (329).to_bytes(8, "big")


@needs_verilator
def test_inputs_from_files(run, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "input.png")
    np.save(tmp_path / "input.npy", pixels)
    results = []
    for name in ("input.png", "input.npy"):
        path = tmp_path / "run.json"
        assert run(*SMALL, "--input", tmp_path / name, "--json", path)[0] == 0
        results.append(json.loads(path.read_text()))
    assert results[0] == results[1]


@pytest.fixture
def wrong_golden(monkeypatch):
    """The golden model errs by one in element 4 of the layer's output."""
    true_run = network_run.golden.run
    values = []

    def run(network, inputs):
        tensors = true_run(network, inputs)
        output = network.layer(LAYER).output
        true = int(tensors[output][0, 4])
        wrong = true + (1 if true < 127 else -1)
        tensors[output][0, 4] = wrong
        values.append((true, wrong))
        return tensors

    monkeypatch.setattr(network_run.golden, "run", run)
    return values


@needs_verilator
def test_a_mismatch_exits_with_1_and_says_where(run, tmp_path, wrong_golden):
    path = tmp_path / "run.json"
    status, table, complained = run(*SMALL, "--json", path)
    assert (status, complained) == (1, "")
    ((true, wrong),) = wrong_golden
    line = f"{LAYER}: first difference at [4]: got {true}, expected {wrong}"
    assert table.rstrip().splitlines()[-1] == line
    assert " NO" in table
    document = json.loads(path.read_text())
    assert document["layers"][0]["equal"] is False and document["total"]["equal"] is False


@needs_verilator
def test_a_hang_exits_with_1(run, tmp_path, monkeypatch):
    """A core that waits for ever is a fault of the core, not of the user."""

    def hang(*arguments, **options):
        raise SimulationError("simulation of core_bench in verilator failed (seed 0): it hangs")

    monkeypatch.setattr(cli.simulate, "run_network", hang)
    status, _, complained = run(*SMALL, "--json", tmp_path / "run.json")
    assert status == 1
    assert complained == "skipstone: simulation of core_bench in verilator failed (seed 0): it hangs\n"
    assert not (tmp_path / "run.json").exists()


def test_a_mismatch_without_values_gives_its_reason():
    assert str(Mismatch((), 0, 0, "3 packets came, 4 are due")) == "3 packets came, 4 are due"
    assert str(Mismatch((1, 2), -3, 4)) == "first difference at [1, 2]: got -3, expected 4"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("no_network",), "no_network: neither a file nor a network of the zoo"),
        (("resnet8", "--layer", "conv_2d_99"), "resnet8 has no layer 'conv_2d_99'; its layers are conv_2d_0, "),
        (
            ("resnet8", "--layer", "add_3"),
            "layer add_3 of resnet8 does not run on the array yet; these do: conv_2d_0, ",
        ),
        (("resnet8", "--input", "nothing.npy"), "nothing.npy: there is no such file"),
        (("resnet8", "--waves", "waves.vcd"), "waves.vcd: waves are an .fst file; name it waves.fst"),
        (("resnet8", "--lanes", 100000), "lanes is 100000: give at most 256"),
        (("resnet8", "--groups", 65), "groups is 65: give at most 64"),
    ],
)
def test_what_cannot_be_is_one_line(run, no_simulation, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    status, table, complained = run(*arguments)
    assert (status, table) == (2, "")
    assert complained.startswith(f"skipstone: {line}"), complained
    assert complained.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_layer_that_the_configuration_cannot_hold(run, no_simulation, monkeypatch):
    sized = cli.simulate.CoreConfig.sized
    monkeypatch.setattr(cli.simulate.CoreConfig, "sized", lambda *array: sized(*array).with_changes(max_channels=48))
    status, _, complained = run(*SMALL)
    assert status == 2
    assert complained == (
        f"skipstone: layer {LAYER}: its number of input channels is 64, "
        "but max_channels of this configuration is 48: raise it\n"
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--groups", 0),
        ("--lanes", 0),
        ("--lanes", -3),
        ("--lanes", "2.5"),
        ("--seed", -1),
        ("--stalls", "some"),
        ("--simulator", "questa"),
        ("--dataflow", "rsn"),
        ("--no-such-option", 1),
    ],
)
def test_a_usage_error_names_the_option(run, no_simulation, option, value):
    status, table, complained = run("resnet8", option, value)
    assert (status, table) == (2, "")
    assert option in complained and "Traceback" not in complained


@pytest.mark.parametrize("option", ["--json", "--waves"])
def test_an_output_that_is_a_folder_is_refused_before_the_run(run, no_simulation, tmp_path, option):
    folder = tmp_path / "folder.fst"
    folder.mkdir()
    status, _, complained = run(*SMALL, option, folder)
    assert status == 2 and option in complained


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("damaged.npy", b"\x93NUMPY\x01\x00garbage"),
        ("empty.npy", b""),
        ("damaged.png", b"\x89PNG\r\n\x1a\n garbage"),
        ("input.txt", b"1 2 3"),
    ],
)
def test_a_bad_input_is_one_line(run, no_simulation, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    status, _, complained = run(*SMALL, "--input", path)
    assert status == 2
    assert complained.startswith(f"skipstone: {path}: ") and complained.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content"), [("a.tflite", b"TFL3"), ("a.tflite", b""), ("a.onnx", b"x"), ("a.h5", b"x")]
)
def test_a_bad_network_is_one_line(run, no_simulation, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    status, _, complained = run(path)
    assert status == 2
    assert complained.startswith("skipstone: ") and f"{name}: " in complained and complained.count("\n") == 1


def test_an_input_of_another_shape_is_one_line(run, no_simulation, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 32, 32, 3), np.int8))
    status, _, complained = run(*SMALL, "--input", tmp_path / "x.npy")
    assert status == 2
    assert "x.npy: an array of shape [2, 32, 32, 3]; resnet8 takes [1, 32, 32, 3]" in complained


def test_every_layer_of_a_network_gets_its_true_input():
    """What runs on the array is everything but what the line under the table names."""
    network = zoo.load("resnet8")
    values = zoo.sample_inputs("resnet8")[:1]
    jobs = network_run.make_jobs(network, values, cli.simulate.CoreConfig())
    tensors = network_run.golden.run(network, values)
    assert len(jobs) == 10
    for job in jobs:
        conv = job.program.conv
        np.testing.assert_array_equal(job.input, tensors[conv.input][0])
        np.testing.assert_array_equal(job.expected, tensors[conv.output][0])
        assert len(expected_beats(job)) > 0
    run = network_run.NetworkRun(
        network, cli.simulate.CoreConfig(), 0, [LayerRun(job, 1000, 10, Prediction(1000, 10), None) for job in jobs]
    )
    assert run.golden_operators == {"add": 3, "average_pool_2d": 1, "reshape": 1, "softmax": 1}
    assert run.total()["macs"] == network.macs
    worse = replace(run, layers=[*run.layers[:-1], replace(run.layers[-1], mismatch=Mismatch((0,), 1, 2))])
    assert run.equal and not worse.equal and not worse.total()["equal"]
