"""`skipstone verilog`; what it writes is tested in `hw.tests.test_verilog`."""

import json
from functools import partial

import pytest

import cli.main
import cli.verilog
from hw.config import CoreConfig


@pytest.fixture
def run(skipstone):
    return partial(skipstone, "verilog")


@pytest.fixture
def generated(monkeypatch):
    """The configurations asked for; stands in for the generator, which takes its time."""
    configs = []

    def generate(config):
        configs.append(config)
        return {"core.v": "module core();\nendmodule\n", "core.json": "{}\n"}

    monkeypatch.setattr(cli.verilog, "generate", generate)
    return configs


@pytest.mark.xdist_group("verilog 1x2")
def test_writes_the_files_of_a_core(run, tmp_path):
    output = tmp_path / "new" / "folder"
    status, said, complained = run("--dataflow", "nullhop", "--groups", 1, "--lanes", 2, "--output", output)
    assert (status, complained) == (0, "")
    files = {path.name for path in output.iterdir()}
    assert files == {f"skipstone_core.{suffix}" for suffix in ("v", "vlt", "md", "json")}
    assert said == f"{output}: skipstone_core.v, skipstone_core.vlt, skipstone_core.md, skipstone_core.json\n"
    assert "\nmodule skipstone_core(" in (output / "skipstone_core.v").read_text()
    assert json.loads((output / "skipstone_core.json").read_text())["parameters"]["lanes"] == 2


def test_the_default_is_the_8_by_16_core(run, generated, tmp_path):
    assert run("--output", tmp_path)[0] == 0
    assert generated == [CoreConfig(groups=8, lanes=16)]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--groups", 0), "--groups"),
        (("--lanes", -1), "--lanes"),
        (("--lanes", 100000), "skipstone: lanes is 100000: give at most 256\n"),
        (("--groups", 1000), "skipstone: groups is 1000: give at most 64\n"),
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
