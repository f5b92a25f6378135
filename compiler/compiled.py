"""A compiled program as a host has it: the image, and everything that it must know to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compiler.errors import CompilerError
from compiler.feature_maps import MapShape
from compiler.host_steps import HostStep, host_step
from compiler.network_program import NetworkProgram
from compiler.operations import OPERATION_NAMES, Convolve, Store
from compiler.program_prediction import estimate_program
from compiler.transfer import from_packets, packet_bytes, to_packets
from hw.config import AcceleratorConfig
from hw.machine.program import ProgramImage

Arrays = dict[str, npt.NDArray]


@dataclass(frozen=True)
class EntryInfo:
    """An entry of the program.

    Attributes:
        name: of the layer, or `load_...` and `store_...`; operation: name of the `Operation`.
        layers: the network's layers that it computes.
        tensor: that it writes, or stores; empty if it brings weights.
        cycles: predicted, for an input of typical sparsity.
        macs: dense multiply-accumulates.
    """

    name: str
    operation: str
    layers: tuple[str, ...]
    tensor: str
    cycles: int
    macs: int


@dataclass(frozen=True)
class TensorInfo:
    """A tensor that lies in the activation memory.

    Attributes:
        name: in the network; shape: there, for batch 1; scale, zero_point: its quantisation.
        base: word of the activation memory; words: that its buffer has from there on.
        written: the entry after which it is complete.
        store: the entry that stores it, or None if there was no room for one.
        map: rows, columns and channels of what that entry stores.
        first_pixel, first_channel: where the tensor begins in that; pixels, channels: how much of it is the tensor.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    base: int
    words: int
    written: int
    store: int | None
    map: MapShape
    first_pixel: int
    first_channel: int
    pixels: int
    channels: int


@dataclass(frozen=True)
class InputInfo:
    """A tensor that is loaded: `tensor`, by entry `entry`, as a map of this shape."""

    tensor: str
    entry: int
    map: MapShape


@dataclass(frozen=True, eq=False)
class CompiledProgram:
    """A network's program for one accelerator.

    A run is entries 0 to `last`: they load the `inputs` in order, compute, and store what leaves, `run_stores`.
    To look at another tensor, run entries 0 to its `written`, and then the one that stores it alone.

    Attributes:
        network: its name; config: of the accelerator; image: what its program memory must hold.
        entries: all of them.
        tensors: those in the activation memory, by name.
        inputs: in the order of their entries; leaving: names of the tensors that leave in a run.
        takes, gives: inputs and outputs of the network.
        before, after: what the host does with the inputs, and with what leaves, in order.
    """

    network: str
    config: AcceleratorConfig
    image: ProgramImage
    entries: tuple[EntryInfo, ...]
    tensors: dict[str, TensorInfo]
    inputs: tuple[InputInfo, ...]
    leaving: tuple[str, ...]
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    before: tuple[HostStep, ...]
    after: tuple[HostStep, ...]

    @property
    def run_stores(self) -> tuple[int, ...]:
        """The entries of a run that store something, in order."""
        return tuple(sorted({self._store(name) for name in self.leaving}))

    @property
    def last(self) -> int:
        """The last entry of a run."""
        return self.run_stores[-1]

    @property
    def holds(self) -> range:
        """The entries that bring weights which are kept; to run once, before anything else."""
        found = [index for index, entry in enumerate(self.entries) if entry.operation == "HOLD"]
        return range(found[0], found[-1] + 1) if found else range(0)

    @property
    def cycles(self) -> int:
        """Predicted cycles of the layers, without loading and storing."""
        return sum(entry.cycles for entry in self.entries if entry.operation not in ("LOAD", "STORE", "HOLD"))

    def tensor(self, name: str) -> TensorInfo:
        """A tensor in the activation memory; raises CompilerError if there is none called `name`."""
        if name not in self.tensors:
            raise CompilerError(
                f"{self.network}: tensor {name!r} is not in the activation memory; these are: {', '.join(self.tensors)}"
            )
        return self.tensors[name]

    def _store(self, name: str) -> int:
        store = self.tensor(name).store
        if store is None:
            raise CompilerError(
                f"{self.network}: the program has no entry that stores {name!r}: raise max_entries or program_depth"
            )
        return store

    def packets(self, values: Mapping[str, npt.NDArray]) -> list[bytes]:
        """What a run loads: the packets of each input, in order, from inputs of the network for batch 1.

        Raises:
            CompilerError: an input is missing, or not of its shape.
        """
        tensors = dict(values)
        for name in self.takes:
            if name not in tensors:
                raise CompilerError(f"{self.network}: its input {name!r} was not given")
        for step in self.before:
            tensors[step.output] = step.run(tensors[step.input])
        return [self.input_packets(source, tensors[source.tensor]) for source in self.inputs]

    def input_packets(self, source: InputInfo, values: npt.NDArray) -> bytes:
        """The packets of one loaded tensor, from its int8 values."""
        tensor = self.tensors[source.tensor]
        if values.dtype != np.int8 or values.size != np.prod(tensor.shape):
            raise CompilerError(
                f"{self.network}: {tensor.name!r} is {values.dtype}{list(values.shape)}, but must be "
                f"int8{list(tensor.shape)}"
            )
        return to_packets(values, source.map, tensor.zero_point, self.config.core)

    def stored_bytes(self, name: str) -> int:
        """Bytes of the packets that the entry which stores a tensor gives."""
        rows, columns, channels = self.tensor(name).map
        return rows * packet_bytes(columns, channels, self.config.core)

    def values(self, name: str, packets: bytes) -> npt.NDArray:
        """A tensor for batch 1 from the packets of the entry that stores it.

        Raises:
            CompilerError: they are more or fewer bytes than `stored_bytes`.
        """
        tensor = self.tensor(name)
        stored = from_packets(packets, tensor.map, tensor.zero_point, self.config.core)
        pixels = slice(tensor.first_pixel, tensor.first_pixel + tensor.pixels)
        channels = slice(tensor.first_channel, tensor.first_channel + tensor.channels)
        return stored.reshape(-1, tensor.map[2])[pixels, channels].reshape(tensor.shape)

    def outputs(self, stored: Mapping[int, bytes]) -> Arrays:
        """The network's outputs for batch 1, by name, from the packets of each of the `run_stores`."""
        tensors = {name: self.values(name, stored[self._store(name)]) for name in self.leaving}
        for step in self.after:
            tensors[step.output] = step.run(tensors[step.input])
        return {name: tensors[name] for name in self.gives}


