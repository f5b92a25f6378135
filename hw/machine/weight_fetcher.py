"""The weight fetcher: the weights of one entry after another, from the program memory to the core."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import AcceleratorConfig
from hw.machine.program_memory import ProgramRead
from hw.memory.weights import weight_beat
from hw.stream.register import SkidBuffer, Wire


class WeightJob(data.StructLayout):
    """Weights to stream: `words` of the program memory from word `start` on."""

    def __init__(self, config: AcceleratorConfig) -> None:
        super().__init__({"start": range(config.program_depth), "words": range(config.program_depth + 1)})


class WeightFetcher(wiring.Component):
    """Streams weights, one word a cycle, as far ahead as the core takes them.

    A word that lies in the read port's register when an urgent read takes the port is read again. Latency 3 from the
    job to its first word; 2 without `lookahead`, which does without the registers behind the read port.

    Ports: `jobs` In stream of `WeightJob`, taken when the job before is read; `read` Out `ProgramRead`; `lost` In (an
    urgent read takes the port); `words` Out stream of beats of weights, with `lookahead` without a combinational path
    to `read`.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "jobs": In(stream.Signature(WeightJob(config))),
                "read": Out(ProgramRead(config)),
                "lost": In(1),
                "words": Out(stream.Signature(weight_beat(config.core))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kind = SkidBuffer if self.config.core.lookahead else Wire
        m.submodules.buffer = buffer = kind(weight_beat(self.config.core))
        connect(m, producer=buffer.o, consumer=flipped(self.words))
        job = Signal(WeightJob(self.config))  # what is still to read
        pending = Signal()  # a word lies in the read port's register
        stays, again = Signal(), Signal()
        m.d.comb += [
            buffer.i.valid.eq(pending),
            buffer.i.payload.eq(self.read.data),
            stays.eq(pending & ~buffer.i.ready),
            again.eq(stays & self.lost),
            self.read.address.eq(job.start),
            self.read.enable.eq((job.words != 0) & ~stays & ~self.lost),
            self.jobs.ready.eq((job.words == 0) & ~pending),
        ]
        m.d.sync += pending.eq(self.read.enable | (stays & ~self.lost))
        with m.If(self.read.enable | again):
            step = Mux(again, -1, 1)
            m.d.sync += [job.start.eq(job.start + step), job.words.eq(job.words - step)]
        with m.If(self.jobs.valid & self.jobs.ready):
            m.d.sync += job.eq(self.jobs.payload)
        return m
