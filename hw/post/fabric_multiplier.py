"""A multiplier from LUTs and carry chains alone."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Cat, Const, Signal, signed, unsigned
from amaranth.hdl import Module, Shape, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


@dataclass(frozen=True)
class _Term:
    """A signed addend of weight 2**place."""

    value: Value
    place: int


def digit_count(b_bits: int) -> int:
    """Digits of an unsigned multiplier: the top one holds one bit at most, so that with a carry it is at most 2."""
    return b_bits // 2 + 1


def recoded(b: Value) -> Value:
    """The radix-4 digits -1, 0, 1 and 2 of an unsigned multiplier, each one too high: two bits a digit."""
    digits = digit_count(len(b))
    return (b + sum(1 << 2 * place for place in range(digits)))[: 2 * digits]


class FabricMultiplier(wiring.Component):
    """Signed by unsigned, pipelined, one product a cycle.

    Parameters
    ----------
    a_shape : Shape
        Shape of `a`, signed or unsigned.
    b_bits : int

    Ports
    -----
    a : In(a_shape)
    b : In(unsigned(b_bits))
    product : Out
        a * b of `latency` cycles before; signed if `a` is.
    """

    def __init__(self, a_shape: Shape, b_bits: int) -> None:
        self._rows = DigitMultiplier(a_shape, b_bits)
        self.latency = self._rows.latency
        product = self._rows.product.shape()
        super().__init__({"a": In(a_shape), "b": In(unsigned(b_bits)), "product": Out(product)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rows = rows = self._rows
        m.d.comb += [rows.a.eq(self.a), rows.digits.eq(recoded(self.b)), self.product.eq(rows.product)]
        return m


class DigitMultiplier(wiring.Component):
    """`FabricMultiplier` for a multiplier that is already `recoded`.

    The multiplier `b` is written in radix 4 with the digits -1, 0, 1 and 2. That set needs no multiple of the
    multiplicand that is not a shift, and four choices over two neighbouring bits of it are one LUT4 for each
    bit of a row. Adding 0b...0101 to `b` gives the digits, each one too high. A row for digit -1 is the
    complement; the 1 that it lacks goes into the free low places of the next row. The rows are added in a
    tree with a register after every second level.

    Ports: `a`, `digits` (`recoded(b)`), `product` of `latency` cycles before.
    """

    def __init__(self, a_shape: Shape, b_bits: int) -> None:
        self._count = digit_count(b_bits)
        self.levels = max(1, (self._count - 1).bit_length())
        self.latency = -(-self.levels // 2)
        product = Shape(a_shape.width + b_bits, signed=a_shape.signed)
        super().__init__({"a": In(a_shape), "digits": In(2 * self._count), "product": Out(product)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        terms = self._rows(m)
        for level in range(1, self.levels + 1):
            terms = [self._add(terms[index : index + 2]) for index in range(0, len(terms), 2)]
            if level % 2 == 0 or level == self.levels:
                terms = [self._register(m, term, f"sum_{level}_{index}") for index, term in enumerate(terms)]
        m.d.comb += self.product.eq(terms[0].value)
        return m

    def _rows(self, m: Module) -> list[_Term]:
        a = Signal(signed(self.a.shape().width + (not self.a.shape().signed)))
        m.d.comb += a.eq(self.a)
        rows = []
        for place in range(self._count):
            row = Signal(signed(len(a) + 1), name=f"row_{place}")
            digit = self.digits.word_select(place, 2)
            with m.Switch(digit):
                with m.Case(0):
                    m.d.comb += row.eq(~a)
                with m.Case(1):
                    m.d.comb += row.eq(0)
                with m.Case(2):
                    m.d.comb += row.eq(a)
                with m.Case(3):
                    m.d.comb += row.eq(a << 1)
            if place == 0:
                rows.append(_Term(row, 0))
            else:
                missing = self.digits.word_select(place - 1, 2) == 0
                rows.append(_Term(Cat(missing, Const(0, 1), row).as_signed(), 2 * (place - 1)))
        return rows

    @staticmethod
    def _add(terms: list[_Term]) -> _Term:
        if len(terms) == 1:
            return terms[0]
        low, high = terms
        free = high.place - low.place
        # Places below the higher term need no adder.
        total = (low.value >> free) + high.value
        return _Term(Cat(low.value[:free], total).as_signed(), low.place)

    @staticmethod
    def _register(m: Module, term: _Term, name: str) -> _Term:
        register = Signal(term.value.shape(), name=name, reset_less=True)
        m.d.sync += register.eq(term.value)
        return _Term(register, term.place)