def describe_program(program: NetworkProgram) -> CompiledProgram:
    """What a host must know of a program."""
    network, graph = program.network, program.lowered.graph
    steps = {layer.name: layer for layer in network.layers}
    return CompiledProgram(
        network=network.name,
        config=program.config,
        image=program.image,
        entries=tuple(_entry_info(program)),
        tensors={name: _tensor_info(program, name) for name in program.lowered.maps},
        inputs=tuple(InputInfo(name, i, program.lowered.maps[name].shape) for i, name in enumerate(graph.inputs)),
        leaving=graph.leaving,
        takes=network.inputs,
        gives=network.outputs,
        before=tuple(host_step(steps[name], network) for name in graph.host.before),
        after=tuple(host_step(steps[name], network) for name in graph.host.after),
    )


def _entry_info(program: NetworkProgram) -> list[EntryInfo]:
    estimates = estimate_program(program)
    found = []
    for entry, estimate in zip(program.entries, estimates, strict=True):
        operation = entry.operation
        written = operation.input if isinstance(operation, Store) else operation.output
        found.append(
            EntryInfo(
                name=operation.name,
                operation=OPERATION_NAMES[int(operation.kind)],
                layers=operation.layers,
                tensor="" if written is None else written.tensor,
                cycles=estimate.cycles,
                macs=operation.conv.macs if isinstance(operation, Convolve) else 0,
            )
        )
    return found


def _tensor_info(program: NetworkProgram, name: str) -> TensorInfo:
    tensor, lying = program.network.tensors[name], program.lowered.maps[name]
    stored = program.lowered.stored_with(name)
    return TensorInfo(
        name=name,
        shape=tuple(int(size) for size in tensor.shape),
        scale=tensor.scale,
        zero_point=lying.zero_point,
        base=program.memory.bases[lying.buffer],
        words=program.memory.words[lying.buffer],
        written=program.written_by[name],
        store=program.stores.get(name),
        map=stored.shape,
        first_pixel=(lying.offset - stored.offset) // lying.pixel_words,
        first_channel=lying.first_channel - stored.first_channel,
        pixels=lying.rows * lying.columns,
        channels=lying.channels,
    )
