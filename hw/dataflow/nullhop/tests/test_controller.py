import random
from typing import Any

import pytest

from hw.control.tests.layers import EDGES, SMALL, LayerCase, make_case, random_case
from hw.dataflow.nullhop.controller import Controller
from hw.dataflow.nullhop.tests.features import Features
from hw.dataflow.nullhop.tests.test_walker import cycles_of
from hw.memory.activation import read_latency
from hw.memory.tests.ports import ActivationReadPort
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source
from sim.random_layers import LayerShape

LATENCY = 7 + read_latency(SMALL)
"""The copies of what is static, walker (taking a unit, looking at a tap), skid buffer, reader, register, decoder."""


def gather(
    case: LayerCase, features: Features, base: int, stalls: str = "none", seed: int = 0
) -> tuple[int, list[dict[str, Any]], list[dict[str, Any]]]:
    """One controller does a whole layer; returns the cycles, the operations that came and those that had to."""
    controller = Controller(case.config)
    units = [case.work_unit(unit) for unit in case.units()]
    expected = [operation for unit in case.units() for operation in features.operations(unit, base)]
    drain_cycles = 0 if stalls == "none" else 16
    sink = StreamSink(controller.operations, count=len(expected), stalls=stalls, seed=seed, drain_cycles=drain_cycles)

    async def set_up(ctx: Any) -> None:
        ctx.set(controller.input, case.fields["input"])
        ctx.set(controller.window, case.fields["window"])
        ctx.set(controller.weights_base, base)

    memory = ActivationReadPort(
        case.config,
        controller.request,
        controller.response,
        features.words,
        until=lambda: len(sink.beats) == len(expected),
        stalls=stalls,
        seed=seed,
    )
    source = stream_source(controller.units, units, stalls=stalls, seed=seed)

    async def source_when_settled(ctx: Any) -> None:
        await ctx.tick()
        await source(ctx)

    cycles = simulate(controller, set_up, source_when_settled, sink, memory)
    return cycles, [_plain(beat) for beat in sink.beats], expected


def _plain(beat: dict[str, Any]) -> dict[str, Any]:
    """An operation as `Features` has it; a null operation's weights mean nothing."""
    operation = {name: beat[name] for name in ("activation", "weights", "null", "first", "last")}
    return operation | {"pool_last": beat["tag"]["pool_last"]} | ({"weights": 0} if beat["null"] else {})


@pytest.mark.parametrize("density", [0.1, 0.7])
@pytest.mark.parametrize("shape", EDGES.values(), ids=EDGES)
def test_edges(shape, density):
    seed = 1
    case = make_case(shape)
    features = Features(case, density, random.Random(seed))
    _, operations, expected = gather(case, features, base=5, stalls="random", seed=seed)
    assert operations == expected, f"seed {seed}"


@pytest.mark.parametrize("seed", range(8))
def test_random_layers(seed):
    rng = random.Random(seed)
    shape = random_case(seed, largest=4).conv
    case = make_case(
        LayerShape(shape.size, shape.channels, 1, shape.kernel, shape.stride, shape.dilation, shape.padding),
        SMALL.with_changes(activation_bits=rng.choice([8, 16]), fetch_depth=rng.choice([1, 2, 4])),
        input_zero_point=rng.choice([-128, 0, 127]),
    )
    features = Features(case, rng.random(), rng)
    base = rng.randrange(case.config.weight_depth)
    _, operations, expected = gather(case, features, base, rng.choice(["none", "random", "bursty"]), seed)
    assert operations == expected, f"seed {seed}"


# Without padding before the first word, so that nothing but the latency comes before the first operation.
THROUGHPUT_SHAPES = {
    "pointwise": LayerShape((3, 4), 32, 1),
    "padded": LayerShape((4, 4), 16, 1, kernel=(3, 3), padding=((0, 2), (0, 2))),
    "pooled": LayerShape((5, 4), 16, 1, kernel=(2, 1), pool=2),
}


@pytest.mark.parametrize("shape", THROUGHPUT_SHAPES.values(), ids=THROUGHPUT_SHAPES)
def test_full_maps_take_a_cycle_an_operation(shape):
    case = make_case(shape)
    features = Features(case, 1, random.Random(0))
    cycles, operations, _ = gather(case, features, base=0)
    assert cycles == len(operations) + LATENCY


@pytest.mark.parametrize("shape", THROUGHPUT_SHAPES.values(), ids=THROUGHPUT_SHAPES)
def test_empty_maps_take_a_cycle_a_step(shape):
    case = make_case(shape)
    features = Features(case, 0, random.Random(0))
    cycles, operations, _ = gather(case, features, base=0)
    assert all(operation["null"] for operation in operations)
    # A cycle lies between units; the latency counts the one before the first, and its first look.
    assert cycles == sum(1 + cycles_of(case, unit) for unit in case.units()) - 2 + LATENCY
