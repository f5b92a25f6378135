import random

import pytest
from amaranth import Const, Signal
from amaranth.hdl import Module
from amaranth.sim import Simulator

from hw.stream import bits
from hw.stream.routing import Routes

TRIALS = 60


def check(m, inputs, outputs, expected, seed):
    """Give random values to the inputs; the outputs must be what `expected` says of them."""
    generator = random.Random(seed)

    async def play(ctx):
        for _ in range(TRIALS):
            values = [generator.getrandbits(len(signal)) for signal in inputs]
            for signal, value in zip(inputs, values, strict=True):
                ctx.set(signal, value)
            await ctx.delay(1e-6)
            got = [ctx.get(output) for output in outputs]
            assert got == expected(*values), f"inputs {values}, seed {seed}"

    simulator = Simulator(m)
    simulator.add_testbench(play)
    simulator.run()


@pytest.mark.parametrize("widths", [(1,), (3, 1), (4, 4, 4), (5, 3, 3, 3, 3)], ids=str)
def test_add(widths):
    m = Module()
    terms = [Signal(width) for width in widths]
    check(m, terms, [bits.add(m, *terms)], lambda *values: [sum(values)], seed=1)


@pytest.mark.parametrize("width", [1, 3, 4, 7, 16])
def test_counts(width):
    m = Module()
    word, start = Signal(width), Signal(4)
    outputs = [bits.count_ones(m, list(word)), *bits.running_sums(m, list(word), start, 4)]

    def expected(word, start):
        running = [(start + (word & ((1 << place) - 1)).bit_count()) % 16 for place in range(width)]
        return [word.bit_count(), *running]

    check(m, [word, start], outputs, expected, seed=2)


def test_thermometer_and_rotation():
    value, amount = Signal(16), Signal(4)

    def expected(value, amount):
        return [(1 << amount) - 1, (value << amount | value >> (16 - amount)) & 0xFFFF]

    check(Module(), [value, amount], [bits.below(amount, 16), bits.rotate_left(value, amount)], expected, 3)


@pytest.mark.parametrize("units", [3, 4, 17])
def test_select_run(units):
    start = Signal(range(units - 1))
    run = bits.select_run([Const(100 + unit, 8) for unit in range(units)], start, 2)
    last = units - 2

    def expected(start):
        return [100 + min(start, last), 101 + min(start, last)]

    limited = Signal.like(start)
    m = Module()
    m.d.comb += start.eq(bits.least(limited, Const(last, len(start))))
    check(m, [limited], run, expected, seed=4)


@pytest.mark.parametrize("places", [1, 2, 4, 16])
def test_routes_lead_forward_and_backward(places):
    m = Module()
    mask, first = Signal(places), Signal(5)
    levels = (places - 1).bit_length()
    addresses = bits.running_sums(m, list(mask), first, 5)
    routes = Routes(m, list(mask), addresses, levels)
    names = [Const(place, 8) for place in range(places)]

    def expected(mask, first):
        marked = [place for place in range(places) if mask >> place & 1]
        rank = {place: (first + index) % 32 for index, place in enumerate(marked)}
        arrived = {rank[place] % places: place for place in marked}
        forward = [arrived.get(address, "any") for address in range(places)]
        backward = [rank[place] % places if place in rank else "any" for place in range(places)]
        upper = [rank[arrived[address]] // places if address in arrived else "any" for address in range(places)]
        return [Any(value) for value in forward + backward + upper] + [
            int(address in arrived) for address in range(places)
        ]

    outputs = [*routes.forward(names), *routes.backward(names), *routes.upper, *routes.valid]
    check(m, [mask, first], outputs, expected, seed=5)


class Any:
    """A value that may be expected to be anything."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return self.value in ("any", other)

    def __repr__(self):
        return str(self.value)
