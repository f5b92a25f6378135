"""The adder: scales pairs of operands and adds them."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import EnableInserter, Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import VectorLayout
from hw.stream.delay import delay
from hw.vector.layouts import AddedBeat, GatheredBeat
from hw.vector.scaler import OperandScaler, ScaleAddends


class _Lanes(wiring.Component):
    """The pipeline of all lanes, without stalls: `o` is the sum of `i`, `latency` cycles before."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self._scalers = [[OperandScaler(config) for _ in range(config.post_lanes)] for _ in range(2)]
        # The register behind the sums.
        self.latency = self._scalers[0][0].latency + 1
        super().__init__(
            {"vector": In(VectorLayout(config)), "i": In(GatheredBeat(config)), "o": Out(AddedBeat(config))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tag = delay(m, Value.cast(self.i.tag), self.latency, name="tag")
        m.d.comb += Value.cast(self.o.tag).eq(tag)
        scaled = []
        for number, values in enumerate((self.i.values, self.i.others)):
            operand, scalers = self.vector.operands[number], self._scalers[number]
            m.submodules[f"addends_{number}"] = addends = ScaleAddends(self.config)
            m.d.comb += [addends.multiplier.eq(operand.multiplier), addends.right_shift.eq(operand.right_shift)]
            for lane, scaler in enumerate(scalers):
                m.submodules[f"scaler_{number}_{lane}"] = scaler
                m.d.comb += [
                    scaler.element.eq(values[lane]),
                    scaler.multiplier.eq(operand.multiplier),
                    scaler.right_shift.eq(operand.right_shift),
                    scaler.addends.eq(addends.addends),
                ]
            scaled.append([scaler.scaled for scaler in scalers])
        sums = Signal(self.o.sums.shape(), reset_less=True)
        m.d.sync += [into.eq(left + right) for into, left, right in zip(sums, *scaled, strict=True)]
        m.d.comb += self.o.sums.eq(sums)
        return m


class Adder(wiring.Component):
    """scale(values) + scale(others), `post_lanes` elements a cycle; see `OperandScaler`.

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
