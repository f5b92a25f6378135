"""`skipstone compile`: the program file, the plan, and one line for a network that cannot be compiled."""

import json
from functools import partial

import pytest

from compiler.program_file import read_program
from hw.config import AcceleratorConfig, CoreConfig


@pytest.fixture
def run(skipstone):
    return partial(skipstone, "compile")


def test_the_file_and_the_plan(run, tmp_path):
    path, plan = tmp_path / "folder" / "resnet8.skip", tmp_path / "plan.json"
    status, shown, complained = run("resnet8", "--output", path, "--clock", 40, "--json", plan)
    assert (status, complained) == (0, "")
    program = read_program(path)
    assert program.network == "resnet8" and program.config == AcceleratorConfig()
    document = json.loads(plan.read_text())
    assert document["network"] == "resnet8" and document["fingerprint"] == program.config.fingerprint
    assert document["cycles"] == program.cycles
    assert document["inferences_per_second"] == pytest.approx(40e6 / program.cycles)
    assert [row["name"] for row in document["plan"]] == [entry.name for entry in program.entries[: program.last + 1]]
    for row in document["plan"]:
        assert f" {row['name']} " in shown and f" {row['cycles']:,} " in shown
    for row in document["memory"]:
        assert f" {row['made_by']} " in shown
        assert row["first_word"] * 16 + row["bytes"] <= document["activation_bytes"] <= document["activation_capacity"]
    assert f"peak: {document['activation_bytes']:,} of 65,536 bytes" in shown
    assert f"predicted: {program.cycles:,} cycles, {40e6 / program.cycles:,.1f} inferences/s at 40 MHz" in shown
    assert "on the host: softmax" in shown
    assert shown.rstrip().splitlines()[-1] == f"{path}: {path.stat().st_size:,} bytes"


def test_the_program_memory_grows_with_the_network(run, tmp_path):
    path = tmp_path / "anomaly.skip"
    assert run("anomaly_detection", "--groups", 2, "--lanes", 8, "--output", path)[0] == 0
    program = read_program(path)
    assert program.config.core == CoreConfig.sized(2, 8)
    depth, words = program.config.program_depth, len(program.image.data) // 8
    assert depth // 2 < words <= depth and depth > AcceleratorConfig().program_depth


def test_another_core_takes_a_larger_network(run, tmp_path):
    path = tmp_path / "wake.skip"
    status, shown, _ = run("visual_wake_words", "--set", "activation_depth=4096", "--output", path)
    assert status == 0
    assert read_program(path).config.core == CoreConfig(activation_depth=4096)
    depthwise = [line.split() for line in shown.splitlines() if line.strip().startswith("depthwise")]
    assert any(row[1:3] == ["convolve", "csc"] for row in depthwise)


@pytest.mark.parametrize(
    ("dataflow", "built", "chosen"),
    [
        ("nullhop", ("nullhop", "csc"), {"nullhop"}),
        ("rsnn", ("csc", "rsnn"), {"csc"}),
        ("auto", ("nullhop", "csc", "rsnn"), {"nullhop"}),
    ],
)
def test_the_dataflow_decides_what_the_core_has_and_what_each_layer_runs_on(run, tmp_path, dataflow, built, chosen):
    """The network has no zero weights to speak of: nullhop is faster than csc, and csc than rsnn."""
    path, plan = tmp_path / "resnet8.skip", tmp_path / "plan.json"
    assert run("resnet8", "--dataflow", dataflow, "--output", path, "--json", plan)[0] == 0
    assert read_program(path).config.core.dataflows == built
    rows = json.loads(plan.read_text())["plan"]
    assert {row["dataflow"] for row in rows} - {""} == chosen


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("visual_wake_words",), "visual_wake_words: its tensors need 184,320 bytes of activation memory, but this"),
        (("resnet8", "--lanes", 6), "lanes is 6: give an accelerator a power of two of at least 4"),
        (("resnet8", "--groups", 65), "groups is 65: give at most 64"),
        (("resnet8", "--set", "depth=3"), "--set depth=3: give NAME=NUMBER, where the name is one of activation_bits,"),
        (("resnet8", "--set", "post_lanes=3"), "post_lanes is 3: give a divisor of lanes (16) and of 16"),
        (("resnet8", "--set", "csc=2"), "csc is 2: give one of False, True"),
        (("no_network",), "no_network: neither a file nor a network of the zoo"),
    ],
)
def test_what_cannot_be_is_one_line(run, tmp_path, arguments, line):
    path = tmp_path / "program.skip"
    status, shown, complained = run(*arguments, "--output", path)
    assert (status, shown) == (2, "")
    assert complained.startswith(f"skipstone: {line}"), complained
    assert complained.count("\n") == 1 and not path.exists()


@pytest.mark.parametrize(("options", "named"), [((), "--output"), (("--output", "x.skip", "--clock", 0), "--clock")])
def test_a_usage_error_names_the_option(run, tmp_path, monkeypatch, options, named):
    monkeypatch.chdir(tmp_path)
    status, shown, complained = run("resnet8", *options)
    assert (status, shown) == (2, "")
    assert named in complained and "Traceback" not in complained and not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").touch()
    status, _, complained = run("resnet8", "--output", tmp_path / "file" / "program.skip")
    assert status == 2
    assert complained.startswith("skipstone: ") and "cannot be written" in complained and complained.count("\n") == 1
