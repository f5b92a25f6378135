import random
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.control.descriptor import add_left_shift
from hw.vector.layouts import element_shape, scaled_shape
from hw.vector.scaler import SHIFT_BITS, OperandScaler, ScaleAddends
from hw.vector.tests.cases import core
from models.golden.fixed_point import multiply_by_quantised_multiplier
from sim.harness.amaranth_sim import simulate

SHIFTS = range(1 << SHIFT_BITS)


class Scaler(wiring.Component):
    """A scaler with its addends."""

    def __init__(self, config):
        self._scaler = OperandScaler(config)
        self._addends = ScaleAddends(config)
        self.latency = self._scaler.latency
        super().__init__(
            {
                "element": In(element_shape(config)),
                "multiplier": In(31),
                "right_shift": In(SHIFT_BITS),
                "scaled": Out(scaled_shape(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.scaler, m.submodules.addends = scaler, addends = self._scaler, self._addends
        for part in (scaler, addends):
            m.d.comb += [part.multiplier.eq(self.multiplier), part.right_shift.eq(self.right_shift)]
        m.d.comb += [
            scaler.element.eq(self.element),
            scaler.addends.eq(addends.addends),
            self.scaled.eq(scaler.scaled),
        ]
        return m


def check(config: Any, factors: list[tuple[int, int]], elements: list[int], seed: int) -> None:
    """Each factor with all elements, one a cycle, `latency` cycles later; the factors are static."""
    dut = Scaler(config)
    places = add_left_shift(config)

    async def bench(ctx: Any) -> None:
        for multiplier, right_shift in factors:
            ctx.set(dut.multiplier, multiplier)
            ctx.set(dut.right_shift, right_shift)
            await ctx.tick()
            expected = multiply_by_quantised_multiplier(np.array(elements) << places, multiplier, -right_shift)
            for cycle in range(len(elements) + dut.latency):
                if cycle >= dut.latency:
                    where = f"{elements[cycle - dut.latency]} x {multiplier} >> {right_shift}, seed {seed}"
                    assert ctx.get(dut.scaled) == expected[cycle - dut.latency], where
                ctx.set(dut.element, elements[min(cycle, len(elements) - 1)])
                await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("multiplier", [0, 1 << 30, (1 << 30) + 1, 3 << 29, (1 << 31) - 1])
def test_every_shift(multiplier):
    elements = [-255, -254, -129, -128, -127, -3, -2, -1, 0, 1, 2, 3, 127, 128, 129, 254, 255]
    check(core(), [(multiplier, shift) for shift in SHIFTS], elements, seed=0)


def test_every_element():
    seed = 1
    rng = random.Random(seed)
    factors = [(1 << 30, 0), *((rng.randrange(1 << 30, 1 << 31), shift) for shift in (0, 1, 2, 3, 7, 15, 16, 17))]
    check(core(), factors, list(range(-255, 256)), seed)


def test_wide_elements():
    seed = 2
    rng = random.Random(seed)
    ends = [-(1 << 16) + 1, -(1 << 15), -1, 0, 1, (1 << 15) - 1, (1 << 16) - 1]
    elements = [*ends, *(rng.randrange(-(1 << 16) + 1, 1 << 16) for _ in range(20))]
    factors = [(rng.choice([1 << 30, (1 << 31) - 1, rng.randrange(1 << 31)]), shift) for shift in SHIFTS]
    check(core(activation_bits=16), factors, elements, seed)
