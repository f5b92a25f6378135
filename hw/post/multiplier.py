"""The 32 x 31 bit multiplier of requantisation, from pieces that fit the multiplier blocks of small FPGAs."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Cat, Const, Mux, Signal, signed, unsigned
from amaranth.hdl import Module, Shape, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.post.fabric_multiplier import FabricMultiplier
from hw.post.layouts import BIAS_BITS, MULTIPLIER_BITS
from hw.stream.delay import delay

HALF = 16
"""Place at which both operands are cut in two."""

SCHOOLBOOK_DSPS = 4

NUDGE_PLACE = MULTIPLIER_BITS - 1
NUDGE_SPARE = 2 * HALF - NUDGE_PLACE


class DspMultiplier(wiring.Component):
    """`a * b`, inferred as a multiplier block, `registered` with a register behind it. Ports as `FabricMultiplier`."""

    def __init__(self, a_shape: Shape, b_bits: int, *, registered: bool = True) -> None:
        self.latency = int(registered)
        product = Shape(a_shape.width + b_bits, signed=a_shape.signed)
        super().__init__({"a": In(a_shape), "b": In(unsigned(b_bits)), "product": Out(product)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if not self.latency:
            m.d.comb += self.product.eq(self.a * self.b)
            return m
        # With a reset, yosys' ice40_dsp leaves the register outside the block. Without, it also moves the
        # addition that follows into the block, which has no place for a sum of 33 bits, and the circuit is
        # silently wrong.
        product = Signal.like(self.product)
        m.d.sync += product.eq(self.a * self.b)
        m.d.comb += self.product.eq(product)
        return m


@dataclass(frozen=True)
class _Split:
    """An operand and its two halves."""

    whole: Value

    @property
    def high(self) -> Value:
        """Signed if the whole is."""
        half = self.whole[HALF:]
        return half.as_signed() if self.whole.shape().signed else half

    @property
    def low(self) -> Value:
        return self.whole[:HALF]


@dataclass(frozen=True)
class _Parts:
    """What the last additions take: high 2**32 + low + correction 2**30, and `cycles` later middle 2**16."""

    high: Value
    low: Value
    correction: Value
    middle: Value
    cycles: int


class WideMultiplier(wiring.Component):
    """`x * factor`, with or without a nudge of 2**30 away from zero; pipelined, one product a cycle.

    Both operands are cut at bit 16: x = h 2**16 + l, factor = H 2**16 + L. ::

        x, factor --> registers --> products --> registers --> partial sums --> registers --> sum --> register
        --> product

    If it is not `registered`, the operands and the sum are all that is.

    With `dsps` = 4 there are four products of at most 16 x 16 bits, each of which fits a multiplier block of
    16 x 16 as well as one of 18 x 18 bits. With `dsps` <= 3 there are three (Karatsuba): (h + l)(H + L), l L
    and h H, the first of 18 x 17 bits. The first `dsps` of them go to multiplier blocks of 18 x 18 bits, the
    others are built from LUTs.

    Parameters
    ----------
    dsps : int
        Multiplier blocks to use, 0 to 4.
    registered
        Registers behind products and partial sums; without them `dsps` is 4.

    Attributes
    ----------
    latency : int
        Cycles from the operands to their product: 4 with four products (2 if not `registered`), 5 with three, and
        6 if some are built from LUTs.

    Ports
    -----
    x : In(signed(32))
    factor : In(unsigned(31))
    nudge : In(1)
    product : Out(signed(63))
        x * factor + (nudge ? (x < 0 ? -2**30 : 2**30) : 0)
    """

    def __init__(self, dsps: int, *, registered: bool = True) -> None:
        self.dsps = dsps
        self._registered = registered
        high, low = unsigned(MULTIPLIER_BITS - HALF), unsigned(HALF)
        shapes = [(signed(HALF + 2), HALF + 1), (low, HALF), (signed(BIAS_BITS - HALF), high.width)]
        if dsps == SCHOOLBOOK_DSPS:
            shapes = [(low, HALF), (low, HALF), (low, high.width), (signed(BIAS_BITS - HALF), high.width)]
        self._products: list[DspMultiplier | FabricMultiplier] = [
            DspMultiplier(*shape, registered=registered) if number < dsps else FabricMultiplier(*shape)
            for number, shape in enumerate(shapes)
        ]
        self._product_latency = max(product.latency for product in self._products)
        # Karatsuba's middle part takes one addition more.
        self.latency = self._product_latency + (2 + registered if dsps == SCHOOLBOOK_DSPS else 4)
        super().__init__(
            {
                "x": In(signed(BIAS_BITS)),
                "factor": In(unsigned(MULTIPLIER_BITS)),
                "nudge": In(1),
                "product": Out(signed(BIAS_BITS + MULTIPLIER_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        x = _Split(delay(m, self.x, 1, name="x"))
        factor = _Split(delay(m, self.factor, 1, name="factor"))
        negative = delay(m, x.whole[-1], self._product_latency, name="negative")
        nudge = delay(m, self.nudge, 1 + self._product_latency, name="nudge")
        schoolbook = self.dsps == SCHOOLBOOK_DSPS
        parts = (self._schoolbook if schoolbook else self._karatsuba)(m, x, factor, negative)
        both = Cat(parts.low, parts.high)
        # The correction is one too low for negative `x`: the carry makes up for it, or leaves it as the
        # nudge.
        nudged = self._add_with_carry(both[NUDGE_PLACE:].as_signed(), parts.correction, negative ^ nudge)
        outer = delay(m, Cat(both[:NUDGE_PLACE], nudged), parts.cycles, name="outer")
        total = Signal(signed(len(self.product) - HALF), reset_less=True)
        m.d.sync += total.eq(outer[HALF:].as_signed() + parts.middle)
        m.d.comb += self.product.eq(Cat(delay(m, outer[:HALF], 1, name="lowest"), total))
        return m

    def _karatsuba(self, m: Module, x: _Split, factor: _Split, negative: Value) -> _Parts:
        x_sum = delay(m, _Split(self.x).high + _Split(self.x).low, 1, name="x_sum")
        factor_sum = delay(m, _Split(self.factor).high + _Split(self.factor).low, 1, name="factor_sum")
        operands = [(x_sum, factor_sum), (x.low, factor.low), (x.high, factor.high)]
        cross, low, high = self._multiply(m, operands)
        squares, middle = (Signal(signed(2 * HALF + 2), reset_less=True, name=name) for name in ("squares", "middle"))
        m.d.sync += [squares.eq(high + low), middle.eq(delay(m, cross, 1, name="cross") - squares)]
        # Two ones are -1.
        return _Parts(high, low, negative.replicate(2).as_signed(), middle, cycles=2)

    def _schoolbook(self, m: Module, x: _Split, factor: _Split, negative: Value) -> _Parts:
        # The high half of `x` counts as unsigned in its product with L, since 16 signed by 16 unsigned bits
        # fit no 16 x 16 block: for negative `x`, L 2**32 too much. The complement is L + 1 below zero, the
        # two ones beneath it fill up.
        excess = Cat(Const(-1, NUDGE_SPARE), ~factor.low, Const(1, 1)).as_signed()
        correction = delay(m, Mux(x.whole[-1], excess, 0), self._product_latency, name="correction")
        operands = [
            (x.low, factor.low),
            (x.whole[HALF:], factor.low),
            (x.low, factor.high),
            (x.high, factor.high),
        ]
        low, high_low, low_high, high = self._multiply(m, operands)
        middle = Signal(unsigned(2 * HALF + 1), reset_less=True)
        # Without a register yosys puts the addition into the block, carry and all.
        domain = m.d.sync if self._registered else m.d.comb
        domain += middle.eq(high_low + low_high)
        return _Parts(high, low, correction, middle, cycles=int(self._registered))

    def _multiply(self, m: Module, operands: list[tuple[Value, Value]]) -> list[Value]:
        """The products of pairs of operands, all with the same latency."""
        values: list[Value] = []
        for number, (product, (a, b)) in enumerate(zip(self._products, operands, strict=True)):
            m.submodules[f"product_{number}"] = product
            m.d.comb += [product.a.eq(a), product.b.eq(b)]
            values.append(delay(m, product.product, self._product_latency - product.latency, name=f"product_{number}"))
        return values

    @staticmethod
    def _add_with_carry(a: Value, b: Value, carry: Value) -> Value:
        """`a + b + carry` with one adder."""
        return (Cat(Const(1, 1), a).as_signed() + Cat(carry, b).as_signed())[1:].as_signed()
