"""What a core is fed and what it answers: the beats of its streams for a run of layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compiler.program import LayerProgram, from_stored
from hw.config import CoreConfig
from hw.control.sequencer import LayerReport
from models.sparsity import Beats, CodecError, encode_beats, from_beats
from sim.harness import payload


@dataclass(frozen=True, eq=False)
class LayerJob:
    """A layer to run: its program, its true input and the output it must give (quantised tensors for batch 1)."""

    program: LayerProgram
    input: npt.NDArray
    expected: npt.NDArray


def input_beats(job: LayerJob) -> Beats:
    """The packets that the layer's input travels as, for every time that it is loaded."""
    program = job.program
    stored = program.stored_input(job.input)
    config = program.config
    flat = stored.reshape(len(stored), -1)
    once = encode_beats(flat, config.activation_bits, config.stream_units, sparse=program.sparse_input)
    loads = program.mapping.loads
    return Beats(np.tile(once.data, (loads, 1)), np.tile(once.last, loads))


def expected_beats(job: LayerJob) -> Beats:
    """The packets that the layer's output must travel as."""
    program, config = job.program, job.program.config
    stored = program.stored_output(job.expected)
    parts = [
        encode_beats(
            stored[:, :, channels].reshape(len(stored), -1),
            config.activation_bits,
            config.stream_units,
            sparse=program.sparse_output,
        )
        for channels in program.received_channels()
    ]
    return Beats(np.concatenate([p.data for p in parts]), np.concatenate([p.last for p in parts]))


def to_rows(beats: Iterable[Beats]) -> payload.Rows:
    """Beats of feature maps as the bench plays them: rows of bytes, the `last` flag in the byte after the data."""
    return np.concatenate([np.column_stack([part.data, part.last.astype(np.uint8)]) for part in beats])


def from_rows(rows: payload.Rows) -> Beats:
    """Recorded beats of feature maps."""
    return Beats(np.ascontiguousarray(rows[:, :-1]), rows[:, -1].astype(bool))


def core_inputs(jobs: Sequence[LayerJob]) -> dict[str, object]:
    """The beats of every input stream of a core, for a run of layers."""
    return {
        "layers": [job.program.descriptor for job in jobs],
        "weights": np.concatenate([job.program.weights for job in jobs]),
        "features_in": to_rows(input_beats(job) for job in jobs),
    }


def split_layers(jobs: Sequence[LayerJob], beats: Beats) -> list[Beats]:
    """The output beats of each layer; packets that are missing at the end make the last ones short."""
    ends = np.concatenate([[0], beats.ends])
    parts, at = [], 0
    for job in jobs:
        packets = job.program.mapping.stores * job.program.conv.output_size[0]
        first, last = (int(ends[min(i, len(ends) - 1)]) for i in (at, at + packets))
        parts.append(Beats(beats.data[first:last], beats.last[first:last]))
        at += packets
    return parts


def decode_output(program: LayerProgram, beats: Beats, config: CoreConfig) -> npt.NDArray:
    """The output tensor [rows, columns, maps] that a core sent.

    Raises:
        CodecError: the packets are not those of this layer.
    """
    conv = program.conv
    rows, columns = conv.output_size
    parts = []
    for index, channels in enumerate(program.received_channels()):
        count = channels.stop - channels.start
        wanted = np.arange(index * rows, (index + 1) * rows)
        if len(beats.ends) <= wanted[-1]:
            raise CodecError(f"{len(beats.ends)} packets came, {rows * program.mapping.stores} are due")
        stored = from_beats(beats.select(wanted), columns * count, config.activation_bits, sparse=program.sparse_output)
        parts.append(stored.reshape(rows, columns, count))
    return from_stored(np.concatenate(parts, axis=2), conv.output_zero_point, config)


def reports(values: Sequence[int]) -> list[dict[str, int]]:
    """The fields of recorded `LayerReport`s."""
    return [payload.unpack(LayerReport(), value) for value in values]
