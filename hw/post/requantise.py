"""Requantisation: from accumulator to activation, bit for bit as in TensorFlow Lite's reference kernels."""

from __future__ import annotations

from amaranth import Mux, Signal, signed
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.post.layouts import BIAS_BITS, MapParameters, value_shape
from hw.post.multiplier import NUDGE_PLACE, WideMultiplier
from hw.post.saturating import Saturating
from hw.stream.delay import delay

RIGHT_SHIFT_BITS = 5

COARSE_STEPS = 2
"""Steps of the shifter, by 16 and 8 places, in front of its register."""


class Requantiser(wiring.Component):
    """One lane: bias, MultiplyByQuantizedMultiplier, offset, clamp. Pipelined, one accumulator a cycle, never stalls.

    ::

        accumulator + bias -> x * multiplier + nudge -> shift right, saturating -> round, add offset -> clamp

    The reference rounds x * multiplier / 2**31 halves up, and the quotient of that and 2**right halves away
    from zero. For right > 0 both roundings together are one floor:

        (x * multiplier + 2**(30 + right) + (x < 0 ? -2**30 : 2**30)) >> (31 + right)

    For right = 0, and with single rounding, the last term is absent. So the product is nudged by 2**30, or
    not, and then rounded once: floor to halves, plus one, floor. A left shift multiplies x modulo 2**32 (with
    single rounding: exactly); it is done by reading the product at a lower place.

    Parameters
    ----------
    config : CoreConfig

    Attributes
    ----------
    latency : int
        Cycles from the inputs to their `value`: 3 more than `WideMultiplier`.

    Ports
    -----
    accumulator : In(signed(sum_bits))
    parameters : In(MapParameters)
        Of the accumulator in the same cycle.
    offset : In(signed(operand_bits))
        Added to the rounded value, before the clamp; constant during a layer.
    lower, upper : In(signed(operand_bits))
        The activation's bounds relative to the output's zero point; lower <= upper, constant during a layer.
    value : Out(signed(operand_bits))
        The activation relative to the zero point. Its low activation_bits bits are the stored activation.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self._multiplier = WideMultiplier(config.post_dsps, registered=config.product_registers)
        self.latency = self._multiplier.latency + 3
        super().__init__(
            {
                "accumulator": In(signed(config.sum_bits)),
                "parameters": In(MapParameters),
                "offset": In(value_shape(config)),
                "lower": In(value_shape(config)),
                "upper": In(value_shape(config)),
                "value": Out(value_shape(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.multiplier = multiplier = self._multiplier
        m.d.comb += [
            multiplier.x.eq(self._shifted_left(m)),
            multiplier.factor.eq(self.parameters.multiplier),
            multiplier.nudge.eq((self.parameters.shift < 0) & ~self.parameters.single_rounding),
        ]
        m.d.comb += self.value.eq(self._round_and_clamp(m, multiplier.product))
        return m

    def _shifted_left(self, m: Module) -> Value:
        """Accumulator and bias, sign-extended from the top bit that a wrapping left shift keeps.

        The shift itself follows after the product.
        """
        biased, shifted = (Signal(signed(BIAS_BITS), name=name) for name in ("biased", "shifted"))
        m.d.comb += [biased.eq(self.accumulator + self.parameters.bias), shifted.eq(biased)]
        for left in range(1, self.config.max_left_shift + 1):
            with m.If((self.parameters.shift == left) & ~self.parameters.single_rounding):
                m.d.comb += shifted.eq(biased[: BIAS_BITS - left].as_signed())
        return shifted

    def _shift_steps(self, m: Module) -> list[tuple[Value, int]]:
        """(condition, places) of the steps by which the product is shifted right, the largest first.

        The right shifts of the reference come first, then the places that a left shift of max_left_shift
        leaves out.
        """
        shift, largest = self.parameters.shift, self.config.max_left_shift
        right, rest = Signal(RIGHT_SHIFT_BITS), Signal(range(largest + 1))
        m.d.comb += [right.eq(Mux(shift < 0, -shift, 0)), rest.eq(Mux(shift > 0, largest - shift, largest))]
        return [(amount[place], 1 << place) for amount in (right, rest) for place in reversed(range(len(amount)))]

    def _round_and_clamp(self, m: Module, product: Value) -> Value:
        """The last three stages: two of shifting, the second of which rounds and adds the offset too, and the clamp."""
        steps = self._shift_steps(m)
        # Halves need one bit more than the value, and what an offset can bring back within the bounds one more. Until
        # then a number is wider by what the later steps can shift out; one that is wider still overflows.
        width = len(self.value) + 2
        number = Saturating.of(product[NUDGE_PLACE - self.config.max_left_shift :].as_signed())
        for index, (condition, places) in enumerate(steps):
            fine = index >= COARSE_STEPS
            if index == COARSE_STEPS:
                number = number.registered(m, "coarse")
            delayed = delay(m, condition, self._multiplier.latency + fine, name=f"shift_{index}")
            width_here = width + sum(later for _, later in steps[index + 1 :])
            number = number.shifted_right(delayed, places).narrowed(width_here)
        rounded = number.rounded_half(self.offset).registered(m, "rounded")
        return delay(m, rounded.clamped(self.lower, self.upper), 1, name="clamped")
