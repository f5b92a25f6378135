"""The adder: scales pairs of operands and adds them."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import EnableInserter, Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import VectorLayout, add_left_shift
from hw.stream.delay import delay
from hw.vector.layouts import AddedBeat, GatheredBeat
from hw.vector.scaler import OperandScaler, ScaleAddends


class _Lanes(wiring.Component):
    """The pipeline of all lanes, without stalls: `o` is the sum of `i`, `latency` cycles before."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self._scalers = [OperandScaler(config) for _ in range(config.post_lanes)]
        # The register behind the sums.
        self.latency = self._scalers[0].latency + 1
        super().__init__(
            {"vector": In(VectorLayout(config)), "i": In(GatheredBeat(config)), "o": Out(AddedBeat(config))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tag = delay(m, Value.cast(self.i.tag), self.latency, name="tag")
        m.d.comb += Value.cast(self.o.tag).eq(tag)
        m.submodules.addends = addends = ScaleAddends(self.config)
        m.d.comb += [addends.multiplier.eq(self.vector.multiplier), addends.right_shift.eq(self.vector.right_shift)]
        sums = Signal(self.o.sums.shape(), reset_less=True)
        for lane, scaler in enumerate(self._scalers):
            m.submodules[f"scaler_{lane}"] = scaler
            m.d.comb += [
                scaler.element.eq(self.i.others[lane]),
                scaler.multiplier.eq(self.vector.multiplier),
                scaler.right_shift.eq(self.vector.right_shift),
                scaler.addends.eq(addends.addends),
            ]
            m.d.sync += sums[lane].eq(self._half(m, lane, scaler.latency) + scaler.scaled)
        m.d.comb += self.o.sums.eq(sums)
        return m

    def _half(self, m: Module, lane: int, cycles: int) -> Value:
        """The first operand, shifted left for an addition and halved."""
        width = self.config.operand_bits
        element = delay(m, self.i.values[lane][:width], cycles, name=f"first_{lane}")
        return element.as_signed() << (add_left_shift(self.config) - 1)


class Adder(wiring.Component):
    """Half of `values`, shifted left, and scaled `others`, `post_lanes` elements a cycle; see `OperandScaler`.

    The pipeline moves on as a whole, and stands still while its last beat waits.

    Ports: static `vector`; `i` In stream of `GatheredBeat`, `o` Out stream of `AddedBeat`, `latency` cycles later.
    """

    def __init__(self, config: CoreConfig) -> None:
        self._lanes = _Lanes(config)
        self.latency = self._lanes.latency
        super().__init__(
            {
                "vector": In(VectorLayout(config)),
                "i": In(stream.Signature(GatheredBeat(config))),
                "o": Out(stream.Signature(AddedBeat(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._lanes
        moves = Signal()
        m.submodules.lanes = EnableInserter(moves)(lanes)
        under_way = Signal(self.latency)
        with m.If(moves):
            m.d.sync += under_way.eq(under_way << 1 | self.i.valid)
        m.d.comb += [
            moves.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(moves),
            self.o.valid.eq(under_way[-1]),
            lanes.vector.eq(self.vector),
            lanes.i.eq(self.i.payload),
            self.o.payload.eq(lanes.o),
        ]
        return m
