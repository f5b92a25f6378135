"""Program files: a compiled program on disk, whole or not at all.

Layout, all numbers little-endian::

    8 bytes   MAGIC
    2 bytes   VERSION of the format
    2 bytes   0
    4 bytes   length of the header
    4 bytes   length of the image
              header: JSON, UTF-8
              image: what the program memory holds
    32 bytes  SHA-256 of everything before
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from compiler.compiled import CompiledProgram, EntryInfo, InputInfo, TensorInfo
from compiler.host_steps import HostStep
from hw.config import AcceleratorConfig, ConfigurationError, CoreConfig
from hw.machine.program import ProgramImage
from models.errors import SkipstoneError
from models.files import write_atomically

MAGIC = b"SKIPPRG\x1a"
"""The control character stops a terminal from printing the rest, and shows if a file was copied as text."""

VERSION = 1
_PREFIX = struct.Struct("<8sHHII")
_DIGEST = hashlib.sha256().digest_size


class ProgramFileError(SkipstoneError):
    """A program file that cannot be read or written; names it and what to do."""


def write_program(program: CompiledProgram, path: Path) -> None:
    """Write a program file; raises ProgramFileError if it cannot be written, and leaves nothing behind then."""
    try:
        write_atomically(path, program_bytes(program))
    except OSError as error:
        raise ProgramFileError(f"{path}: cannot be written: {error.strerror}") from None


def read_program(path: Path) -> CompiledProgram:
    """Read a program file.

    Raises:
        ProgramFileError: it cannot be read, is no program file, of a newer version, cut off, or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ProgramFileError(f"{path}: cannot be read: {error.strerror}") from None
    return program_from_bytes(content, str(path))


def program_bytes(program: CompiledProgram) -> bytes:
    """The content of a program file."""
    header = json.dumps(_header(program), separators=(",", ":")).encode()
    image = program.image.data
    body = _PREFIX.pack(MAGIC, VERSION, 0, len(header), len(image)) + header + image
    return body + hashlib.sha256(body).digest()


def program_from_bytes(content: bytes, name: str) -> CompiledProgram:
    """The program in the content of the file called `name`; raises ProgramFileError as `read_program`."""
    again = "compile the network again with `skipstone compile`"
    if not content.startswith(MAGIC):
        raise ProgramFileError(f"{name}: not a program of Skipstone: make one with `skipstone compile`")
    if len(content) < _PREFIX.size:
        raise ProgramFileError(f"{name}: cut off after {len(content)} bytes: {again}")
    _, version, _, header_length, image_length = _PREFIX.unpack_from(content)
    if version != VERSION:
        age = "newer than" if version > VERSION else "older than"
        raise ProgramFileError(
            f"{name}: a program file of version {version}, {age} version {VERSION}, which this Skipstone reads: {again}"
        )
    length = _PREFIX.size + header_length + image_length + _DIGEST
    if len(content) != length:
        fault = "cut off after" if len(content) < length else "longer than it should be,"
        raise ProgramFileError(f"{name}: {fault} {len(content)} bytes of {length}: {again}")
    body, digest = content[:-_DIGEST], content[-_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        raise ProgramFileError(f"{name}: damaged, its checksum is wrong: {again}")
    header = body[_PREFIX.size : _PREFIX.size + header_length]
    try:
        return _program(json.loads(header), body[_PREFIX.size + header_length :])
    except (ValueError, KeyError, TypeError, SkipstoneError, ConfigurationError) as error:
        raise ProgramFileError(f"{name}: its header makes no sense ({error}): {again}") from None


def _header(program: CompiledProgram) -> dict[str, Any]:
    config = program.config
    return {
        "network": program.network,
        "fingerprint": config.fingerprint,
        "accelerator": {**asdict(config), "core": config.core.as_dict()},
        "entries": [asdict(entry) for entry in program.entries],
        "tensors": [asdict(tensor) for tensor in program.tensors.values()],
        "inputs": [asdict(source) for source in program.inputs],
        "leaving": program.leaving,
        "takes": program.takes,
        "gives": program.gives,
        "before": [step.as_dict() for step in program.before],
        "after": [step.as_dict() for step in program.after],
    }


def _made(kind: type, values: dict[str, Any]) -> Any:
    """A record from its fields; lists become tuples."""
    names = {field.name for field in fields(kind)}
    if set(values) != names:
        raise ValueError(f"{kind.__name__} has the fields {', '.join(sorted(names))}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _program(header: dict[str, Any], image: bytes) -> CompiledProgram:
    accelerator = dict(header["accelerator"])
    config = AcceleratorConfig(**{**accelerator, "core": CoreConfig(**accelerator["core"])})
    if config.fingerprint != header["fingerprint"]:
        raise ValueError("its fingerprint is not that of its configuration")
    tensors = [_made(TensorInfo, values) for values in header["tensors"]]
    return CompiledProgram(
        network=header["network"],
        config=config,
        image=ProgramImage(image, len(header["entries"])),
        entries=tuple(_made(EntryInfo, values) for values in header["entries"]),
        tensors={tensor.name: tensor for tensor in tensors},
        inputs=tuple(_made(InputInfo, values) for values in header["inputs"]),
        leaving=tuple(header["leaving"]),
        takes=tuple(header["takes"]),
        gives=tuple(header["gives"]),
        before=tuple(HostStep.from_dict(step) for step in header["before"]),
        after=tuple(HostStep.from_dict(step) for step in header["after"]),
    )


def check_accelerator(program: CompiledProgram, config: AcceleratorConfig) -> None:
    """Refuse a program for another accelerator.

    Raises:
        ProgramFileError: names the parameters that differ, and both values.
    """
    if program.config.fingerprint == config.fingerprint:
        return
    wanted, there = ({**c.core.as_dict(), "program_depth": c.program_depth} for c in (program.config, config))
    different = [f"{name} {wanted[name]}, not {there[name]}" for name in wanted if wanted[name] != there[name]]
    raise ProgramFileError(
        f"the program of {program.network} is for an accelerator with {', '.join(different)}: compile the network "
        "for this one"
    )
