"""`skipstone verilog`; what it writes is tested in `hw.tests.test_verilog`."""

import json
from functools import partial

import pytest

import cli.main
import cli.verilog
from compiler.program_file import read_program
from hw.config import AcceleratorConfig, CoreConfig


@pytest.fixture
def run(skipstone):
    return partial(skipstone, "verilog")


@pytest.fixture
def generated(monkeypatch):
    """What was asked for; stands in for the generators, which take their time."""
    asked = []

    def generate(config):
        asked.append(config)
        return {"core.v": "module core();\nendmodule\n", "core.json": "{}\n"}

    def generate_package(config, *, clock, version, program=None):
        asked.append((config, clock, program and program.entries))
        return {"axi.v": "module axi();\nendmodule\n"}

    monkeypatch.setattr(cli.verilog, "generate", generate)
    monkeypatch.setattr(cli.verilog, "generate_package", generate_package)
    return asked


@pytest.mark.xdist_group("verilog 1x2")
def test_writes_the_files_of_a_core(run, tmp_path):
    output = tmp_path / "new" / "folder"
    status, said, complained = run("--form", "stream", "--groups", 1, "--lanes", 2, "--output", output)
    assert (status, complained) == (0, "")
    files = {path.name for path in output.iterdir()}
    assert files == {f"skipstone_core.{suffix}" for suffix in ("v", "vlt", "md", "json")}
    assert said == f"{output}: skipstone_core.v, skipstone_core.vlt, skipstone_core.md, skipstone_core.json\n"
    assert "\nmodule skipstone_core(" in (output / "skipstone_core.v").read_text()
    assert json.loads((output / "skipstone_core.json").read_text())["parameters"]["lanes"] == 2


def test_the_default_is_the_8_by_16_accelerator(run, generated, tmp_path):
    assert run("--output", tmp_path)[0] == 0
    assert generated == [(AcceleratorConfig(CoreConfig(groups=8, lanes=16)), 100, None)]


def test_the_core_and_the_clock_can_be_chosen(run, generated, tmp_path):
    options = ("--groups", 2, "--lanes", 8, "--set", "csc=0", "--clock", 62.5)
    assert run(*options, "--output", tmp_path)[0] == 0
    assert generated == [(AcceleratorConfig(CoreConfig.sized(2, 8).with_changes(csc=False)), 62.5, None)]


def test_a_network_brings_its_program_along(run, generated, tmp_path):
    status, said, _ = run("--network", "resnet8", "--output", tmp_path)
    assert status == 0 and said.endswith(", program.skip\n")
    program = read_program(tmp_path / "program.skip")
    assert generated == [(program.config, 100, program.image.entries)]


def test_a_bare_core_has_no_program(run, generated, tmp_path):
    status, _, complained = run("--form", "stream", "--network", "resnet8", "--output", tmp_path / "out")
    assert status == 2 and complained.startswith("skipstone: --network: ")
    assert not generated and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--groups", 0), "--groups"),
        (("--lanes", -1), "--lanes"),
        (("--lanes", 100000), "skipstone: lanes is 100000: give at most 256\n"),
        (("--groups", 1000), "skipstone: groups is 1000: give at most 64\n"),
        (("--lanes", 2), "skipstone: lanes is 2: give an accelerator a power of two of at least 4\n"),
        (("--dataflow", "csd"), "--dataflow"),
        (("--lanes", "many"), "--lanes"),
        (("extra",), "extra"),
    ],
)
def test_options_that_make_no_sense(run, generated, tmp_path, arguments, line):
    status, _, complained = run(*arguments, "--output", tmp_path / "out")
    assert status == 2
    assert line in complained and "Traceback" not in complained
    assert not generated and not (tmp_path / "out").exists()


def test_an_output_that_is_a_file(run, generated, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    status, _, complained = run("--output", path)
    assert status == 2 and "--output" in complained
    assert path.read_text() == "mine" and not generated


def test_a_folder_that_cannot_be_made(run, generated, tmp_path):
    (tmp_path / "file").touch()
    status, _, complained = run("--output", tmp_path / "file" / "folder")
    assert status == 2
    assert complained.startswith("skipstone: ") and "cannot be written" in complained
    assert complained.count("\n") == 1
