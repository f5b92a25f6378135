"""The plan of a program, for people: what runs when and how, and what lies where in the activation memory."""

from __future__ import annotations

from typing import Any

from compiler.compiled import CompiledProgram
from compiler.entries import Entry
from compiler.network_program import NetworkProgram
from compiler.operations import OPERATION_NAMES, Store, VectorOperation
from hw.config import CoreConfig


def plan_rows(program: NetworkProgram, compiled: CompiledProgram) -> list[dict[str, Any]]:
    """One record for each entry of a run.

    `name`, `operation` and `layers` of the entry; `input` and `output`: rows, columns and channels (None: by stream);
    `dataflow`: that feeds the array, `split`: how the groups share the work, "channel groups x space groups", and
    `passes` over the input (empty for all but convolutions); `weights`: bytes of weights and parameters; `macs`: dense
    multiply-accumulates; `cycles`: predicted for an input of typical sparsity; `live_bytes`: of the tensors that lie in
    memory meanwhile.
    """
    infos = compiled.entries[: compiled.last + 1]
    rows = []
    for index, (entry, info) in enumerate(zip(program.entries, infos, strict=False)):
        operation = entry.operation
        rows.append(
            {
                "name": info.name,
                "operation": info.operation,
                "layers": list(info.layers),
                "input": list(operation.reads[0].shape) if operation.reads else None,
                "output": list(operation.output.shape) if operation.output is not None else None,
                **_mapping(entry),
                "weights": int(entry.weights.size),
                "macs": info.macs,
                "cycles": info.cycles,
                "live_bytes": _live_words(program, index) * word_bytes(program.config.core),
            }
        )
    return rows


def _mapping(entry: Entry) -> dict[str, Any]:
    if entry.layer is None:
        return {"dataflow": "", "split": "", "passes": 0}
    mapping = entry.layer.mapping
    return {
        "dataflow": mapping.dataflow,
        "split": f"{mapping.channel_groups} x {mapping.space_groups}",
        "passes": mapping.passes,
    }


def word_bytes(config: CoreConfig) -> int:
    """Bytes of an activation word."""
    return config.word_elements * config.activation_bits // 8


def _live_words(program: NetworkProgram, index: int) -> int:
    """Words of all buffers that live while an entry runs; what takes the place of an operand is counted once."""
    memory = program.memory
    places = {
        (memory.bases[name], memory.words[name])
        for name, life in memory.lifetimes.items()
        if life.first <= index <= life.last
    }
    return sum(words for _, words in places)


def memory_rows(program: NetworkProgram) -> list[dict[str, Any]]:
    """One record for each buffer of the activation memory, by its first word.

    `tensor`: that fills it; `made_by`: entry that writes it (of several, the first); `first_word`, `words`, `bytes`;
    `lives`: names of the entries from the first to the last that needs it.
    """
    memory = program.memory
    names = [entry.operation.name for entry in program.entries]
    rows = []
    for name in sorted(memory.bases, key=lambda name: (memory.bases[name], memory.lifetimes[name].first)):
        life = memory.lifetimes[name]
        writers = [
            entry.operation.name
            for entry in program.entries
            if entry.operation.output is not None and entry.operation.output.buffer == name
        ]
        rows.append(
            {
                "tensor": name,
                "made_by": writers[0],
                "first_word": memory.bases[name],
                "words": memory.words[name],
                "bytes": memory.words[name] * word_bytes(program.config.core),
                "lives": [names[life.first], names[life.last]],
            }
        )
    return rows


def summary(program: NetworkProgram, compiled: CompiledProgram) -> dict[str, Any]:
    """The sums: activation memory at its fullest, program memory, entries, cycles of the layers; each with its limit.

    All memory in bytes. `kinds`: how many entries of a run do each operation.
    """
    config, memory = program.config, program.memory
    kinds: dict[str, int] = {}
    for entry in program.entries[: compiled.last + 1]:
        kind = OPERATION_NAMES[int(entry.operation.kind)]
        kinds[kind] = kinds.get(kind, 0) + 1
    return {
        "network": program.network.name,
        "groups": config.core.groups,
        "lanes": config.core.lanes,
        "fingerprint": config.fingerprint,
        "kinds": kinds,
        "activation_bytes": memory.peak * word_bytes(config.core),
        "activation_capacity": memory.capacity * word_bytes(config.core),
        "program_bytes": len(program.image.data),
        "program_capacity": config.program_bytes,
        "entries": len(program.entries),
        "entry_capacity": config.max_entries,
        "stored": sum(isinstance(entry.operation, Store) for entry in program.entries),
        "vector": sum(isinstance(entry.operation, VectorOperation) for entry in program.entries),
        "cycles": compiled.cycles,
        "macs": sum(info.macs for info in compiled.entries),
    }
