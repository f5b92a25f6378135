"""A program for the fake core, and a host that plays with it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hw.config import AcceleratorConfig
from hw.control.descriptor import Operation
from hw.machine.program import ProgramImage, entry_words
from hw.machine.tests.configs import entry, image, random_words, small_config
from hw.machine.tests.fake_core import FakeAccelerator
from hw.machine.tests.host import Host
from sim.harness.amaranth_sim import simulate

CONFIG = small_config(stream_units=4)
"""A beat is one word of the bus."""

LOAD_A, LOAD_B, LAYER_A, LAYER_B, STORE = range(5)


def layer(start: int, words: int, **fields: Any) -> dict:
    """A convolution with that many weights."""
    result = entry(Operation.CONVOLVE, weights=(start, words), **fields)
    result["layer"]["weights"] = {"words": words}
    return result


def load(packets: int, beats: int) -> dict:
    """A LOAD of packets of so many beats."""
    return entry(Operation.LOAD, packet_beats=beats, input={"rows_last": packets - 1})


def store(packets: int, beats: int) -> dict:
    """A STORE of packets of so many beats."""
    return entry(Operation.STORE, output={"rows_last": packets - 1, "columns_last": beats - 1})


def program_of(config: AcceleratorConfig, words: list[int], split: int = 3) -> ProgramImage:
    """Two LOADs, of 2 packets of 3 beats and of one beat, two layers that share the weights, and a STORE."""
    start = 5 * entry_words(config.core, config.program_depth)
    entries = [
        load(packets=2, beats=3),
        load(packets=1, beats=1),
        layer(start, split),
        layer(start + split, len(words) - split),
        store(packets=2, beats=3),
    ]
    return image(config, entries, words)


def play(bench: Callable[[Host], Any], config: AcceleratorConfig = CONFIG, program: ProgramImage | None = None) -> None:
    """Run a host against a machine with a fake core."""
    accelerator = FakeAccelerator(config, program)

    async def process(ctx: Any) -> None:
        await bench(Host(ctx, accelerator.bus))

    simulate(accelerator, process)


def total(words: list[int]) -> int:
    return sum(words) % 2**32


WEIGHTS = random_words(random.Random(1), CONFIG, 9)
PROGRAM = program_of(CONFIG, WEIGHTS)
INPUT_A, INPUT_B = random_words(random.Random(2), CONFIG, 6), random_words(random.Random(3), CONFIG, 1)
EXPECTED = [(total(INPUT_A + INPUT_B + WEIGHTS) + index) % 2**32 for index in range(6)]


async def ready(host: Host) -> None:
    """Load the program and verify it."""
    await host.load(PROGRAM, CONFIG.core.lanes)
    assert (await host.verify())["program_valid"]
