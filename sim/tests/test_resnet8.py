import pytest

from models import zoo
from models.inputs import read_input
from sim.network_run import make_jobs, run_network
from sim.tests.cores import DEFAULT

pytestmark = pytest.mark.xdist_group("8x16")


@pytest.fixture(scope="module")
def resnet8():
    network = zoo.load("resnet8")
    return network, make_jobs(network, read_input(network, None), DEFAULT)


def test_every_layer_is_equal_fast_and_predicted(resnet8):
    network, jobs = resnet8
    run = run_network(network, jobs, DEFAULT)
    assert [layer.mismatch for layer in run.layers] == [None] * len(jobs)
    convolutions = [row for row in run.rows() if row["op"] == "conv_2d"]
    cycles, macs, multiplies = (sum(row[key] for row in convolutions) for key in ("cycles", "macs", "multiplies"))
    assert run.utilisation(multiplies, cycles) >= 0.90
    assert macs / (cycles * DEFAULT.groups * DEFAULT.lanes) >= 1.6
    for row in convolutions:
        assert abs(row["predicted_cycles"] - row["cycles"]) <= 0.02 * row["cycles"], row


@pytest.mark.parametrize("seed", [1, 2])
def test_random_stalls_change_no_byte(resnet8, seed):
    network, jobs = resnet8
    run = run_network(network, jobs, DEFAULT, seed=seed, stalls="random")
    assert [layer.mismatch for layer in run.layers] == [None] * len(jobs), f"seed {seed}"
