"""Delay lines."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module, Value


def delay(m: Module, value: Value, cycles: int, *, name: str, reset_less: bool = True) -> Value:
    """`value` as it was `cycles` cycles ago, through registers named after `name`; `value` itself for 0."""
    for cycle in range(1, cycles + 1):
        register = Signal.like(value, name=f"{name}_{cycle}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value
