"""The ways to run a convolution whose input and output lie whole in memory: as which convolution, mapped how."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.convolution import Convolution
from compiler.csc_mapping import csc_mappings
from compiler.errors import CompilerError
from compiler.feature_maps import FeatureMap
from compiler.mapping import Mapping, mappings_in_memory
from hw.config import CoreConfig


@dataclass(frozen=True, eq=False)
class Candidate:
    """A convolution, as it is or as the dense one that it is equal to, and its mapping."""

    conv: Convolution
    mapping: Mapping


def is_packed(conv: Convolution, source: FeatureMap) -> bool:
    """Whether the input lies with each row as one pixel."""
    return source.columns == 1 < conv.size[1]


def candidates(conv: Convolution, source: FeatureMap, config: CoreConfig, output_pixel_words: int) -> list[Candidate]:
    """Every way, on each dataflow that runs it.

    Args:
        source: the input, as it lies.
        output_pixel_words: of the output.

    Raises:
        CompilerError: the configuration cannot hold the layer.
    """
    errors: list[CompilerError] = []
    found: list[Candidate] = []
    packed = is_packed(conv, source)
    try:
        found += [Candidate(conv, one) for one in csc_mappings(conv, config, output_pixel_words, packed=packed)]
    except CompilerError as error:
        errors.append(error)
    # A depthwise layer would take as many times the cycles as it has channels.
    if not packed and not (found and conv.depthwise):
        dense = conv.expanded()
        try:
            found += [Candidate(dense, one) for one in mappings_in_memory(dense, config, output_pixel_words)]
        except CompilerError as error:
            errors.append(error)
    if not found:
        # Of a core that has it, csc's reason: an expanded layer is larger than what the user gave.
        raise errors[0 if config.csc and conv.edges is not None else -1]
    return found
