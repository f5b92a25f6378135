"""What goes into the post-processor and what comes out."""

from amaranth import signed, unsigned
from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import data

from hw.config import PARAMETER_PLANES, CoreConfig

BIAS_BITS = 32
MULTIPLIER_BITS = 31


class MapParameters(data.Struct):
    """How accumulators of one output map become activations; `PARAMETER_PLANES` bytes, the lowest first.

    - `bias`: added to the accumulator, modulo 2^32
    - `multiplier`: in [2^30, 2^31), or 0
    - `single_rounding`: round once, halves up, as the reference kernel of fully connected layers does,
      instead of twice
    - `shift`: -31 .. max_left_shift; positive is a left shift (TensorFlow Lite's convention)

    The scale is multiplier x 2**(shift - 31).
    """

    bias: signed(BIAS_BITS)
    multiplier: unsigned(MULTIPLIER_BITS)
    single_rounding: unsigned(1)
    shift: signed(8)


assert Shape.cast(MapParameters).width == 8 * PARAMETER_PLANES


def value_shape(config: CoreConfig) -> Shape:
    """Shape of a requantised value and of the clamp: a distance from the output's zero point."""
    return signed(config.operand_bits)


def parameter_entries(config: CoreConfig) -> int:
    """Entries of the parameter memory: one for each beat of each slot."""
    return config.parameter_slots * config.post_beats


def pooling_slots(config: CoreConfig) -> int:
    """Pooling windows that can be open at once: one for each beat of each group."""
    return config.groups * config.post_beats


class ParameterWrite(data.StructLayout):
    """A byte plane of an entry of the parameter memory: byte `plane` of the parameters of all lanes."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "address": range(parameter_entries(config)),
                "plane": range(PARAMETER_PLANES),
                "data": data.ArrayLayout(unsigned(8), config.post_lanes),
            }
        )


class PostInput(data.StructLayout):
    """A beat of results.

    - `accumulators`: P x signed(sum_bits)
    - `parameters`: entry of the parameter memory with the parameters of these P maps
    - `slot`: pooling window that the beat belongs to, `group * post_beats + beat`
    - `pool_first`, `pool_last`: the beat opens and closes the window; both set without pooling
    - `destination`: of the user's own shape; it leaves with the output of a `pool_last` beat and is otherwise
      ignored
    """

    def __init__(self, config: CoreConfig, destination_shape: ShapeLike) -> None:
        super().__init__(
            {
                "accumulators": data.ArrayLayout(signed(config.sum_bits), config.post_lanes),
                "parameters": range(parameter_entries(config)),
                "slot": range(pooling_slots(config)),
                "pool_first": 1,
                "pool_last": 1,
                "destination": destination_shape,
            }
        )


class PostOutput(data.StructLayout):
    """A beat of stored activations: `data`, P x unsigned(activation_bits), and its `destination`."""

    def __init__(self, config: CoreConfig, destination_shape: ShapeLike) -> None:
        super().__init__(
            {
                "data": data.ArrayLayout(unsigned(config.activation_bits), config.post_lanes),
                "destination": destination_shape,
            }
        )
