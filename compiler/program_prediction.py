"""Predicted cycles of a whole network's program: convolutions, the vector unit, and what arrives and leaves."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
from amaranth.hdl import UnusedElaboratable

from compiler.cycles import LOAD_LATENCY, STORE_LATENCY, Counts, load_cycles, store_cycles, write_latency
from compiler.entries import Entry
from compiler.feature_maps import FeatureMap, ceil_div
from compiler.network_program import NetworkProgram
from compiler.operations import Hold, Load, Store, VectorOperation
from compiler.prediction import DONE_LATENCY, Prediction, WeightStream, run_passes
from compiler.program import TYPICAL_DENSITY, to_stored
from hw.config import CoreConfig
from hw.control.descriptor import Operation
from hw.machine.entry_check import EntryCheck
from hw.machine.program import entry_words
from hw.vector.unit import VectorUnit

ENTRY_LATENCY = EntryCheck.latency + 3
"""From an entry that the core has taken until it sees the next one, on top of that one's words."""
WEIGHT_LATENCY = 3
"""From an entry that the core sees to the first of its weights."""

Stored = Callable[[FeatureMap], npt.NDArray]
"""The stored activations [rows, columns, channels] of a map."""


def predict_program(program: NetworkProgram, tensors: Mapping[str, npt.NDArray]) -> list[Prediction]:
    """Cycles and operations of each entry, as the accelerator counts them in a run from the first layer to the last.

    Entries that load and store are predicted for a host that never keeps them waiting.

    Args:
        program: what runs.
        tensors: of the network, by name, with a batch of 1 (their zeros decide); those in `lowered.maps` are needed.
    """
    return _predict(program, lambda map: stored_map(map, tensors, program.config.core))


def stored_map(map: FeatureMap, tensors: Mapping[str, npt.NDArray], config: CoreConfig) -> npt.NDArray:
    """A feature map as it lies in memory: stored activations [rows, columns, channels]."""
    return to_stored(tensors[map.tensor].reshape(map.shape), map.zero_point, config)


def estimate_program(program: NetworkProgram) -> list[Prediction]:
    """The same for an input that is not known: of every map `TYPICAL_DENSITY` of the activations are not zero."""

    def stored(map: FeatureMap) -> npt.NDArray:
        return (np.random.default_rng(0).random(map.shape) < TYPICAL_DENSITY).astype(np.uint8)

    return _predict(program, stored)


def _predict(program: NetworkProgram, stored: Stored) -> list[Prediction]:
    config = program.config.core
    words = entry_words(config, program.config.program_depth)
    found = []
    offered = start = done = 0
    weights = WeightStream(config)
    for index, entry in enumerate(program.entries):
        if index in (program.layers.start, program.layers.stop):
            # What is loaded and stored takes as long as the host does; the layers are a run of their own.
            weights, offered, start, done = WeightStream(config), 0, 0, 0
        accepted = max(offered, weights.end)
        start = max(done, accepted) + 1
        # Meanwhile the next entry is fetched, if there is one.
        ahead = config.lookahead and index + 1 < program.layers.stop
        weights.interrupted = (start + 1, start + 1 + words) if ahead else (0, 0)
        done, operations = _run(entry, stored, config, start, accepted + WEIGHT_LATENCY, weights)
        found.append(Prediction(done - start, operations))
        offered = (start if config.lookahead else done) + words + ENTRY_LATENCY
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
    if isinstance(operation, Hold):
        return start + len(entry.weights) + DONE_LATENCY, 0
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
    words = ceil_div(operation.elements, config.word_elements)
    beats = np.full(words, config.word_elements // config.post_lanes)
    beats[-1] = ceil_div(operation.elements - (words - 1) * config.word_elements, config.post_lanes)
    gathered, left = (np.ravel(part) for part in np.broadcast_arrays(_gathered(operation)[:, np.newaxis], beats))
    paced = np.maximum(gathered[1:], left[:-1]).sum()
    adding = add_latency if operation.kind == Operation.ADD else 0
    return int(latency + adding + gathered[0] + paced + left[-1])


@cache
def _vector_latencies(config: CoreConfig) -> tuple[int, int]:
    """Of the vector unit, and what an addition adds."""
    with warnings.catch_warnings():
        # It is only asked, and never becomes hardware.
        warnings.simplefilter("ignore", UnusedElaboratable)
        unit = VectorUnit(config)
        latencies = unit.latency, unit.add_latency
        del unit
        gc.collect()
    return latencies


def _gathered(operation: VectorOperation) -> Counts:
    """Words that are read for each word of each output pixel: int64[pixels]."""
    output, source = operation.output, operation.operands[0].map
    rows = operation.rows.inside(output.rows, source.rows)
    columns = operation.columns.inside(output.columns, source.columns)
    return np.outer(rows, columns).ravel() * len(operation.operands)
