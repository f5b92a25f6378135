"""Layers of the csc dataflow on the simulated accelerator: every kind of edges, every way to map them, its cycles."""

import pytest

from compiler import entries
from compiler.network_program import compile_network
from compiler.tests.graphs import GraphBuilder
from models.network import Network
from sim.accelerator_run import AcceleratorRun, run_program
from sim.accelerator_samples import SMALL
from sim.harness import toolchain

pytestmark = [
    pytest.mark.xdist_group("accelerator 2x4"),
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]

SAME = ((1, 1), (1, 1))


def source(builder: GraphBuilder, *shape: int) -> str:
    return builder.input((1, *shape))


LAYERS = {
    "depthwise": lambda b: b.depthwise(source(b, 6, 5, 12), (3, 3), padding=SAME),
    "depthwise with a multiplier": lambda b: b.depthwise(source(b, 4, 5, 6), (3, 3), 2, padding=SAME),
    "dense": lambda b: b.conv(source(b, 5, 4, 12), 8, (3, 3), padding=SAME),
    "pointwise": lambda b: b.conv(source(b, 4, 3, 20), 20, (1, 1)),
    "fully connected": lambda b: b.dense(source(b, 1, 1, 24), 10),
    "packed rows": lambda b: b.conv(source(b, 9, 8, 1), 8, (5, 3), stride=(2, 2), padding=((2, 2), (1, 1))),
    "cyclic": lambda b: b.cyclic(source(b, 4, 4, 16), 16, 4, (3, 3), padding=SAME),
    "cyclic, dilated by whole vectors": lambda b: b.cyclic(source(b, 4, 4, 16), 16, 4, (1, 1), 4),
    "cyclic, dilated otherwise": lambda b: b.cyclic(source(b, 3, 4, 24), 24, 5, (2, 2), 7),
    "cyclic, nodes that fill no vector": lambda b: b.cyclic(source(b, 3, 4, 37), 37, 6, (1, 1), 6),
    "cyclic, more maps than nodes": lambda b: b.cyclic(source(b, 3, 4, 10), 40, 3, (1, 1), 3),
    "cyclic, fully connected": lambda b: b.cyclic(source(b, 1, 1, 32), 32, 6, (1, 1), 5),
    "groups of several blocks": lambda b: b.conv(source(b, 4, 5, 12), 24, (3, 3), groups=3),
    "blocks of several groups": lambda b: b.conv(source(b, 4, 5, 12), 12, (3, 2), groups=6),
}


def choose(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Take one of the csc mappings, whatever is fastest."""

    def pick(found, config, **options):
        of_csc = [one for one in found if one.mapping.run]
        return of_csc[number * (len(of_csc) - 1) // 3]

    monkeypatch.setattr(entries, "fastest", pick)


def run(builder: GraphBuilder, network: Network, stalls: str = "none") -> AcceleratorRun:
    found = run_program(compile_network(network, SMALL), builder.values(network), stalls=stalls)
    assert found.mismatches == {}, f"stalls {stalls}"
    return found


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_every_kind_of_layer(make, number, monkeypatch):
    """Each with two of its mappings, byte for byte and cycle for cycle."""
    choose(monkeypatch, number)
    builder = GraphBuilder(number)
    (layer,) = run(builder, builder.build(make(builder))).layers
    assert layer.dataflow == "csc"
    measured, predicted = layer.counters.cycles, layer.prediction.cycles
    # Short layers: which bank a map begins in, and whom an arbiter served last, is not known beforehand.
    assert abs(predicted - measured) <= 0.02 * measured + 8, (measured, predicted, layer.entry.layer)
    assert layer.counters.operations == layer.prediction.operations


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_random_stalls(make, monkeypatch):
    choose(monkeypatch, 2)
    builder = GraphBuilder(7)
    run(builder, builder.build(make(builder)), "random")
