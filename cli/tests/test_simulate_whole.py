"""`skipstone simulate` of a whole network: a small one, on a small accelerator, in place of what was asked for."""

import json
from functools import partial

import pytest

import cli.main
import cli.simulate
from compiler.network_program import compile_network
from host.device import AcceleratorError
from sim import accelerator_run
from sim.accelerator_samples import SMALL, random_network
from sim.harness import toolchain

pytestmark = pytest.mark.xdist_group("accelerator small")
needs_verilator = pytest.mark.skipif(
    toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))
)
NETWORK = random_network(2)


@pytest.fixture
def run(skipstone):
    return partial(skipstone, "simulate")


@pytest.fixture
def small(monkeypatch):
    """The small network and the small accelerator, whatever is asked for."""
    monkeypatch.setattr(cli.simulate, "load", lambda name: NETWORK)
    monkeypatch.setattr(cli.simulate, "compile_for", lambda network, core, **options: compile_network(network, SMALL))


@needs_verilator
def test_a_whole_network(run, small, tmp_path):
    path = tmp_path / "folder" / "run.json"
    status, table, complained = run("random", "--json", path, "--seed", 3, "--stalls", "random")
    assert (status, complained) == (0, "")
    document = json.loads(path.read_text())
    assert list(document) == ["network", "seed", "groups", "lanes", "layers", "total"]
    assert [document[key] for key in ("network", "seed", "groups", "lanes")] == ["random_2", 3, 2, 4]
    layers = document["layers"]
    assert {"add", "max_pool_2d", "average_pool_2d", "fully_connected", "conv_2d"} <= {layer["op"] for layer in layers}
    keys = (
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
    )
    for layer in layers:
        assert tuple(layer) == keys and layer["equal"] is True
        assert f" {layer['name']} " in table and f" {layer['cycles']:,} " in table
    total = document["total"]
    assert list(total) == ["cycles", "predicted_cycles", "macs", "multiplies", "utilisation", "equal"]
    assert total["equal"] is True and total["cycles"] > sum(layer["cycles"] for layer in layers)
    assert total["macs"] == NETWORK.macs and f" {total['cycles']:,} " in table
    assert table.rstrip().splitlines()[-1] == "on the host: 1 softmax"


@needs_verilator
def test_a_difference_exits_with_1_and_says_where(run, small, monkeypatch):
    """The golden model errs in an element of the addition, and in one of the output."""
    true_run = accelerator_run.golden.run
    (added,) = (layer for layer in NETWORK.layers if layer.op == "add")
    (output,) = NETWORK.outputs

    def wrong(network, values):
        tensors = true_run(network, values)
        tensors[added.output][0, 1, 2, 3] ^= 1
        tensors[output][0, 4] ^= 1
        return tensors

    monkeypatch.setattr(accelerator_run.golden, "run", wrong)
    status, table, complained = run("random")
    assert (status, complained) == (1, "")
    lines = table.rstrip().splitlines()[-2:]
    assert lines[0].startswith(f"{added.name}: first difference at [1, 2, 3]: got ")
    assert lines[1].startswith(f"{output}: first difference at [4]: got ")
    assert table.count(" NO") == 2, "the layer and the total"


def test_a_stopped_accelerator_exits_with_1(run, small, monkeypatch, tmp_path):
    def stop(*arguments, **options):
        raise AcceleratorError("accelerator in verilator: the accelerator stopped with INTERNAL")

    monkeypatch.setattr(cli.simulate, "run_program", stop)
    status, _, complained = run("random", "--json", tmp_path / "run.json")
    assert (status, complained) == (1, "skipstone: accelerator in verilator: the accelerator stopped with INTERNAL\n")
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("visual_wake_words",), "visual_wake_words: its tensors need 184,320 bytes of activation memory, but this"),
        (("resnet8", "--lanes", 2), "lanes is 2: give an accelerator a power of two of at least 4"),
    ],
)
def test_a_network_that_does_not_run_whole_is_one_line(run, arguments, line):
    status, table, complained = run(*arguments)
    assert (status, table) == (2, "")
    assert complained.startswith(f"skipstone: {line}") and complained.count("\n") == 1
    assert "raise activation_depth to 4096" in complained or "lanes" in complained
