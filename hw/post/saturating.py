"""Numbers that lose their upper places on the way down a shifter."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Cat, Const, Mux
from amaranth.hdl import Module, Value

from hw.stream.delay import delay


@dataclass(frozen=True)
class Saturating:
    """A signed `value` or, with `overflow`, a number beyond its range on the side that `negative` tells."""

    value: Value
    overflow: Value
    negative: Value

    @classmethod
    def of(cls, value: Value) -> Saturating:
        return cls(value, Const(0, 1), value[-1])

    def shifted_right(self, condition: Value, places: int) -> Saturating:
        """Shifted by `places` (rounding down) if `condition`. An overflow stays one."""
        return Saturating(Mux(condition, self.value >> places, self.value), self.overflow, self.negative)

    def narrowed(self, width: int) -> Saturating:
        """With a value of `width` bits at most."""
        if len(self.value) <= width:
            return self
        lost, sign = self.value[width - 1 : -1], self.value[-1]
        differs = (lost ^ sign.replicate(len(lost))).any()
        return Saturating(self.value[:width].as_signed(), self.overflow | differs, self.negative)

    def rounded_half(self, offset: Value) -> Saturating:
        """Half of the value, halves up, plus a signed `offset`. An overflow stays one."""
        # One addition does both: half of (value + 1) + 2 x offset.
        return Saturating((self.value + Cat(Const(1, 1), offset).as_signed()) >> 1, self.overflow, self.negative)

    def clamped(self, lower: Value, upper: Value) -> Value:
        """The number or the nearest bound; the bounds lie within the range of `value`, overflows beyond."""
        too_high = Mux(self.overflow, ~self.negative, self.value > upper)
        too_low = Mux(self.overflow, self.negative, self.value < lower)
        return Mux(too_high, upper, Mux(too_low, lower, self.value))

    def registered(self, m: Module, name: str) -> Saturating:
        value, overflow, negative = (
            delay(m, signal, 1, name=f"{name}_{part}")
            for part, signal in (
                ("value", self.value),
                ("overflow", self.overflow),
                ("negative", self.negative),
            )
        )
        return Saturating(value, overflow, negative)
