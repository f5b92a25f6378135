"""Scaling the operands of an addition, bit for bit as TensorFlow Lite's reference kernel does."""

from __future__ import annotations

from amaranth import Mux, Signal, signed, unsigned
from amaranth.hdl import Module, Shape
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import add_left_shift
from hw.post.fabric_multiplier import DigitMultiplier, recoded
from hw.post.layouts import MULTIPLIER_BITS
from hw.stream.delay import delay
from hw.vector.layouts import element_shape, scaled_shape

SHIFT_BITS = 5


def unit_place(config: CoreConfig) -> int:
    """Place of the scaled value's lowest bit in the product of an element and its multiplier."""
    return MULTIPLIER_BITS - add_left_shift(config)


def lowest_place(config: CoreConfig) -> int:
    """Lowest place of that product to which anything is added."""
    return min(config.activation_bits, unit_place(config) - 1)


def product_shape(config: CoreConfig) -> Shape:
    """Shape of that product with its rounding, from `lowest_place` on."""
    return signed(max(config.operand_bits, unit_place(config)) + (1 << SHIFT_BITS) - lowest_place(config))


class Addends(data.StructLayout):
    """What the product of a stored element and the multiplier lacks, for a `positive` and for a `negative` one."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"positive": product_shape(config), "negative": product_shape(config)})


class ScaleAddends(wiring.Component):
    """Makes the `Addends` of an operand, once for all its elements; they follow its factor by one cycle.

    With u = `unit_place` and r = `right_shift`, what the reference rounds twice is rounded once:

        (x * multiplier + 2**(u - 1) * (r == 0 ? 1 : 2**r + (x < 0 ? -1 : 1))) >> (u + r)

    (see `hw.post.requantise`). A negative x is stored as x + 2**b, so that its product is multiplier x 2**b too large.

    Ports: static `multiplier`, `right_shift`; `addends`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "multiplier": In(MULTIPLIER_BITS),
                "right_shift": In(SHIFT_BITS),
                "addends": Out(Addends(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lowest = lowest_place(self.config)
        rounding = unit_place(self.config) - 1 - lowest
        shifts = self.right_shift != 0
        half = 1 << self.right_shift
        excess = self.multiplier << (self.config.activation_bits - lowest)
        m.d.sync += [
            self.addends.positive.eq((half + shifts) << rounding),
            self.addends.negative.eq(((half - shifts) << rounding) - excess),
        ]
        return m


class OperandScaler(wiring.Component):
    """MultiplyByQuantizedMultiplier(x << add_left_shift, multiplier, -right_shift), with double rounding.

    Pipelined, one element a cycle, no DSP block. ::

        stored element, recoded -> register -> x multiplier -> + addend -> register -> >> right_shift -> register

    Attributes
    ----------
    latency : int
        Cycles from an element to its scaled value.

    Ports
    -----
    element : In(signed(operand_bits))
    multiplier, right_shift, addends : In
        Static: the operand's factor and its `ScaleAddends`.
    scaled : Out(signed(operand_bits + add_left_shift))
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self._product = DigitMultiplier(unsigned(MULTIPLIER_BITS), config.activation_bits)
        self.latency = 1 + self._product.latency + 2
        super().__init__(
            {
                "element": In(element_shape(config)),
                "multiplier": In(MULTIPLIER_BITS),
                "right_shift": In(SHIFT_BITS),
                "addends": In(Addends(config)),
                "scaled": Out(scaled_shape(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lowest, unit = lowest_place(self.config), unit_place(self.config)
        m.submodules.product = product = self._product
        digits = delay(m, recoded(self.element[:-1]), 1, name="digits")
        m.d.comb += [product.a.eq(self.multiplier), product.digits.eq(digits)]
        negative = delay(m, self.element[-1], 1 + product.latency, name="negative")
        rounded = Signal(product_shape(self.config), reset_less=True)
        addend = Mux(negative, self.addends.negative, self.addends.positive)
        m.d.sync += rounded.eq(product.product[lowest:] + addend)
        value = rounded[unit - lowest :].as_signed()
        for place in reversed(range(SHIFT_BITS)):
            # After the largest shift, or without it, the number fits the result: its rounding is small then.
            value = Mux(self.right_shift[place], value >> (1 << place), value)[: len(self.scaled)].as_signed()
        m.d.comb += self.scaled.eq(delay(m, value, 1, name="scaled"))
        return m
