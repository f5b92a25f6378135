"""The result writer: post-processed activations into the output ring of the activation memory."""

from __future__ import annotations

from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.units import unit_window
from hw.memory.activation import ActivationWrite
from hw.post.layouts import PostOutput


class Destination(data.StructLayout):
    """Where post-processed activations go.

    `slice`: number of `post_lanes` elements in the word at `address`. `complete`: with them, unit `sequence` is
    complete.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "address": config.activation_address_bits,
                "slice": range(config.word_elements // config.post_lanes),
                "complete": 1,
                "sequence": range(unit_window(config)),
            }
        )


class ResultWriter(wiring.Component):
    """Puts post-processed activations into their word. Latency 0, one beat a cycle, never stalls.

    Ports: `outputs` In stream from the post-processor, `writes` Out to the activation memory (always ready there),
    `complete` Out: numbers of completed units.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "outputs": In(stream.Signature(PostOutput(config, Destination(config)))),
                "writes": Out(stream.Signature(ActivationWrite(config))),
                "complete": Out(stream.Signature(range(unit_window(config)), always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.config.post_lanes
        output, write = self.outputs.payload, self.writes.payload
        chosen = ((1 << lanes) - 1) << (output.destination.slice * lanes)
        m.d.comb += [
            self.outputs.ready.eq(self.writes.ready),
            self.writes.valid.eq(self.outputs.valid),
            write.address.eq(output.destination.address),
            Value.cast(write.data).eq(Value.cast(output.data).replicate(self.config.word_elements // lanes)),
            write.enable.eq(chosen),
            self.complete.valid.eq(self.outputs.valid & self.outputs.ready & output.destination.complete),
            self.complete.payload.eq(output.destination.sequence),
        ]
        return m
