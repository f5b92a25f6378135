"""Payloads of the feature-map streams, and the widths that the decoder and the encoder share.

The format itself (packets, groups, sparsity maps, units, beats) is described in `models/sparsity/codec.py`.
"""

from __future__ import annotations

from amaranth.lib import data

from hw.config import WORD_ELEMENTS, CoreConfig


def map_units(config: CoreConfig) -> int:
    """Units of a stream that a sparsity map takes."""
    return WORD_ELEMENTS // config.activation_bits


def row_units(config: CoreConfig) -> int:
    """Units that the decoder and the encoder handle side by side.

    A beat, or as many as they have elements a cycle, if that is more. At least 2, so that a place in a row
    has a width.
    """
    return max(config.stream_units, config.codec_elements, 2)


def unit_array(config: CoreConfig, length: int) -> data.ArrayLayout:
    """So many units, or activations, which have the same width."""
    return data.ArrayLayout(config.activation_bits, length)


class Segment(data.StructLayout):
    """One packet to decode: `pixels` (at least 1) of `channels` elements (at least 1), `sparse` or dense."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {"pixels": range(config.max_size + 1), "channels": range(config.max_channels + 1), "sparse": 1}
        )


class FeatureBeat(data.StructLayout):
    """A beat on the wire: `data`, the units, first unit first; `last`, the packet ends with this beat."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"data": unit_array(config, config.stream_units), "last": 1})


class DecodedWord(data.StructLayout):
    """A part of an activation word, or all of it.

    `data`: the word, where `enable` says which elements this beat gives; `word_last`: the word is complete;
    `last`: the packet is complete.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "data": unit_array(config, config.word_elements),
                "enable": config.word_elements,
                "word_last": 1,
                "last": 1,
            }
        )


class PlainWord(data.StructLayout):
    """An activation word to encode.

    `data`: the elements, of which the first `count` (1 to 16) are valid; `last`: the packet ends with this
    word; `sparse`: the form of the packet, the same in all its words.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "data": unit_array(config, config.word_elements),
                "count": range(config.word_elements + 1),
                "last": 1,
                "sparse": 1,
            }
        )
