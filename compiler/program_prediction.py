"""Predicted cycles of a whole network's program: convolutions, the vector unit, and what arrives and leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

from compiler.cycles import LOAD_LATENCY, STORE_LATENCY, Counts, load_cycles, store_cycles, write_latency
from compiler.entries import Entry
from compiler.feature_maps import FeatureMap, ceil_div
from compiler.network_program import NetworkProgram
from compiler.operations import Load, Store, VectorOperation
from compiler.prediction import DONE_LATENCY, Prediction, WeightStream, run_passes
from compiler.program import TYPICAL_DENSITY, to_stored
from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.descriptor import Operation
from hw.vector.unit import VectorUnit

Stored = Callable[[FeatureMap], npt.NDArray]
"""The stored activations [rows, columns, channels] of a map."""


def predict_program(program: NetworkProgram, tensors: Mapping[str, npt.NDArray]) -> list[Prediction]:
    """Cycles and operations of each entry, run one after another, all streams always ready.

    Args:
        program: what runs.
        tensors: of the network, by name, with a batch of 1 (their zeros decide); those in `lowered.maps` are needed.
    """

    def stored(map: FeatureMap) -> npt.NDArray:
        return to_stored(tensors[map.tensor].reshape(map.shape), map.zero_point, program.config.core)

    return _predict(program, stored)


def estimate_program(program: NetworkProgram) -> list[Prediction]:
    """The same for an input that is not known: of every map `TYPICAL_DENSITY` of the activations are not zero."""

    def stored(map: FeatureMap) -> npt.NDArray:
        return (np.random.default_rng(0).random(map.shape) < TYPICAL_DENSITY).astype(np.uint8)

    return _predict(program, stored)


def _predict(program: NetworkProgram, stored: Stored) -> list[Prediction]:
    config = program.config.core
    weights = WeightStream(config)
    found = []
    start = taken = 0
    for entry in program.entries:
        accepted = max(taken, weights.end)
        start = max(start, accepted) + 1
        done, operations = _run(entry, stored, config, start, accepted, weights)
        found.append(Prediction(done - start, operations))
        taken, start = start, done
    return found


def _run(
    entry: Entry, stored: Stored, config: CoreConfig, start: int, accepted: int, weights: WeightStream
) -> tuple[int, int]:
    """When an entry is done that starts at `start`, and its operations."""
    operation = entry.operation
    if isinstance(operation, Load):
        rows = load_cycles(stored(operation.output), config, sparse=False)
        return start + LOAD_LATENCY + int(rows.sum()) + DONE_LATENCY, 0
    if isinstance(operation, Store):
        rows = store_cycles(stored(operation.input), config, sparse=False)
        return start + STORE_LATENCY + int(rows.sum()) + DONE_LATENCY, 0
    if isinstance(operation, VectorOperation):
        blocks = ceil_div(len(operation.scalings), config.post_beats)
        begin = max(start, weights.load(accepted, 0, blocks))
        done = begin + vector_cycles(operation, config) + write_latency(config) + DONE_LATENCY
        weights.released.append(done)
        return done, 0
    assert entry.layer is not None
    return run_passes(entry.layer, stored(operation.input), start, accepted, weights)


def vector_cycles(operation: VectorOperation, config: CoreConfig) -> int:
    """Cycles from the start of the vector unit to its last beat: the formula of `hw.vector.unit.VectorUnit`."""
    latency, add_latency = _vector_latencies(config)
    words = ceil_div(operation.elements, WORD_ELEMENTS)
    beats = np.full(words, WORD_ELEMENTS // config.post_lanes)
    beats[-1] = ceil_div(operation.elements - (words - 1) * WORD_ELEMENTS, config.post_lanes)
    gathered, left = (np.ravel(part) for part in np.broadcast_arrays(_gathered(operation)[:, np.newaxis], beats))
    paced = np.maximum(gathered[1:], left[:-1]).sum()
    adding = add_latency if operation.kind == Operation.ADD else 0
    return int(latency + adding + gathered[0] + paced + left[-1])


@cache
def _vector_latencies(config: CoreConfig) -> tuple[int, int]:
    """Of the vector unit, and what an addition adds."""
    unit = VectorUnit(config)
    return unit.latency, unit.add_latency


def _gathered(operation: VectorOperation) -> Counts:
    """Words that are read for each word of each output pixel: int64[pixels]."""
    output, source = operation.output, operation.operands[0].map
    rows = operation.rows.inside(output.rows, source.rows)
    columns = operation.columns.inside(output.columns, source.columns)
    return np.outer(rows, columns).ravel() * len(operation.operands)
