"""The vector unit between an activation memory and the post-processor, and whole layers of a network run on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import PARAMETER_PLANES, WORD_ELEMENTS, CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.control.retirement import Retirement
from hw.control.writer import Destination, ResultWriter
from hw.memory.activation import ActivationWrite, activation_word
from hw.memory.tests.ports import ActivationReadPort
from hw.post.layouts import MapParameters, ParameterWrite
from hw.post.processor import PostProcessor
from hw.vector.tests.cases import Case
from hw.vector.unit import VectorUnit
from sim.harness.amaranth_sim import simulate, stream_put
from sim.harness.payload import pack, unpack
from sim.harness.stalls import Stalls, stall_profile, stream_seed

Map = npt.NDArray[np.int8]
"""int8[1, rows, columns, channels]: a quantised feature map."""


class VectorSystem(wiring.Component):
    """The unit, the post-processor, the result writer and the retirement, connected as in the core.

    Ports: `layer`, `start`, `parity`, `request`, `response` of the unit; `parameters` of the post-processor; `writes`
    of the result writer; `idle`: nothing is under way.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "layer": In(LayerDescriptor(config)),
                "start": In(1),
                "parity": In(1),
                "request": Out(stream.Signature(config.activation_address_bits)),
                "response": In(wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})),
                "parameters": In(stream.Signature(ParameterWrite(config), always_ready=True)),
                "writes": Out(stream.Signature(ActivationWrite(config))),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = unit = VectorUnit(self.config)
        m.submodules.post = post = PostProcessor(self.config, Destination(self.config))
        m.submodules.writer = writer = ResultWriter(self.config)
        m.submodules.retirement = retirement = Retirement(self.config)
        m.d.comb += [
            unit.layer.eq(self.layer),
            unit.start.eq(self.start),
            unit.parity.eq(self.parity),
            unit.can_issue.eq(retirement.can_issue),
            unit.sequence.eq(retirement.sequence),
            retirement.start.eq(self.start),
            retirement.issue.eq(unit.issue),
            retirement.columns_last.eq(self.layer.output.columns_last),
            post.offset.eq(self.layer.post.offset),
            post.lower.eq(self.layer.post.lower),
            post.upper.eq(self.layer.post.upper),
            self.idle.eq(~unit.busy & retirement.idle),
        ]
        connect(m, producer=unit.request, consumer=flipped(self.request))
        connect(m, producer=flipped(self.response), consumer=unit.response)
        connect(m, producer=flipped(self.parameters), consumer=post.parameters)
        connect(m, producer=unit.beats, consumer=post.results)
        connect(m, producer=post.outputs, consumer=writer.outputs)
        connect(m, producer=writer.complete, consumer=retirement.complete)
        connect(m, producer=writer.writes, consumer=flipped(self.writes))
        return m


@dataclass(frozen=True)
class Layer:
    """A layer of a network for the vector unit: its case, its parameters by entry, its last steps, its result."""

    case: Case
    entries: Sequence[dict[str, int]]
    post: dict[str, int]
    zero_point: int
    expected: Map

    @property
    def descriptor(self) -> dict[str, Any]:
        return self.case.descriptor | {"post": self.post}


def store(words: list[list[int]], values: Map, zero_point: int, base: int, pixel_words: int) -> None:
    """Put a map into the activation memory; rows follow each other at once."""
    _, rows, columns, channels = values.shape
    stored = (values.astype(np.int64) - zero_point) % 256
    for number, (row, column) in enumerate(np.ndindex(rows, columns)):
        for channel in range(channels):
            word, element = divmod(channel, WORD_ELEMENTS)
            words[base + number * pixel_words + word][element] = int(stored[0, row, column, channel])


def _result(words: Sequence[Sequence[int]], layer: Layer) -> npt.NDArray[np.int64]:
    """The stored bytes of the output map."""
    output, shape = layer.case.output, layer.expected.shape
    stored = np.zeros(shape, np.int64)
    for row, column, channel in np.ndindex(shape[1:]):
        word, element = divmod(output["first_channel"] + channel, WORD_ELEMENTS)
        address = output["base"] + row * output["row_words"] + column * output["pixel_words"] + word
        stored[0, row, column, channel] = words[address][element]
    return stored


def run_layers(
    system: VectorSystem, layers: Sequence[Layer], words: list[list[int]], *, stalls: Stalls, seed: int
) -> None:
    """Run one layer after another on the memory `words`; each must leave the bytes that the golden model gives."""
    done = False
    decisions = stall_profile(stalls).decisions(stream_seed(seed, "writes"))

    async def play(ctx: Any) -> None:
        nonlocal done
        for number, layer in enumerate(layers):
            await _load(ctx, system, layer)
            ctx.set(Value.cast(system.layer), pack(system.layer.shape(), layer.descriptor))
            ctx.set(system.parity, layer.case.parity)
            ctx.set(system.start, 1)
            await ctx.tick()
            ctx.set(system.start, 0)
            while not ctx.get(system.idle):
                await _take_write(ctx, system, words, not next(decisions))
            stored = (layer.expected.astype(np.int64) - layer.zero_point) % 256
            where = f"layer {number} of seed {seed}: {layer}"
            np.testing.assert_array_equal(_result(words, layer), stored, where)
        done = True

    memory = ActivationReadPort(
        system.config, system.request, system.response, words, until=lambda: done, stalls=stalls, seed=seed
    )
    simulate(system, play, memory)


async def _load(ctx: Any, system: VectorSystem, layer: Layer) -> None:
    config = system.config
    for number, entry in enumerate(layer.entries):
        bits = pack(MapParameters, entry)
        address = layer.case.parity * config.groups * config.post_beats + number
        for plane in range(PARAMETER_PLANES):
            data = [bits >> 8 * plane & 0xFF] * config.post_lanes
            await stream_put(ctx, system.parameters, {"address": address, "plane": plane, "data": data})


async def _take_write(ctx: Any, system: VectorSystem, words: list[list[int]], ready: bool) -> None:
    ctx.set(system.writes.ready, ready)
    _, _, valid, bits = await ctx.tick().sample(system.writes.valid, Value.cast(system.writes.payload))
    if valid and ready:
        write = unpack(system.writes.payload.shape(), bits)
        for element, value in enumerate(write["data"]):
            if write["enable"] >> element & 1:
                words[write["address"]][element] = value
