"""A whole network as one program: entries, memory and image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from compiler.entries import Entry, Locate, hold_entry, locator, make_entry
from compiler.errors import CompilerError
from compiler.feature_maps import FeatureMap
from compiler.image import make_image, room_for_more
from compiler.lowering import Lowered, lower
from compiler.memory import MemoryPlan, plan_memory
from compiler.operations import Store
from hw.config import AcceleratorConfig, CoreConfig
from hw.machine.program import ProgramImage
from models.network import Network


@dataclass(frozen=True, eq=False)
class NetworkProgram:
    """A network compiled for an accelerator.

    Attributes:
        network, config: what for what.
        lowered: its operations and where its tensors are; memory: where its buffers lie.
        entries: in the order of the program: `Load` of each input, the layers, `Store` of each tensor that leaves, then
            of the other tensors in memory, as far as the accelerator has room for them; and what brings weights that
            are kept.
        image: what the program memory holds.
    """

    network: Network
    config: AcceleratorConfig
    lowered: Lowered
    memory: MemoryPlan
    entries: tuple[Entry, ...]
    image: ProgramImage

    @property
    def layers(self) -> range:
        """The entries between loading and storing."""
        return range(len(self.lowered.graph.inputs), len(self.lowered.operations))

    @cached_property
    def stores(self) -> dict[str, int]:
        """The entry that stores each tensor that has one, by the tensor's name."""
        found = {
            entry.operation.input.tensor: index
            for index, entry in enumerate(self.entries)
            if isinstance(entry.operation, Store)
        }
        whole = {name: self.lowered.stored_with(name).tensor for name in self.lowered.maps}
        return {name: found[stored] for name, stored in whole.items() if stored in found}

    @cached_property
    def written_by(self) -> dict[str, int]:
        """The last entry that writes each tensor in memory, by its name: after it, the tensor can be stored."""
        written: dict[str, int] = {}
        for name, lying in self.lowered.maps.items():
            for index, operation in enumerate(self.lowered.operations):
                if operation.output is not None and _overlap(operation.output, lying):
                    written[name] = index
        return written


def _overlap(first: FeatureMap, second: FeatureMap) -> bool:
    """Whether two maps have elements in common."""
    if first.buffer != second.buffer:
        return False
    words = first.offset < second.offset + second.words and second.offset < first.offset + first.words
    return words and first.first_channel < second.end_channel and second.first_channel < first.end_channel


def _stores(lowered: Lowered) -> tuple[list[Store], list[Store]]:
    """A `Store` for each map that leaves, and for each other one; a map that begins inside a word has none."""
    graph = lowered.graph
    names = {layer.output: layer.name for layer in graph.layers}
    names |= {name: f"load_{index}" for index, name in enumerate(graph.inputs)}
    leaving = dict.fromkeys(lowered.stored_with(name).tensor for name in graph.leaving)
    others = dict.fromkeys(lowered.stored_with(name).tensor for name in lowered.maps)
    first, second = (
        [Store(f"store_{names[name]}", lowered.maps[name]) for name in found]
        for found in (leaving, [name for name in others if name not in leaving])
    )
    return first, second


def _with_kept_weights(name: str, lowered: Lowered, locate: Locate, config: CoreConfig) -> list[Entry]:
    """The entries of the operations, the weights of each in a place of its own, one behind the other."""
    # What they take does not depend on the place.
    layers = [make_entry(operation, locate, config, kept=0).layer for operation in lowered.operations]
    ends = list(accumulate(0 if layer is None else layer.memory_words for layer in layers))
    words = ends[-1]
    if words > config.weight_depth:
        raise CompilerError(
            f"{name}: its weights take {words:,} words of each group's weight memory, but weight_depth of this "
            f"configuration is {config.weight_depth:,}: raise it to {1 << (words - 1).bit_length():,}, or let them "
            "stream in"
        )
    starts = [0, *ends[:-1]]
    return [
        make_entry(operation, locate, config, kept=start)
        for operation, start in zip(lowered.operations, starts, strict=True)
    ]


def compile_network(network: Network, config: AcceleratorConfig, *, keep_weights: bool = False) -> NetworkProgram:
    """Compile a network for an accelerator.

    Args:
        keep_weights: all weights stay in the weight memories, brought there once by entries at the end of the program;
            a run takes no others then but its parameters.

    Raises:
        CompilerError: a layer that does not run on it, or a memory that is too small; one line that says what to do.
    """
    lowered = lower(network, config.core)
    kept = dict.fromkeys(lowered.maps[name].buffer for name in lowered.graph.leaving)
    memory = plan_memory(network.name, lowered.operations, lowered.buffers, kept, config.core)
    locate = locator(memory.bases)
    outputs, others = _stores(lowered)
    if keep_weights:
        needed = _with_kept_weights(network.name, lowered, locate, config.core)
    else:
        needed = [make_entry(operation, locate, config.core) for operation in lowered.operations]
    holds = [hold_entry(entry.layer) for entry in needed if keep_weights and entry.layer is not None]
    needed += [make_entry(store, locate, config.core) for store in outputs]
    room = max(0, room_for_more([*needed, *holds], config))
    entries = (*needed, *(make_entry(store, locate, config.core) for store in others[:room]), *holds)
    image = make_image(network.name, entries, config)
    return NetworkProgram(network, config, lowered, memory, entries, image)
