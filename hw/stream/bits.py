"""Small arithmetic of the codec.

Where time is short, sums are spelled out in gates: synthesis gives each `+` a carry chain, which for a few
bits is slower than lookup tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value

BLOCK = 4
"""Bits counted at once: each bit of the count of four is one table of four inputs."""


def add(m: Module, *terms: Value) -> Value:
    """The sum of unsigned numbers, as a balanced tree in gates."""
    if len(terms) == 1:
        return terms[0]
    if len(terms) > 2:
        middle = (len(terms) + 1) // 2
        return add(m, add(m, *terms[:middle]), add(m, *terms[middle:]))
    width = max(len(term) for term in terms)
    a, b = (_extended(term, width) for term in terms)
    result = Signal(width + 1, name="sum")
    carry: Value = Const(0, 1)
    for index in range(width):
        m.d.comb += result[index].eq(a[index] ^ b[index] ^ carry)
        carry = (a[index] & b[index]) | ((a[index] ^ b[index]) & carry)
    m.d.comb += result[-1].eq(carry)
    return result


def _extended(value: Value, width: int) -> Value:
    return Cat(value, Const(0, width - len(value)))


def least(*values: Value) -> Value:
    """The smallest of the unsigned values."""
    smallest = values[0]
    for value in values[1:]:
        smallest = Mux(value < smallest, value, smallest)
    return smallest


def below(value: Value, length: int) -> Value:
    """Thermometer: bit i of `length` is set if i is less than the value."""
    return ~(Const((1 << length) - 1) << value)[:length]


def _count_block(m: Module, bits: Sequence[Value]) -> Signal:
    """How many of at most four bits are set."""
    a, b, c, d = [*bits, *[Const(0, 1)] * (BLOCK - len(bits))]
    count = Signal(len(bits).bit_length(), name="count")
    all_four = a & b & c & d
    pair = (a & b) | (a & c) | (a & d) | (b & c) | (b & d) | (c & d)
    m.d.comb += count.eq(Cat(a ^ b ^ c ^ d, pair & ~all_four, all_four))
    return count


def _blocks(bits: Sequence[Value]) -> list[Sequence[Value]]:
    return [bits[start : start + BLOCK] for start in range(0, len(bits), BLOCK)]


def counts_of_ones(m: Module, bits: Sequence[Value]) -> list[Value]:
    """Numbers that add up to how many bits are set."""
    return [_count_block(m, block) for block in _blocks(bits)]


def count_ones(m: Module, bits: Sequence[Value]) -> Value:
    """How many bits are set."""
    return add(m, *counts_of_ones(m, bits))[: len(bits).bit_length()]


def running_sums(m: Module, bits: Sequence[Value], start: Value, width: int) -> list[Value]:
    """For each bit, `start` plus the number of bits set before it, modulo 2**width.

    Blocks of four are counted first, so that the depth grows with the logarithm of their number.
    """
    sums: list[Value] = []
    counts: list[Value] = []
    for block in _blocks(bits):
        base = add(m, start, *counts)[:width]
        for length in range(len(block)):
            sums.append(add(m, base, _count_block(m, block[:length]))[:width] if length else base)
        counts.append(_count_block(m, block))
    return sums


def rotate_left(value: Value, amount: Value) -> Value:
    """The value, rotated to more significant bits by `amount`: a multiplexer for each bit of that."""
    for level in range(len(amount)):
        value = Mux(amount[level], value.rotate_left(1 << level), value)
    return value


def select_run(units: Sequence[Any], start: Value, length: int) -> list[Any]:
    """`length` neighbours from unit `start` on; units past the end are arbitrary.

    The coarsest shift comes first, so that each finer level works only on the units that can still matter.
    """
    chosen = list(units)
    for level in reversed(range(len(start))):
        needed = length + (1 << level) - 1
        chosen = [
            Mux(start[level], chosen[i + (1 << level)], unit) if i + (1 << level) < len(chosen) else unit
            for i, unit in enumerate(chosen[:needed])
        ]
    return chosen[:length]
