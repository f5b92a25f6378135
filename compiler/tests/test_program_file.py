"""Program files: what is written is read again, and what is no whole program file is refused in one line."""

import struct
from dataclasses import fields, replace

import numpy as np
import pytest

from compiler.compiled import CompiledProgram, describe_program
from compiler.network_program import compile_network
from compiler.program_file import (
    MAGIC,
    VERSION,
    ProgramFileError,
    check_accelerator,
    program_bytes,
    program_from_bytes,
    read_program,
    write_program,
)
from compiler.tests.graphs import GraphBuilder
from hw.config import AcceleratorConfig, CoreConfig
from models.zoo import networks


def small(config: AcceleratorConfig | None = None) -> CompiledProgram:
    builder = GraphBuilder(2)
    made = builder.softmax(builder.dense(builder.conv(builder.input((1, 4, 3, 5)), 6, (2, 2)), 10))
    return describe_program(compile_network(builder.build(made, name="small"), config or AcceleratorConfig()))


@pytest.fixture(scope="module")
def content() -> bytes:
    return program_bytes(small())


def refusal(content: bytes) -> str:
    with pytest.raises(ProgramFileError) as refused:
        program_from_bytes(content, "x.skip")
    line = str(refused.value)
    assert line.startswith("x.skip: ") and "\n" not in line and "skipstone compile" in line
    return line


@pytest.mark.parametrize("name", ["small", "anomaly_detection"])
def test_what_is_written_is_read_again(name, tmp_path):
    config = AcceleratorConfig(CoreConfig(groups=4, vector=False), program_depth=32768, max_entries=77)
    program = small(config) if name == "small" else describe_program(compile_network(networks.load(name), config))
    path = tmp_path / "folder" / "x.skip"
    write_program(program, path)
    again = read_program(path)
    for field in fields(CompiledProgram):
        assert getattr(again, field.name) == getattr(program, field.name), field.name
    assert program_bytes(again) == path.read_bytes()


def test_a_program_reads_and_writes_the_values_of_a_host():
    config = AcceleratorConfig()
    program = describe_program(compile_network(networks.load("resnet8"), config))
    assert (program.takes, program.gives) == (("input_1_int8",), ("Identity_int8",))
    assert program.last == program.run_stores[-1] == 15
    (packets,) = program.packets({"input_1_int8": np.zeros((1, 32, 32, 3), np.int8)})
    assert len(packets) == 32 * 6 * 16 and set(packets) == {128}  # zero point -128
    with pytest.raises(Exception, match="its input 'input_1_int8' was not given"):
        program.packets({})
    with pytest.raises(Exception, match=r"is int8\[1, 32, 32\], but must be int8\[1, 32, 32, 3\]"):
        program.packets({"input_1_int8": np.zeros((1, 32, 32), np.int8)})
    with pytest.raises(Exception, match="tensor 'x' is not in the activation memory; these are: input_1_int8, "):
        program.tensor("x")
    with pytest.raises(Exception, match="has 16 bytes, but 15 came"):
        program.values(program.leaving[0], bytes(15))


def test_another_file_is_not_a_program(content):
    for other in (b"", b"SKIP", b"TFL3" + content, content.replace(MAGIC, MAGIC.replace(b"\x1a", b""), 1)):
        assert "not a program of Skipstone" in refusal(other)


def test_every_cut_is_noticed(content):
    for length in {len(MAGIC), 12, 19, 20, 21, 500, len(content) // 2, len(content) - 33, len(content) - 1}:
        assert f"cut off after {length} bytes" in refusal(content[:length])
    assert f"longer than it should be, {len(content) + 1} bytes of {len(content)}" in refusal(content + b"\0")


def test_every_flipped_bit_is_noticed(content):
    rng = np.random.default_rng(0)
    for at in [*range(len(MAGIC), 24), *rng.integers(24, len(content), 200)]:
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        refusal(bytes(damaged))
    damaged = bytearray(content)
    damaged[-40] ^= 4
    assert "damaged, its checksum is wrong" in refusal(bytes(damaged))


@pytest.mark.parametrize(("version", "age"), [(VERSION + 1, "newer than"), (VERSION - 1, "older than")])
def test_another_version_is_refused(content, version, age):
    other = content[: len(MAGIC)] + struct.pack("<H", version) + content[len(MAGIC) + 2 :]
    assert f"of version {version}, {age} version {VERSION}" in refusal(other)


def _with_header(program: CompiledProgram) -> str:
    return refusal(program_bytes(program))


def test_a_header_that_makes_no_sense_is_refused():
    program = small()
    step = replace(program.after[0], op="square")
    assert "there is no host step 'square'" in _with_header(replace(program, after=(step,)))
    config = program.config
    core = replace(config.core)
    object.__setattr__(core, "lanes", 5)
    object.__setattr__(config, "core", core)
    assert "lanes is 5" in _with_header(program)


def test_a_file_that_cannot_be_read_or_written_is_refused(tmp_path):
    with pytest.raises(ProgramFileError, match=r"missing\.skip: cannot be read: No such file"):
        read_program(tmp_path / "missing.skip")
    (tmp_path / "file").write_text("")
    with pytest.raises(ProgramFileError, match="cannot be written"):
        write_program(small(), tmp_path / "file" / "x.skip")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_program_for_another_accelerator_is_refused():
    program = small()
    check_accelerator(program, program.config.with_changes(max_entries=3, link_words=4))
    other = AcceleratorConfig(CoreConfig(groups=4, codec_elements=8))
    with pytest.raises(ProgramFileError) as refused:
        check_accelerator(program, other)
    assert "with groups 8, not 4, codec_elements 16, not 8: compile the network for this one" in str(refused.value)
    with pytest.raises(ProgramFileError, match="program_depth 8192, not 4096"):
        check_accelerator(program, program.config.with_changes(program_depth=4096))
