"""Bytes that a layer moves into and out of its core, and what its feature maps take in either form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from compiler.program import LayerProgram
from models.sparsity import compressed_bits


def map_bytes(stored: npt.NDArray, bits: int) -> tuple[int, int]:
    """Bytes of the stored activations [rows, columns, channels] as dense rows, and as sparsity maps and non-zero lists.

    Args:
        bits: of an activation.
    """
    rows = stored.reshape(len(stored), -1)
    return rows.size * bits // 8, -(-compressed_bits(rows, bits) // 8)


def layer_traffic(
    program: LayerProgram, stored: npt.NDArray, output: npt.NDArray, *, travels: bool
) -> dict[str, int | float]:
    """What a layer moves, by these keys.

    - `weights`: bytes of weights and post-processing parameters, which stream in once.
    - `input`, `output`: bytes of its feature maps as they travel, the input as often as it is loaded. 0 if they lie in
      the activation memory.
    - `maps_dense`, `maps_compressed`: bytes of input and output, once each, dense and as sparsity maps and non-zero
      lists.
    - `zero_inputs`: share of the input's activations that are zero.

    Args:
        program: of the layer; stored, output: its stored input and output [rows, columns, channels].
        travels: its feature maps come and leave by the core's streams.
    """
    bits = program.config.activation_bits
    entering, leaving = map_bytes(stored, bits), map_bytes(output, bits)
    return {
        "weights": program.weights.nbytes,
        "input": entering[program.sparse_input] * program.mapping.loads if travels else 0,
        "output": leaving[program.sparse_output] if travels else 0,
        "maps_dense": entering[0] + leaving[0],
        "maps_compressed": entering[1] + leaving[1],
        "zero_inputs": round(float(np.mean(stored == 0)), 4),
    }
