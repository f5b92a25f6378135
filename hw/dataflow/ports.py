"""The ports that every front end has, and that all of them together have too."""

from __future__ import annotations

from typing import Any

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.control.units import UnitTag, unit_window
from hw.mac.operands import Operands
from hw.memory.activation import activation_word
from hw.memory.weights import weights_port


def front_end_ports(config: CoreConfig) -> dict[str, Any]:
    """Members of a front end's signature. A dataflow leaves alone what it has no use for.

    layer, weights_base, first_channel, blocks_last
        The descriptor; the first weight word, the output's channel of lane 0 and the last block of the pass. Static
        during a pass, and there two cycles before it.
    start, busy
        Pulse that begins a pass; high until all its work has been given out.
    rows_loaded, rows_stored
        Input rows in the activation memory and output rows that have left it.
    can_issue, can_issue_run, sequence, issue
        To the retirement.
    requests, responses
        To the activation memory, one a group.
    weights
        To the weight memories, one a group.
    operands
        To the array, one stream a group.
    issued
        Operations that entered the array in this cycle, one bit a group; which of them count, the front end says.
    """
    rows = range(config.max_size + 2)
    response = wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})
    return {
        "layer": In(LayerDescriptor(config)),
        "weights_base": In(config.weight_address_bits),
        "first_channel": In(range(config.max_channels + 1)),
        "blocks_last": In(range(config.groups)),
        "start": In(1),
        "busy": Out(1),
        "rows_loaded": In(rows),
        "rows_stored": In(rows),
        "can_issue": In(1),
        "can_issue_run": In(1),
        "sequence": In(range(unit_window(config))),
        "issue": Out(range(config.longest_run + 1)),
        "requests": Out(stream.Signature(config.activation_address_bits)).array(config.groups),
        "responses": In(response).array(config.groups),
        "weights": Out(weights_port(config)).array(config.groups),
        "operands": Out(stream.Signature(Operands(config, UnitTag(config)))).array(config.groups),
        "issued": Out(config.groups),
    }
