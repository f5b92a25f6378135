"""Planning the activation memory: no two live buffers share a word, and what does not fit is refused."""

import numpy as np
import pytest

from compiler.errors import CompilerError
from compiler.feature_maps import Buffer, FeatureMap
from compiler.lowering import lower
from compiler.memory import Lifetime, MemoryPlan, lifetimes, plan_memory
from compiler.network_program import compile_network
from compiler.operations import HardwareOperation, Load, Operand, Scaling, VectorOperation
from compiler.tests.graphs import GraphBuilder, random_graph
from hw.config import AcceleratorConfig, CoreConfig
from hw.control.descriptor import Operation
from models.zoo import networks


def check_plan(plan: MemoryPlan, taken_over: set[tuple[str, str]], context: str) -> None:
    """No word belongs to two buffers that live at the same time, but for one that takes another's place."""
    names = sorted(plan.bases)
    for index, name in enumerate(names):
        first, last = plan.bases[name], plan.bases[name] + plan.words[name]
        assert 0 <= first <= last <= plan.peak <= plan.capacity, context
        for other in names[:index]:
            apart = plan.bases[other] >= last or plan.bases[other] + plan.words[other] <= first
            together = plan.lifetimes[name].overlaps(plan.lifetimes[other])
            assert apart or not together or {(name, other), (other, name)} & taken_over, f"{name}, {other}: {context}"


def random_run(seed: int) -> tuple[list[HardwareOperation], dict[str, Buffer], list[str]]:
    """Additions of maps of random sizes, each with an operand from before; sometimes element by element."""
    rng = np.random.default_rng(seed)
    maps: list[FeatureMap] = []
    buffers: dict[str, Buffer] = {}
    operations: list[HardwareOperation] = []
    for index in range(int(rng.integers(2, 30))):
        like = maps[int(rng.integers(len(maps)))] if maps and rng.random() < 0.5 else None
        pixels = like.rows if like else int(rng.integers(1, 200))
        name = f"b{index}"
        buffers[name] = Buffer(name, pixels, 16)
        map = FeatureMap.filling(buffers[name], (pixels, 1, 16), 0)
        read = [like] if like else []
        if maps and rng.random() < 0.5:
            read.append(maps[int(rng.integers(max(0, len(maps) - 4), len(maps)))])
        if not read:
            operations.append(Load(name, map))
        else:
            operands = tuple(Operand(operand) for operand in read)
            operations.append(
                VectorOperation(name, (), Operation.ADD, operands, map, (Scaling(1 << 30, 0),), -128, 127)
            )
        maps.append(map)
    kept = [name for name in buffers if rng.random() < 0.1] or [maps[-1].buffer]
    return operations, buffers, kept


def in_place(operations: list[HardwareOperation], lives: dict[str, Lifetime]) -> set[tuple[str, str]]:
    """Pairs (operand, output) of which the second may lie where the first does."""
    return {
        (map.buffer, operation.output.buffer)
        for index, operation in enumerate(operations)
        if isinstance(operation, VectorOperation)
        for map in operation.reads
        if lives[map.buffer].last == index == lives[operation.output.buffer].first
        and map.shape == operation.output.shape
    }


def test_no_two_live_buffers_share_a_word():
    large = CoreConfig(activation_depth=8192)
    shared = reached = 0
    for seed in range(300):
        operations, buffers, kept = random_run(seed)
        plan = plan_memory("random", operations, buffers, kept, large)
        lives = lifetimes(operations, buffers, kept)
        pairs = in_place(operations, lives)
        check_plan(plan, pairs, f"seed {seed}")
        shared += any(plan.bases[first] == plan.bases[second] for first, second in pairs)
        # No plan can do with less than what lives at the fullest moment, the operands' places taken over.
        fullest = max(
            len({
                word
                for name, life in lives.items()
                if life.first <= index <= life.last
                for word in range(plan.bases[name], plan.bases[name] + plan.words[name])
            })
            for index in range(len(operations) + 1)
        )  # fmt: skip
        reached += plan.peak == fullest
    assert shared > 50 and reached > 150, (shared, reached)


def test_no_two_live_tensors_of_random_networks_share_a_word():
    config, checked = CoreConfig(), 0
    for seed in range(200, 260):
        network, _ = random_graph(seed, layers=14)
        try:
            lowered = lower(network, config)
        except CompilerError:
            continue
        kept = [lowered.maps[name].buffer for name in network.outputs if name in lowered.maps]
        plan = plan_memory("random", lowered.operations, lowered.buffers, kept, config)
        check_plan(plan, in_place(list(lowered.operations), plan.lifetimes), f"seed {seed}")
        checked += 1
    assert checked > 40


def test_a_plan_is_the_same_every_time():
    for seed in range(20):
        run = random_run(seed)
        first, second = (plan_memory("random", *run, CoreConfig(activation_depth=8192)) for _ in range(2))
        assert first == second


def test_what_is_kept_lives_to_the_end_and_inputs_from_the_start():
    builder = GraphBuilder(1)
    early, late = builder.input((1, 2, 2, 16)), builder.input((1, 2, 2, 16))
    kept = builder.conv(early, 16, (1, 1))
    network = builder.build(builder.sum(builder.conv(kept, 16, (1, 1)), late), kept)
    program = compile_network(network, AcceleratorConfig())
    end = len(program.lowered.operations)
    assert program.memory.lifetimes[kept] == Lifetime(2, end)
    assert program.memory.lifetimes[late] == Lifetime(0, end - 1)


def test_a_network_that_does_not_fit_is_refused_with_its_tensors():
    network = networks.load("resnet8")
    with pytest.raises(CompilerError) as refused:
        compile_network(network, AcceleratorConfig(CoreConfig(activation_depth=512)))
    line = str(refused.value)
    assert line.startswith(
        "resnet8: its tensors need 49,152 bytes of activation memory, but this configuration has 32,768"
    )
    assert "while conv_2d_2 runs" in line and line.count("(16,384 bytes)") == 3
    assert line.endswith("raise activation_depth to 1024") and "\n" not in line
    compile_network(network, AcceleratorConfig(CoreConfig(activation_depth=1024)))
