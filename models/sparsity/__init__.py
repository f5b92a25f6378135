"""Sparsity: of feature maps, and of weights.

Feature maps: `codec` describes the format of sparsity maps and non-zero value lists and encodes values of any width,
`packets` puts it on the wire.

Weights: `pruning` drops them with balance, in the `partitions` that a machine reads; `merging` deals kernels to units
where they are not level, and `balance` measures how level they are. `cyclic` has layers that are sparse by structure.
"""

from models.sparsity.codec import (
    EncodedRows,
    break_even_sparsity,
    compressed_bits,
    decode,
    encode,
    ideal_bits_per_element,
    ideal_compression,
)
from models.sparsity.groups import GROUP_ELEMENTS, MAP_BITS, CodecError
from models.sparsity.packets import Beats, Packets, encode_beats, from_beats, to_beats, to_packets

__all__ = [
    "GROUP_ELEMENTS",
    "MAP_BITS",
    "Beats",
    "CodecError",
    "EncodedRows",
    "Packets",
    "break_even_sparsity",
    "compressed_bits",
    "decode",
    "encode",
    "encode_beats",
    "from_beats",
    "ideal_bits_per_element",
    "ideal_compression",
    "to_beats",
    "to_packets",
]
