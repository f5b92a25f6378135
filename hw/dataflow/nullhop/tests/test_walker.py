import random
from typing import Any

import pytest

from hw.config import WORD_ELEMENTS
from hw.control.tests.layers import EDGES, LayerCase, make_case, random_case
from hw.dataflow.nullhop.walker import WindowWalker
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source

Step = dict[str, Any]


def steps_of(case: LayerCase, unit: tuple[int, int], base: int, sequence: int) -> list[Step]:
    """The words under the window of each output, and a closing step where the last tap is padding."""
    config, outputs = case.config, case.outputs(unit)
    steps = []
    for number, taps in enumerate(outputs):
        tag = {
            "sequence": sequence,
            "address": case.result_address(unit),
            "pool_first": int(number == 0),
            "pool_last": int(number == len(outputs) - 1),
            "block": 0,
        }
        for tap in taps:
            closes = tap is taps[-1]
            if tap.pixel is None:
                if closes:
                    # It asks for a word all the same: for one that nobody writes while the unit is under way.
                    steps.append({"read": 0, "keep": 1, "last": 1, "tag": tag, "address": case.result_address(unit)})
                continue
            for word in range(case.mapping.input_pixel_words):
                last = int(closes and word == case.mapping.input_pixel_words - 1)
                weights = base + tap.number * case.conv.channels + word * WORD_ELEMENTS
                steps.append(
                    {
                        "read": 1,
                        "keep": last,
                        "last": last,
                        "tag": tag,
                        "address": case.address(tap.pixel, word),
                        "weights": weights % config.weight_depth,
                    }
                )
    return steps


def seen(beat: dict[str, Any]) -> Step:
    """A beat as a step; without a read, the address of the weights means nothing."""
    step = {"read": beat["read"], "keep": beat["keep"], "address": beat["address"]}
    step |= {"last": beat["meta"]["last"], "tag": beat["meta"]["tag"]}
    return step | ({"weights": beat["meta"]["weights"]} if beat["read"] else {})


def cycles_of(case: LayerCase, unit: tuple[int, int]) -> int:
    """A cycle to look at each tap, and one a word or for a tap in the padding; a row of taps outside the map is one."""
    outputs, width = case.outputs(unit), case.conv.kernel[1]
    rows = [taps[first : first + width] for taps in outputs for first in range(0, len(taps), width)]
    words = case.mapping.input_pixel_words
    return sum(sum(1 + (words if tap.pixel else 1) for tap in row) if row[0].row_inside else 2 for row in rows)


def walk(case: LayerCase, base: int, source: str, sink: str, seed: int) -> tuple[int, list[Step], list[Step]]:
    """Walk over all units of a layer; returns the cycles, the steps that came and those that had to."""
    walker = WindowWalker(case.config)
    units = [case.work_unit(unit, number % 32) for number, unit in enumerate(case.units())]
    expected = [step for n, unit in enumerate(case.units()) for step in steps_of(case, unit, base, n % 32)]

    async def set_up(ctx: Any) -> None:
        ctx.set(walker.input, case.fields["input"])
        ctx.set(walker.window, case.fields["window"])
        ctx.set(walker.weights_base, base)

    drain_cycles = 0 if source == sink == "none" else 16
    steps = StreamSink(walker.steps, count=len(expected), stalls=sink, seed=seed, drain_cycles=drain_cycles)
    feed = stream_source(walker.units, units, stalls=source, seed=seed)
    cycles = simulate(walker, set_up, feed, steps)
    return cycles, [seen(beat) for beat in steps.beats], expected


@pytest.mark.parametrize("stalls", [("none", "none"), ("random", "random")], ids="-".join)
@pytest.mark.parametrize("shape", EDGES.values(), ids=EDGES)
def test_edges(shape, stalls):
    case = make_case(shape, input_ring=1)
    cycles, steps, expected = walk(case, 1000, stalls[0], stalls[1], seed=1)
    assert steps == expected
    if stalls == ("none", "none"):
        # One cycle to take the first unit; each other is taken with the last step of the one before.
        # Taking a unit is a cycle of its own.
        assert cycles == sum(1 + cycles_of(case, unit) for unit in case.units())


STALLS = [("none", "random"), ("random", "none"), ("bursty", "random"), ("none", "slow")]


@pytest.mark.parametrize("seed", range(30))
def test_random_layers(seed):
    rng = random.Random(seed)
    source, sink = rng.choice(STALLS)
    case = random_case(seed, largest=4)
    _, steps, expected = walk(case, rng.randrange(case.config.weight_depth), source, sink, seed)
    assert steps == expected, f"seed {seed}"
