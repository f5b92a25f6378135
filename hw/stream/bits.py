"""Bit arithmetic of the codec: counting ones, rotating, selecting a run of units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value

BLOCK = 4
"""Bits counted by one level of logic: each bit of the count of four is one four-input table."""


def ones_of_block(bits: Sequence[Value]) -> Value:
    """How many of at most four bits are set, as three bits."""
    a, b, c, d = [*bits, *[Const(0, 1)] * (BLOCK - len(bits))]
    pairs = (a & b) | (a & c) | (a & d) | (b & c) | (b & d) | (c & d)
    all_four = a & b & c & d
    return Cat(a ^ b ^ c ^ d, pairs & ~all_four, all_four)


def _blocks(bits: Sequence[Value]) -> list[Sequence[Value]]:
    return [bits[start : start + BLOCK] for start in range(0, len(bits), BLOCK)]


def total(values: Sequence[Value]) -> Value:
    """The sum of the values, as a balanced tree."""
    if len(values) == 1:
        return values[0]
    middle = (len(values) + 1) // 2
    return total(values[:middle]) + total(values[middle:])


def count_ones(bits: Sequence[Value]) -> Value:
    """How many bits are set."""
    return total([ones_of_block(block) for block in _blocks(bits)])[: len(bits).bit_length()]


def running_sums(m: Module, bits: Sequence[Value], start: Value, width: int) -> list[Signal]:
    """For each bit, `start` plus the number of bits set before it, modulo 2**width.

    Blocks of four are counted first, so that the depth grows with the logarithm of their number.
    """
    blocks = _blocks(bits)
    counts = [ones_of_block(block) for block in blocks]
    sums = []
    for index, block in enumerate(blocks):
        base = Signal(width, name=f"base_{index}")
        m.d.comb += base.eq(start + total(counts[:index]) if index else start)
        for position in range(len(block)):
            running = Signal(width, name=f"sum_{len(sums)}")
            m.d.comb += running.eq(base + ones_of_block(block[:position]) if position else base)
            sums.append(running)
    return sums


def rotate_left(value: Value, amount: Value) -> Value:
    """The value, rotated to more significant bits by `amount`: a multiplexer for each bit of that."""
    for level in range(len(amount)):
        value = Mux(amount[level], value.rotate_left(1 << level), value)
    return value


def below(value: Value, length: int) -> Value:
    """Thermometer: bit i of `length` is set if i is less than the value."""
    return Cat(Const(i) < value for i in range(length))


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


def least(*values: Value) -> Value:
    """The smallest of the values."""
    smallest = values[0]
    for value in values[1:]:
        smallest = Mux(value < smallest, value, smallest)
    return smallest
