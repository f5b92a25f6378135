"""The scan harness: every input is reached, every output is seen, and the component's reset works."""

import random

import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from boards.synthesis.harness import ScanHarness


class Mixer(wiring.Component):
    """Two inputs straight to two outputs, of widths that fill no level of the parity tree, and a counter."""

    def __init__(self, width: int) -> None:
        super().__init__({"a": In(width), "b": In(signed(3)), "x": Out(width), "y": Out(signed(3)), "count": Out(4)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [self.x.eq(self.a), self.y.eq(self.b)]
        m.d.sync += self.count.eq(self.count + 1)
        return m


@pytest.mark.parametrize("width", [1, 2, 14, 40])
def test_the_parity_of_all_outputs_arrives_after_the_latency(width):
    component = Mixer(width)
    harness = ScanHarness(component)
    seed = 100 + width
    bits = random.Random(seed).choices((0, 1), k=300)
    seen, expected = [], []

    async def bench(ctx):
        for bit in bits:
            ctx.set(harness.scan_in, bit)
            await ctx.tick("pins")
            outputs = ctx.get(component.x), ctx.get(component.y) & 7, ctx.get(component.count)
            expected.append(sum(value.bit_count() for value in outputs) % 2)
            seen.append(ctx.get(harness.scan_out))

    simulate(harness, bench)
    assert seen[harness.latency :] == expected[: -harness.latency], f"seed {seed}"


def test_each_input_is_made_of_a_pair_of_its_own():
    component = Mixer(5)
    harness = ScanHarness(component)
    bits = random.Random(7).choices((0, 1), k=50)

    async def bench(ctx):
        for now, bit in enumerate(bits):
            ctx.set(harness.scan_in, bit)
            await ctx.tick("pins")
            chain = ctx.get(component.a) | (ctx.get(component.b) & 7) << 5
            shifted = [bits[now - place] if now >= place else 0 for place in range(harness.flip_flops)]
            wanted = sum((shifted[a] ^ shifted[b]) << place for place, (a, b) in enumerate(harness.pairs))
            assert chain == wanted, f"cycle {now}"

    simulate(harness, bench)


def test_the_reset_reaches_the_component_after_a_register():
    component = Mixer(1)
    harness = ScanHarness(component)

    async def bench(ctx):
        await ctx.tick("pins").repeat(5)
        assert ctx.get(component.count) == 5
        ctx.set(harness.rst, 1)
        await ctx.tick("pins")
        assert ctx.get(component.count) == 6
        await ctx.tick("pins")
        assert ctx.get(component.count) == 0

    simulate(harness, bench)


def test_its_own_flip_flops_are_counted():
    # Of five bits the first begins 4 inputs and the second 3; 11 outputs gathered in 3 registers, those in 1; and the
    # reset's.
    assert ScanHarness(Mixer(4)).flip_flops == 5 + 3 + 1 + 1


def simulate(harness: ScanHarness, bench) -> None:
    simulator = Simulator(harness)

    async def clock(ctx):
        while True:
            ctx.set(harness.clk, 0)
            await ctx.delay(5e-9)
            ctx.set(harness.clk, 1)
            await ctx.delay(5e-9)

    simulator.add_testbench(bench)
    simulator.add_testbench(clock, background=True)
    simulator.run()
