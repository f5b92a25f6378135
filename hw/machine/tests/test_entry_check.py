from typing import Any

import pytest
from amaranth.hdl import Value

from hw.config import AcceleratorConfig
from hw.control.descriptor import Operation
from hw.machine.entry_check import EntryCheck
from hw.machine.registers import RunError
from hw.machine.tests.configs import entry, small_config
from sim.harness.amaranth_sim import simulate
from sim.harness.payload import pack

CONFIG = small_config()
WORDS = CONFIG.core.activation_words
PROGRAM_WORDS = 200


def outcome(fields: dict, config: AcceleratorConfig = CONFIG) -> RunError:
    check = EntryCheck(config)
    errors: list[RunError] = []

    async def bench(ctx: Any) -> None:
        ctx.set(check.program_words, PROGRAM_WORDS)
        ctx.set(Value.cast(check.entry), pack(check.entry.shape(), fields))
        await ctx.tick().repeat(EntryCheck.latency)
        errors.append(RunError(ctx.get(check.error)))

    simulate(check, bench)
    return errors[0]


@pytest.mark.parametrize("operation", Operation.__members__.values())
def test_every_operation_is_known(operation):
    assert outcome(entry(operation, packet_beats=1)) == RunError.NONE


@pytest.mark.parametrize("operation", [len(Operation), 7])
def test_an_unknown_operation(operation):
    assert outcome(entry(operation)) == RunError.BAD_ENTRY


@pytest.mark.parametrize("operation", [Operation.ADD, Operation.SUM, Operation.MAXIMUM])
def test_a_core_without_vector_unit_knows_no_vector_operation(operation):
    assert outcome(entry(operation), small_config(vector=False)) == RunError.BAD_ENTRY


@pytest.mark.parametrize("bit", range(8))
def test_each_bit_of_the_mark_counts(bit):
    fields = entry(Operation.STORE)
    fields["mark"] ^= 1 << bit
    assert outcome(fields) == RunError.BAD_ENTRY


def test_the_split_must_be_one_of_the_core():
    assert outcome(entry(Operation.CONVOLVE, split=1)) == RunError.NONE
    three_of_four = AcceleratorConfig(CONFIG.core.with_changes(groups=4))
    assert outcome(entry(Operation.CONVOLVE, split=2), three_of_four) == RunError.NONE
    assert outcome(entry(Operation.CONVOLVE, split=3), three_of_four) == RunError.BAD_ENTRY


def test_the_packets_of_a_load_have_beats():
    assert outcome(entry(Operation.LOAD)) == RunError.BAD_ENTRY


@pytest.mark.parametrize("name", ["input", "output"])
@pytest.mark.parametrize(
    ("base", "words", "expected"),
    [
        (0, WORDS, RunError.NONE),
        (WORDS - 1, 1, RunError.NONE),
        (1, WORDS, RunError.RANGE),
        (WORDS - 1, 2, RunError.RANGE),
        (WORDS - 1, WORDS, RunError.RANGE),
    ],
)
def test_maps_lie_inside_the_activation_memory(name, base, words, expected):
    length = {"input": "ring_words", "output": "words"}[name]
    layer: Any = {name: {"base": base, length: words}}
    assert outcome(entry(Operation.CONVOLVE, **layer)) == expected


@pytest.mark.parametrize(
    ("start", "words", "expected"),
    [
        (0, PROGRAM_WORDS, RunError.NONE),
        (PROGRAM_WORDS - 1, 1, RunError.NONE),
        (PROGRAM_WORDS - 1, 2, RunError.RANGE),
        (255, 256, RunError.RANGE),
    ],
)
def test_weights_lie_inside_the_program(start, words, expected):
    assert outcome(entry(Operation.CONVOLVE, weights=(start, words))) == expected
