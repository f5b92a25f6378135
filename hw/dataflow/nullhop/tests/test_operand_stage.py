import random
from typing import Any

import pytest

from hw.config import CoreConfig
from hw.dataflow.nullhop.operand_stage import OperandStage
from hw.memory.tests.ports import WeightReadPort
from sim.harness.amaranth_sim import StreamSink, simulate, stream_put, stream_source


def core(lanes: int, bits: int = 8) -> CoreConfig:
    return CoreConfig(groups=1, lanes=lanes, post_lanes=1, activation_bits=bits, weight_depth=64, csc=False)


def random_operations(config: CoreConfig, count: int, rng: random.Random) -> list[dict[str, Any]]:
    half = 1 << (config.operand_bits - 1)
    return [
        {
            "activation": rng.choice([-half, half - 1, 1, rng.randrange(-half, half)]),
            "weights": rng.randrange(config.weight_depth),
            "null": int(rng.random() < 0.2),
            "first": rng.getrandbits(1),
            "last": rng.getrandbits(1),
            "tag": {"sequence": n % 16, "address": n, "pool_first": n % 2, "pool_last": n // 2 % 2, "block": 0},
        }
        for n in range(count)
    ]


def operands_of(operation: dict[str, Any], words: list[list[int]], config: CoreConfig) -> dict[str, Any]:
    return {
        "activations": [operation["activation"]] * config.lanes,
        "weights": words[operation["weights"]],
        "index": [0] * config.lanes,
        "mask": 0 if operation["null"] else (1 << config.lanes) - 1,
        **{name: operation[name] for name in ("first", "last", "tag")},
    }


@pytest.mark.parametrize("stalls", [("none", "none"), ("random", "random"), ("none", "slow"), ("bursty", "random")])
@pytest.mark.parametrize("lanes, bits", [(1, 8), (3, 8), (16, 16)])
def test_each_operation_gets_its_weights(lanes, bits, stalls):
    seed = lanes
    rng = random.Random(seed)
    config = core(lanes, bits)
    words = [[rng.randrange(-128, 128) for _ in range(lanes)] for _ in range(config.weight_depth)]
    operations = random_operations(config, 100, rng)
    stage = OperandStage(config)
    drain_cycles = 0 if stalls == ("none", "none") else 16
    sink = StreamSink(stage.operands, count=100, stalls=stalls[1], seed=seed, drain_cycles=drain_cycles)
    source = stream_source(stage.operations, operations, stalls=stalls[0], seed=seed)
    memory = WeightReadPort(stage.weights, words, until=lambda: len(sink.beats) == 100)
    cycles = simulate(stage, source, sink, memory)
    assert sink.beats == [operands_of(operation, words, config) for operation in operations], f"seed {seed}"
    if stalls == ("none", "none"):
        assert cycles == 100 + 1  # throughput 1, latency 1


def test_ready_does_not_depend_on_valid():
    """The broadcast to several stages waits until all are ready, so a stage may not wait for it."""
    stage = OperandStage(core(1))
    seen = []

    async def bench(ctx: Any) -> None:
        for _ in range(2):
            for valid in (1, 0):
                ctx.set(stage.operations.valid, valid)
                seen.append(ctx.get(stage.operations.ready))
            if not seen[-1]:
                return
            await stream_put(ctx, stage.operations, {"activation": 1})

    simulate(stage, bench)
    assert seen == [1, 1, 0, 0]
