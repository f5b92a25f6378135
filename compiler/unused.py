"""The unused elements of a pixel's last word: zeros, wherever a convolution reads them.

A convolution multiplies every element of a word that is not zero, also those behind the last channel, with weights that
belong elsewhere. What is loaded comes with zeros there; what is computed must be filled up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compiler.candidates import candidates
from compiler.errors import CompilerError
from compiler.mapping import ceil_div
from compiler.operations import Convolve, HardwareOperation, Operand, Scaling, VectorOperation
from hw.config import CoreConfig
from hw.control.descriptor import Operation


def with_zeros(operations: Sequence[HardwareOperation], config: CoreConfig) -> tuple[HardwareOperation, ...]:
    """The operations, with those that must fill up the last word of a pixel doing so, or followed by one that does."""
    read: set[str] = set()
    found: list[HardwareOperation] = []
    for operation in reversed(operations):
        if isinstance(operation, Convolve | VectorOperation):
            if operation.output.buffer in read and operation.output.ends_pixel:
                found += _filling(operation, config)
            else:
                found.append(operation)
            # A vector operation fills up with what comes of its operands' unused elements: zeros, if they are.
            # What is there does not matter to a depthwise convolution, which gives those elements weights of zero.
            if _mixes_channels(operation, config) or (
                isinstance(operation, VectorOperation) and operation.output.buffer in read
            ):
                read.update(map.buffer for map in operation.reads if map.channels % map.word_elements)
        else:
            found.append(operation)
    return tuple(reversed(found))


def _mixes_channels(operation: HardwareOperation, config: CoreConfig) -> bool:
    """Whether what an element is multiplied with may belong to another channel."""
    if not isinstance(operation, Convolve):
        return False
    conv, words = operation.conv, operation.output.pixel_words
    return not conv.depthwise or not candidates(conv, config, words)[0].mapping.run


def _filling(operation: Convolve | VectorOperation, config: CoreConfig) -> list[HardwareOperation]:
    """The operation, and where needed another one that fills up the words; the last one first.

    Raises:
        CompilerError: it cannot make zeros.
    """
    output, lanes = operation.output, config.lanes
    missing = -output.end_channel % output.word_elements
    lower, upper = operation.bounds
    if missing and not lower <= 0 <= upper:
        raise CompilerError(
            f"layer {operation.name}: its activations are never zero, so they cannot fill up the last word of a pixel "
            f"for the convolution that reads them: give it a multiple of {output.word_elements} channels"
        )
    if isinstance(operation, Convolve):
        more = ceil_div(output.channels + missing, lanes) > ceil_div(output.channels, lanes)
    else:
        more = output.channels + missing > output.word_elements * min(map.used_words for map in operation.reads)
    if not (more and config.vector):
        return [replace(operation, fills_word=True)]
    # Of the word that a beat ends in, the beat fills the rest, up to its own end.
    first = ceil_div(output.end_channel, config.post_lanes) * config.post_lanes
    if not -first % output.word_elements:
        return [operation]
    return [_zeros(operation, first), operation]


def _zeros(operation: Convolve | VectorOperation, first: int) -> VectorOperation:
    """Zeros from channel `first` of the output's pixels to the end of the word: what is there, times 0."""
    map = operation.output
    return VectorOperation(
        name=f"{operation.name}_zeros",
        layers=operation.layers,
        kind=Operation.SUM,
        operands=(Operand(map),),
        output=replace(map, first_channel=first, channels=-first % map.word_elements),
        scalings=(Scaling(0, 0),),
        lower=0,
        upper=0,
    )
