"""The interface between a dataflow and the MAC array: nothing else of a dataflow is known to the array."""

from __future__ import annotations

from typing import Any

from amaranth import signed, unsigned
from amaranth.hdl import ShapeLike
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig


class Operands(data.StructLayout):
    """One operation of a group: every lane multiplies and adds to one of its accumulators.

    - `activations`: L x signed(operand_bits), distances from the zero point
    - `weights`: L x signed(weight_bits)
    - `index`: L x range(A), the accumulator that each lane adds to
    - `mask`: L bits; a lane whose bit is 0 adds nothing
    - `first`: all lanes' accumulators (those at `index`) start from zero, also those of lanes that `mask`
      switches off
    - `last`: after this operation the accumulators at `index` of all lanes are one result
    - `tag`: of the dataflow's own shape; it leaves with the result of a `last` operation and is otherwise
      ignored

    Sums wrap at accumulator_bits.
    """

    def __init__(self, config: CoreConfig, tag_shape: ShapeLike) -> None:
        lanes = config.lanes
        super().__init__(
            {
                "activations": data.ArrayLayout(signed(config.operand_bits), lanes),
                "weights": data.ArrayLayout(signed(config.weight_bits), lanes),
                "index": data.ArrayLayout(range(config.accumulators), lanes),
                "mask": unsigned(lanes),
                "first": 1,
                "last": 1,
                "tag": tag_shape,
            }
        )


class Results(data.StructLayout):
    """`accumulators`, L x signed(accumulator_bits), and the `tag` of the operation that ended them."""

    def __init__(self, config: CoreConfig, tag_shape: ShapeLike) -> None:
        super().__init__(
            {
                "accumulators": data.ArrayLayout(signed(config.accumulator_bits), config.lanes),
                "tag": tag_shape,
            }
        )


def group_ports(config: CoreConfig, tag_shape: ShapeLike) -> dict[str, Any]:
    """The ports of any group of lanes: `operands` In, `results` Out."""
    return {
        "operands": In(stream.Signature(Operands(config, tag_shape))),
        "results": Out(stream.Signature(Results(config, tag_shape))),
    }
