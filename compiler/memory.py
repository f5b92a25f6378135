"""Planning the activation memory: which words each buffer has, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from compiler.errors import CompilerError
from compiler.feature_maps import Buffer
from compiler.operations import HardwareOperation, Load, VectorOperation
from hw.config import CoreConfig


@dataclass(frozen=True)
class Lifetime:
    """Operations from the first that writes a buffer to the last that reads or writes it, both included."""

    first: int
    last: int

    def overlaps(self, other: Lifetime) -> bool:
        """Whether there is an operation during which both live."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Region:
    """A run of words in use: the buffers that have it one after another, and all their lifetimes together."""

    buffers: tuple[str, ...]
    words: int
    lifetime: Lifetime


@dataclass(frozen=True)
class MemoryPlan:
    """Where the buffers lie.

    Attributes:
        bases: first word of each buffer, by name; words: its length; lifetimes: by name.
        peak: words from the start of the memory to the end of what lies furthest; capacity: words of the memory.
    """

    bases: dict[str, int]
    words: dict[str, int]
    lifetimes: dict[str, Lifetime]
    peak: int
    capacity: int


def lifetimes(
    operations: Sequence[HardwareOperation], buffers: Mapping[str, Buffer], kept: Iterable[str]
) -> dict[str, Lifetime]:
    """When each buffer lives.

    Args:
        operations: in order.
        buffers: by name.
        kept: buffers that are read when all operations are done.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, operation in enumerate(operations):
        written = [] if operation.output is None else [operation.output]
        for map in (*operation.reads, *written):
            # All inputs arrive before the first layer runs, so they may not take a place that is used before.
            first.setdefault(map.buffer, 0 if isinstance(operation, Load) else index)
            last[map.buffer] = index
    last |= dict.fromkeys(kept, len(operations))
    return {name: Lifetime(first[name], last[name]) for name in buffers}


def _in_place(operation: VectorOperation, buffers: Mapping[str, Buffer], lives: Mapping[str, Lifetime]) -> str | None:
    """The buffer of an operand whose place the output may take, word by word.

    Each word of the output is written after the same word of the operands was read, and no other word needs that.
    """
    output = operation.output
    begins = lives[output.buffer].first
    for map in operation.reads:
        aligned = map.pixel_words == output.pixel_words and map.offset == output.offset == 0
        whole = map.first_channel == output.first_channel == 0 and map.shape == output.shape
        same = buffers[map.buffer].words == buffers[output.buffer].words == map.words
        if map.buffer != output.buffer and aligned and whole and same and lives[map.buffer].last == begins:
            return map.buffer
    return None


def regions(
    operations: Sequence[HardwareOperation],
    buffers: Mapping[str, Buffer],
    lives: Mapping[str, Lifetime],
    *,
    reuse: bool,
) -> list[Region]:
    """The buffers; with `reuse`, an output of an element-wise operation takes the place of an operand."""
    chains: dict[str, list[str]] = {name: [name] for name in buffers}
    for operation in operations if reuse else ():
        if isinstance(operation, VectorOperation) and operation.element_wise:
            operand = _in_place(operation, buffers, lives)
            if operand is not None and chains[operation.output.buffer] == [operation.output.buffer]:
                chains[operand].append(operation.output.buffer)
                chains[operation.output.buffer] = chains[operand]
    distinct = {id(chain): chain for chain in chains.values()}.values()
    return [
        Region(tuple(chain), buffers[chain[0]].words, Lifetime(lives[chain[0]].first, lives[chain[-1]].last))
        for chain in distinct
    ]


def _pack(order: Sequence[Region]) -> dict[Region, int]:
    """Each region in turn in the smallest gap among those that live with it, or behind them."""
    placed: dict[Region, int] = {}
    for region in order:
        neighbours = sorted(
            (base, base + other.words) for other, base in placed.items() if other.lifetime.overlaps(region.lifetime)
        )
        best, best_gap, end = None, 0, 0
        for base, stop in neighbours:
            gap = base - end
            if gap >= region.words and (best is None or gap < best_gap):
                best, best_gap = end, gap
            end = max(end, stop)
        placed[region] = end if best is None else best
    return placed


def _orders(found: Sequence[Region]) -> list[list[Region]]:
    """Orders worth trying: the largest first, the longest-lived of the largest first, the earliest first."""

    def length(region: Region) -> int:
        return region.lifetime.last - region.lifetime.first

    keys = (
        lambda region: (-region.words, region.lifetime.first, region.buffers),
        lambda region: (-region.words * (length(region) + 1), region.lifetime.first, region.buffers),
        lambda region: (region.lifetime.first, -region.words, region.buffers),
        lambda region: (-length(region), -region.words, region.buffers),
    )
    return [sorted(found, key=key) for key in keys]


def plan_memory(
    name: str,
    operations: Sequence[HardwareOperation],
    buffers: Mapping[str, Buffer],
    kept: Iterable[str],
    config: CoreConfig,
) -> MemoryPlan:
    """Give each buffer its words, so that no two that live at the same time share one.

    Args:
        name: of the network.
        operations, buffers, kept: as for `lifetimes`.
        config: of the core.

    Raises:
        CompilerError: they do not fit; names those that lie in memory at the worst moment, and their bytes.
    """
    lives = lifetimes(operations, buffers, kept)
    best: tuple[int, dict[Region, int]] | None = None
    for reuse in (True, False):
        for order in _orders(regions(operations, buffers, lives, reuse=reuse)):
            placed = _pack(order)
            peak = max(base + region.words for region, base in placed.items())
            if best is None or peak < best[0]:
                best = peak, placed
    assert best is not None  # there is at least one buffer
    peak, placed = best
    if peak > config.activation_words:
        raise CompilerError(_too_large(name, peak, operations, buffers, lives, config))
    return MemoryPlan(
        bases={buffer: base for region, base in placed.items() for buffer in region.buffers},
        words={buffer.name: buffer.words for buffer in buffers.values()},
        lifetimes=lives,
        peak=peak,
        capacity=config.activation_words,
    )


def _too_large(
    name: str,
    peak: int,
    operations: Sequence[HardwareOperation],
    buffers: Mapping[str, Buffer],
    lives: Mapping[str, Lifetime],
    config: CoreConfig,
) -> str:
    word_bytes = config.word_elements * config.activation_bits // 8

    def held(index: int) -> list[Buffer]:
        now = Lifetime(index, index)
        return [buffer for buffer in buffers.values() if lives[buffer.name].overlaps(now)]

    worst = max(range(len(operations)), key=lambda index: sum(buffer.words for buffer in held(index)))
    tensors = ", ".join(f"{buffer.name!r} ({buffer.words * word_bytes:,} bytes)" for buffer in held(worst))
    depth = 1 << (-(-peak // config.activation_banks) - 1).bit_length()
    return (
        f"{name}: its tensors need {peak * word_bytes:,} bytes of activation memory, but this configuration has "
        f"{config.activation_words * word_bytes:,}; while {operations[worst].name} runs these are there: {tensors}: "
        f"raise activation_depth to {depth}"
    )
