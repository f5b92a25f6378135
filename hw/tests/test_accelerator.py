"""The whole accelerator, with the real core: a small network, every byte over the link."""

from typing import Any

import numpy as np
import pytest

from compiler.compiled import CompiledProgram, describe_program
from compiler.network_program import compile_network
from compiler.tests.graphs import GraphBuilder
from host.framing import FrameDecoder, Response
from hw.accelerator import Accelerator, UartAccelerator
from hw.bus.host_bus import BusError, Region
from hw.bus.protocol import Status
from hw.bus.tests.conversation import read, sync
from hw.bus.tests.lines import PinReader, drive, levels
from hw.config import COUNTER_RECORD_BYTES, AcceleratorConfig, CoreConfig
from hw.machine import registers
from hw.machine.counters import counter_fields
from hw.machine.registers import RunError
from hw.tests.link_host import LinkHost, to_words
from models import golden
from models.layers import MaxPool2D
from models.network import Network
from sim.harness.amaranth_sim import simulate

DIVISOR = 4


def config_of(groups: int, lanes: int) -> AcceleratorConfig:
    """A small core, with the memory that the test's network needs."""
    core = CoreConfig.sized(groups, lanes).with_changes(
        stream_units=4,
        codec_elements=4,
        activation_banks=2,
        activation_depth=64,
        weight_depth=128,
        max_channels=32,
        max_size=15,
        fetch_depth=2,
    )
    return AcceleratorConfig(core, program_depth=1024, max_entries=12, link_words=16)


def small_network(seed: int) -> tuple[Network, dict[str, np.ndarray]]:
    """A convolution, a sum with what it read, a pool, and a fully connected layer."""
    builder = GraphBuilder(seed)
    source = builder.input((1, 4, 5, 4))
    first = builder.conv(source, 4, (3, 3), padding=((1, 1), (1, 1)))
    joined = builder.sum(source, first)
    pooled = builder.pool(joined, MaxPool2D, (2, 2))
    flat = builder.reshape(pooled, (1, int(np.prod(builder.shape(pooled)))))
    network = builder.build(builder.dense(flat, 3))
    return network, builder.values(network)


def compiled(config: AcceleratorConfig, seed: int = 1) -> tuple[CompiledProgram, dict[str, np.ndarray], dict[str, Any]]:
    """A network's program, an input, and every tensor of the golden model."""
    network, values = small_network(seed)
    return describe_program(compile_network(network, config)), values, golden.run(network, values)


