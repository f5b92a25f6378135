"""Max-pooling of activations while they leave."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.mac.accumulator_file import AccumulatorFile
from hw.post.layouts import pooling_slots, value_shape
from hw.stream.delay import delay


class MaxPooling(wiring.Component):
    """The running maximum of each lane in each slot.

    Beats of different slots interleave freely, beats of one slot may follow at once. One beat a cycle, never
    stalls; `maxima` follow `latency` = 2 cycles after `values`.

    The values are signed and already clamped, which changes nothing: the maximum of clamped values is the
    clamped maximum.

    Ports
    -----
    valid : In(1)
    first : In(1)
        The beat opens a pooling window: its slot's maximum starts afresh.
    slot : In(range(groups * post_beats))
    values : In(P x signed(operand_bits))
    maxima : Out(P x signed(operand_bits))
        The maximum of each lane over the window so far, this beat included.
    """

    latency = 2

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        values = data.ArrayLayout(value_shape(config), config.post_lanes)
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "slot": In(range(pooling_slots(config))),
                "values": In(values),
                "maxima": Out(values),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.values.shape()
        m.submodules.file = file = AccumulatorFile(shape, pooling_slots(self.config))
        values, maxima, running = (Signal(shape, reset_less=True, name=n) for n in ("values", "maxima", "running"))
        first = delay(m, self.first, 1, name="first")
        valid = delay(m, self.valid, 1, name="valid", reset_less=False)
        m.d.sync += [values.eq(self.values), maxima.eq(running)]
        for lane, value in enumerate(values):
            best = data.View(shape, file.value)[lane]
            m.d.comb += running[lane].eq(Mux(first | (value > best), value, best))
        m.d.comb += [
            file.advance.eq(1),
            file.read_index.eq(self.slot),
            file.write.eq(valid),
            file.updated.eq(running),
            self.maxima.eq(maxima),
        ]
        return m
