"""The Verilog that leaves the project: lint-clean, and described as it is."""

import json
import re
import shutil
import subprocess

import pytest

from hw.config import CoreConfig
from hw.core import Core
from hw.verilog import MODULE, WAIVERS, generate, ports
from sim.harness import toolchain

SIZES = [
    pytest.param((1, 2), id="1x2", marks=pytest.mark.xdist_group("verilog 1x2")),
    pytest.param((2, 8), id="2x8", marks=pytest.mark.xdist_group("verilog 2x8")),
    pytest.param((3, 4, ("nullhop", "rsnn")), id="3x4 auto", marks=pytest.mark.xdist_group("verilog 3x4")),
    pytest.param((8, 16), id="8x16", marks=[pytest.mark.xdist_group("verilog 8x16"), pytest.mark.slow]),
]
NEEDS_VERILATOR = pytest.mark.skipif(
    toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))
)


@pytest.fixture(scope="module", params=SIZES)
def core_files(request, tmp_path_factory):
    """A configuration, the files generated for it, and the folder where they lie."""
    config = CoreConfig.sized(*request.param)
    folder = tmp_path_factory.mktemp("verilog")
    files = generate(config)
    for name, text in files.items():
        (folder / name).write_text(text)
    return config, files, folder


def lint(folder, *extra):
    """The rules broken, and all that Verilator says."""
    source = str(folder / f"{MODULE}.v")
    command = ["verilator", "--lint-only", "-Wall", "-Wno-fatal", "--top-module", MODULE, *extra, source]
    with toolchain.environment():
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[:2000]
    assert "%Error" not in result.stderr, result.stderr[:2000]
    return set(re.findall(r"%Warning-(\w+)", result.stderr)), result.stderr


@NEEDS_VERILATOR
def test_with_the_waivers_nothing_is_left(core_files):
    _, _, folder = core_files
    _, said = lint(folder, str(folder / f"{MODULE}.vlt"))
    assert said.strip() == ""


@NEEDS_VERILATOR
def test_every_waiver_is_needed(core_files):
    _, _, folder = core_files
    broken, _ = lint(folder)
    assert broken == set(WAIVERS)


@NEEDS_VERILATOR
def test_the_waivers_hold_for_no_other_file(core_files):
    _, _, folder = core_files
    other = folder / "other.v"
    other.write_text("module other(input a);\nendmodule\n")
    command = ["verilator", "--lint-only", "-Wall", "-Wno-fatal", str(folder / f"{MODULE}.vlt"), str(other)]
    with toolchain.environment():
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "%Warning-UNUSEDSIGNAL" in said


def test_each_waiver_stands_with_its_reason(core_files):
    _, files, _ = core_files
    for rule, reason in WAIVERS.items():
        assert f'// {reason}\nlint_off -rule {rule} -file "*{MODULE}.v"\n' in files[f"{MODULE}.vlt"]


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
def test_a_second_tool_takes_it_without_a_word(core_files):
    _, _, folder = core_files
    command = ["iverilog", "-Wall", "-Wno-timescale", "-t", "null", "-s", MODULE, str(folder / f"{MODULE}.v")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def declared(source):
    """The ports of the top module as Verilog declares them: name, direction, width."""
    (body,) = re.findall(rf"^module {MODULE}\((?:.*?)\);\n(.*?)^endmodule", source, re.MULTILINE | re.DOTALL)
    found = re.findall(r"^ *(input|output|inout) (?:\[(\d+):0\] )?(\S+);", body, re.MULTILINE)
    return {(name, direction, int(high or 0) + 1) for direction, high, name in found}


def test_the_ports_are_those_of_the_verilog(core_files):
    config, files, _ = core_files
    described = json.loads(files[f"{MODULE}.json"])
    assert described["module"] == MODULE
    assert described["parameters"] == config.as_dict()
    assert CoreConfig(**described["parameters"]) == config
    listed = [(port["name"], port["direction"], port["width"]) for port in described["ports"]]
    assert len(set(listed)) == len(listed)
    assert set(listed) == declared(files[f"{MODULE}.v"])


@pytest.mark.parametrize(("groups", "lanes"), [(1, 1), (3, 20), (8, 16)])
def test_fields_fill_their_port_without_overlap(groups, lanes):
    structured = [port for port in ports(Core(CoreConfig.sized(groups, lanes))) if port["fields"]]
    assert {port["name"] for port in structured} > {"layers__payload", "weights__payload", "errors"}
    for port in structured:
        end = 0
        for field in sorted(port["fields"], key=lambda field: (field["offset"], field["width"])):
            assert field["offset"] == end, (port["name"], field)
            end += field["width"]
        assert end == port["width"], port["name"]


def test_streams_go_the_right_way():
    directions = {port["name"]: port["direction"] for port in ports(Core(CoreConfig.sized(1, 2)))}
    for stream in ("layers", "weights", "features_in"):
        assert directions[f"{stream}__valid"] == directions[f"{stream}__payload"] == "input"
        assert directions[f"{stream}__ready"] == "output"
    for stream in ("features_out", "reports"):
        assert directions[f"{stream}__valid"] == directions[f"{stream}__payload"] == "output"
        assert directions[f"{stream}__ready"] == "input"


def test_the_description_tells_a_reader_what_each_port_is(core_files):
    config, files, _ = core_files
    text = files[f"{MODULE}.md"]
    names = {port["name"] for port in ports(Core(config))}
    for port in ports(Core(config)):
        assert f"| `{port['name']}` | {port['direction']} | {port['width']} |" in text
        for field in port["fields"]:
            assert (f"| `{field['name']}` |" in text) or field["width"] == 0
    for member in Core(config).signature.members:
        name = member if member in names else f"{member}__payload"
        assert re.search(rf"^\| `{name}` \| \w+ \| \d+ \| \w.*\. \|$", text, re.MULTILINE), member
    assert "LayerDescriptor" in text and "`passes_last`: index of the last pass" in text
    for name, value in config.as_dict().items():
        assert f"| `{name}` | {value} |" in text
    headings = re.findall(r"^#+ .*", text, re.MULTILINE)
    assert headings[:3] == [f"# {MODULE}", "## Ports", "## Fields"]
    assert "-----" not in text  # the docstring's own headings


def test_the_same_configuration_gives_the_same_files():
    config = CoreConfig.sized(1, 1).with_changes(
        activation_depth=64, max_size=31, max_channels=31, stream_units=2, codec_elements=1
    )
    assert generate(config) == generate(config)