async def stored(host: LinkHost, program: CompiledProgram, name: str) -> np.ndarray:
    """A tensor that a STORE under way gives."""
    count = program.stored_bytes(name)
    await host.wait_for("has_output", "failed")
    return program.values(name, (await host.read(Region.OUTPUT.base, -(-count // 4)))[:count])


async def run_network(host: LinkHost, program: CompiledProgram, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors that leave in a run."""
    await host.start(0, program.last)
    for packets in program.packets(values):
        await host.write(Region.INPUT.base, to_words(packets))
    tensors = {name: await stored(host, program, name) for name in program.leaving}
    status = await host.wait_for("done", "failed")
    assert status["done"]
    return tensors


SMALL = {
    "word_elements": 4,
    "codec_elements": 1,
    "sparse_streams": False,
    "post_lanes": 1,
    "post_dsps": 4,
    "product_registers": False,
    "packed_parameters": True,
    "single_port": True,
    "lookahead": False,
    "activation_banks": 1,
    "activation_depth": 256,
    "fetch_depth": 1,
}
"""All that makes a core small."""


@pytest.mark.parametrize(("groups", "lanes", "changes"), [(1, 4, {}), (2, 4, {}), (1, 4, SMALL), (2, 4, SMALL)])
def test_a_network_over_the_link(groups, lanes, changes):
    config = config_of(groups, lanes)
    config = config.with_changes(core=config.core.with_changes(**changes), activity_counters=not changes)
    program, values, expected = compiled(config)
    accelerator = Accelerator(config)

    async def bench(ctx: Any) -> None:
        host = LinkHost(ctx, accelerator.bytes_in, accelerator.bytes_out, config.link_words)
        await host.connect()
        assert (await host.get(registers.FINGERPRINT))["value"] == config.fingerprint
        await host.write(Region.PROGRAM.base, to_words(program.image.data))
        await host.set(registers.PROGRAM_WORDS, words=len(program.image.data) // lanes)
        await host.set(registers.PROGRAM_CHECKSUM, value=program.image.checksum)
        await host.set(registers.ENTRIES, count=program.image.entries)
        await host.set(registers.CONTROL, verify=1)
        assert (await host.wait_for("program_valid", "failed"))["program_valid"]
        for name, tensor in (await run_network(host, program, values)).items():
            np.testing.assert_array_equal(tensor, expected[name])

    simulate(accelerator, bench, deadline=200_000)


def test_every_tensor_can_be_looked_at():
    """With a program that is there from power-on: run up to the layer that writes a tensor, then its STORE alone."""
    config = config_of(1, 4)
    program, values, expected = compiled(config, seed=2)
    accelerator = Accelerator(config, program.image)
    (packets,) = program.packets(values)

    async def bench(ctx: Any) -> None:
        host = LinkHost(ctx, accelerator.bytes_in, accelerator.bytes_out, config.link_words)
        await host.connect()
        assert (await host.wait_for("program_valid", "failed"))["program_valid"]
        for name, tensor in program.tensors.items():
            assert tensor.store is not None
            await host.start(0, tensor.written)
            await host.write(Region.INPUT.base, to_words(packets))
            assert (await host.wait_for("done", "failed"))["done"]
            await host.start(tensor.store, tensor.store)
            np.testing.assert_array_equal(await stored(host, program, name), expected[name], err_msg=name)
            assert (await host.wait_for("done", "failed"))["done"]

    simulate(accelerator, bench, deadline=200_000)


@pytest.mark.parametrize("cut", [0, 3])
def test_after_a_soft_reset_the_core_is_as_new(cut):
    """Whether it was in the middle of a LOAD or of a layer; also when the reset is the consequence of an error."""
    config = config_of(2, 4)
    program, values, expected = compiled(config, seed=3)
    accelerator = Accelerator(config, program.image)
    (packets,) = program.packets(values)

    async def bench(ctx: Any) -> None:
        host = LinkHost(ctx, accelerator.bytes_in, accelerator.bytes_out, config.link_words)
        await host.connect()
        await host.wait_for("program_valid", "failed")
        for control, error in (("clear", RunError.NONE), ("start", RunError.START_WHILE_BUSY)):
            await host.start(0, program.last)
            await host.write(Region.INPUT.base, to_words(packets)[: cut or None])
            assert ctx.get(accelerator.busy)
            await host.set(registers.CONTROL, **{control: 1})
            assert not ctx.get(accelerator.busy)
            assert RunError((await host.get(registers.ERROR))["code"]) == error
            await host.set(registers.CONTROL, clear=1)
            for name, tensor in (await run_network(host, program, values)).items():
                np.testing.assert_array_equal(tensor, expected[name])

    simulate(accelerator, bench, deadline=200_000)


def test_counters_of_a_run():
    """Layers take what the program's prediction says, more or less; all entries leave a record."""
    config = config_of(2, 4)
    program, values, _ = compiled(config, seed=4)
    accelerator = Accelerator(config, program.image)
    fields = counter_fields()

    async def bench(ctx: Any) -> None:
        host = LinkHost(ctx, accelerator.bytes_in, accelerator.bytes_out, config.link_words)
        await host.connect()
        await host.wait_for("program_valid", "failed")
        await run_network(host, program, values)
        layers = 0
        for index in range(program.last + 1):
            place = Region.COUNTERS.base + COUNTER_RECORD_BYTES * index
            record = dict(zip(fields, to_words(await host.read(place, len(fields))), strict=True))
            assert record["cycles"] > 0, program.entries[index]
            convolves = program.entries[index].operation == "CONVOLVE"
            assert (record["operations"] > 0) == convolves, program.entries[index]
            if program.entries[index].operation not in ("LOAD", "STORE"):
                layers += record["cycles"]
        assert layers < (await host.get(registers.CYCLES))["cycles"]

    simulate(accelerator, bench, deadline=200_000)


def test_from_pin_to_pin():
    config = config_of(1, 4)
    accelerator = UartAccelerator(config, DIVISOR)
    pause = [1] * 40 * 10 * DIVISOR  # the longest response and more
    pieces = sync(1), read(2, registers.IDENTITY.address, 1), read(3, Region.OUTPUT.base, 1)
    line = [level for piece in pieces for level in levels(piece, DIVISOR) + pause]
    reader = PinReader(accelerator.tx, DIVISOR, cycles=len(line))
    simulate(accelerator, drive(accelerator.rx, line), reader)
    responses = [Response.parse(content) for content in FrameDecoder().feed(bytes(reader.values))]
    synchronised, identity, refused = (response for response in responses if response)
    assert (synchronised.status, synchronised.count) == (Status.OK, config.link_words)
    assert identity.words == registers.IDENTITY_VALUE.to_bytes(4, "little") == b"SKIP"
    assert (refused.status, BusError(refused.detail)) == (Status.BUS_ERROR, BusError.STATE)
