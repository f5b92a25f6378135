"""Predicted cycles of a run of layers: passes one after another, weights that stream in behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from compiler.csc_cycles import pass_cycles
from compiler.csc_shape import pass_shape
from compiler.cycles import Counts, PassSimulation, load_cycles, store_cycles, unit_costs
from compiler.mapping import block_cycles, ceil_div
from compiler.program import LayerProgram
from compiler.rsnn_cycles import RsnnPass
from hw.config import CoreConfig

DONE_LATENCY = 1
"""From the end of a pass to the state in which the next one may begin."""


@dataclass(frozen=True)
class Prediction:
    """Predicted `cycles` from start to done, and `operations` that enter the array (as `LayerReport` counts them)."""

    cycles: int
    operations: int


@dataclass
class WeightStream:
    """When the weights of each pass are in memory: one beat a cycle, two passes held, one ring for both.

    `interrupted`: from when until when the memory that the weights come from does something else.
    """

    config: CoreConfig
    end: int = 0
    interrupted: tuple[int, int] = (0, 0)
    words: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)

    def load(self, earliest: int, words: int, blocks: int, channel_groups: int = 0, rounds: int = 1) -> int:
        """The cycle in which a pass is loaded whose predecessors have all been released, in the order of loading.

        Args:
            words: of a block; blocks: of maps; channel_groups: that hold one block each, before any holds another
                (0: all are held side by side); rounds: that a pass has room for.
        """
        block = block_cycles(words, self.config)
        cycles = blocks * block
        begin = max(self.end, earliest)
        if len(self.words) >= 2:
            begin = max(begin, self.released[-2])
        self.end = begin + cycles
        if self.words:
            room = self.config.weight_depth - self.words[-1]
            if words * rounds > room:
                held = min(room // words * channel_groups, blocks - 1)
                before = held * block + block_cycles(room % words, self.config)
                self.end = max(self.end, self.released[-1] + cycles - before)
        first, last = self.interrupted
        if begin < last and self.end > first:
            self.end += last - max(begin, first)
        self.words.append(words * rounds)
        return self.end


def predict_run(
    layers: Sequence[tuple[LayerProgram, npt.NDArray, npt.NDArray]], config: CoreConfig
) -> list[Prediction]:
    """Cycles and operations of layers that run one after another on one core, all streams always ready.

    Args:
        layers: for each its program and its input and output tensor for batch 1 (their zeros decide).
    """
    weights = WeightStream(config)
    predictions = []
    start = 0
    taken = 0
    for program, tensor, output in layers:
        accepted = max(taken, weights.end)
        start = max(start, accepted) + 1
        done, operations = _run_layer(program, tensor, output, start, accepted, weights)
        predictions.append(Prediction(done - start, operations))
        taken, start = start, done
    return predictions


def _run_layer(
    program: LayerProgram,
    tensor: npt.NDArray,
    output: npt.NDArray,
    start: int,
    accepted: int,
    weights: WeightStream,
) -> tuple[int, int]:
    """When a layer is done that starts at `start`, and its operations. Its weights may come from `accepted` on."""
    stored, outputs = program.stored_input(tensor), program.stored_output(output)
    load = load_cycles(stored, program.config, program.sparse_input)
    leaving = program.received_channels()

    def store(index: int) -> Counts | None:
        if program.mapping.merged and index < program.mapping.passes - 1:
            return None
        channels = leaving[0] if program.mapping.merged else leaving[index]
        return store_cycles(outputs[:, :, channels], program.config, program.sparse_output)

    return run_passes(program, stored, start, accepted, weights, load, store)


def run_passes(
    program: LayerProgram,
    stored: npt.NDArray,
    start: int,
    accepted: int,
    weights: WeightStream,
    load: Counts | None = None,
    store: Callable[[int], Counts | None] = lambda index: None,
) -> tuple[int, int]:
    """When a convolution is done that starts at `start`, and its operations.

    Args:
        program: what runs; stored: its stored input [rows, columns, channels].
        start, accepted: when it starts, and from when on its weights may come; weights: what came before.
        load: cycles in which each row arrives (None: all are in memory); store: the same of the rows that leave in
            a pass.
    """
    if program.mapping.run:
        return _run_csc(program, start, accepted, weights)
    if program.mapping.sparse is not None:
        return _run_rsnn(program, start, accepted, weights, load, store(program.mapping.passes - 1))
    conv, mapping, config = program.conv, program.mapping, program.config
    costs = unit_costs(conv, mapping, stored, config.word_elements, one_by_one=config.fetch_depth == 1)
    arriving = np.zeros(len(stored), np.int64) if load is None else load
    now = start
    for index in range(mapping.passes):
        blocks = mapping.blocks_of_pass(index, conv.maps, config.lanes)
        now = max(now, weights.load(accepted, 0 if program.kept is not None else conv.map_weights, blocks))
        collect = ceil_div(mapping.maps_of_pass(index, conv.maps), config.post_lanes)
        simulation = PassSimulation(conv, mapping, config, costs, arriving, collect, store(index))
        loads = load is not None and (index == 0 or not mapping.resident)
        now = simulation.run(now, loads=loads) + DONE_LATENCY
        weights.released.append(now)
    return now, int(costs.operations.sum()) * mapping.passes


def _run_csc(program: LayerProgram, start: int, accepted: int, weights: WeightStream) -> tuple[int, int]:
    """The same on the csc dataflow, where nothing depends on the input."""
    mapping, config = program.mapping, program.config
    now, operations = start, 0
    for index in range(mapping.passes):
        shape = pass_shape(program.conv, mapping, config, index)
        words = 0 if program.kept is not None else shape.block_words
        now = max(now, weights.load(accepted, words, shape.blocks, mapping.channel_groups, mapping.rounds))
        now += pass_cycles(shape, config) + DONE_LATENCY
        weights.released.append(now)
        operations += shape.operations(config)
    return now, operations


def _run_rsnn(
    program: LayerProgram,
    start: int,
    accepted: int,
    weights: WeightStream,
    load: Counts | None,
    store: Counts | None,
) -> tuple[int, int]:
    """The same of a layer of the rsnn dataflow: its input arrives in the first pass, its output leaves in the last."""
    conv, mapping, config = program.conv, program.mapping, program.config
    assert mapping.sparse is not None
    now = start
    for index in range(mapping.passes):
        now = max(now, weights.load(accepted, 0 if program.kept is not None else mapping.sparse.words, config.groups))
        arriving = load if index == 0 else None
        leaving = store if index == mapping.passes - 1 else None
        now = RsnnPass(conv, mapping, config, index, arriving, leaving).run(now) + DONE_LATENCY
        weights.released.append(now)
    return now, mapping.sparse.operations
