"""The package for other flows: lint-clean, complete, and described as it is."""

import re
import shutil
import subprocess

import pytest

from hw.config import AcceleratorConfig, ConfigurationError, CoreConfig
from hw.machine.c_header import c_header
from hw.machine.program import ProgramImage
from hw.machine.registers import REGISTERS, register_table
from hw.package import AXI_MODULE, HEADER, generate_package, hex_words
from hw.verilog import MODULE
from sim.harness import toolchain

CONFIG = AcceleratorConfig(
    CoreConfig.sized(1, 4).with_changes(
        vector=False, csc=False, stream_units=4, codec_elements=1, activation_banks=1, activation_depth=256
    ),
    program_depth=64,
    max_entries=8,
)
PROGRAM = ProgramImage(bytes(range(1, 41)), entries=1)

pytestmark = pytest.mark.xdist_group("package")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The folder of a package with a program."""
    folder = tmp_path_factory.mktemp("package")
    for name, text in generate_package(CONFIG, clock=62.5, program=PROGRAM, version="1.2.3").items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator")))
@pytest.mark.parametrize("module", [AXI_MODULE, MODULE])
def test_verilator_has_nothing_to_say(package, module):
    command = ["verilator", "--lint-only", "-Wall", "--top-module", module, f"{module}.vlt", f"{module}.v"]
    with toolchain.environment():
        result = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.strip()) == (0, "")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
def test_icarus_takes_both_forms_together(package):
    sources = [f"{AXI_MODULE}.v", f"{MODULE}.v"]
    command = ["iverilog", "-Wall", "-Wno-timescale", "-t", "null", "-s", AXI_MODULE, "-s", MODULE, *sources]
    result = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_ports_have_the_names_that_tools_know_interfaces_by(package):
    source = (package / f"{AXI_MODULE}.v").read_text()
    (body,) = re.findall(rf"^module {AXI_MODULE}\((?:.*?)\);\n(.*?)^endmodule", source, re.MULTILINE | re.DOTALL)
    inputs = set(re.findall(r"^ *input (?:\[\d+:0\] )?(\S+);", body, re.MULTILINE))
    assert {"aclk", "aresetn", "s_axi_awaddr", "s_axi_wstrb", "s_axis_tvalid", "m_axis_tready"} <= inputs
    assert "clk" not in inputs and "rst" not in inputs


def test_the_program_is_in_the_memory_and_beside_it(package):
    words = [int(line, 16) for line in (package / "program.hex").read_text().split()]
    assert words == PROGRAM.words(CONFIG)
    source = (package / f"{AXI_MODULE}.v").read_text()
    assert f"32'd{words[-1]}" in source or f"32'h{words[-1]:08x}" in source
    assert hex_words(CONFIG, PROGRAM).splitlines()[0] == "04030201"


def test_a_program_that_does_not_fit_is_refused():
    with pytest.raises(ConfigurationError, match="the program image has 1024 bytes"):
        generate_package(CONFIG, program=ProgramImage(bytes(1024), entries=1))


def test_the_core_description_names_every_source_and_no_other(package):
    described = (package / f"{AXI_MODULE}.core").read_text()
    assert described.startswith(f"CAPI=2:\nname: skipstone:accelerator:{AXI_MODULE}:1.2.3\n")
    listed = re.findall(r"^      - (\S+)$", described, re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in package.iterdir() if path.suffix in (".v", ".vlt", ".xdc"))
    filesets = re.findall(r"^  (\w+):\n    file_type:", described, re.MULTILINE)
    used = {name for group in re.findall(r"filesets: \[(.*)\]", described) for name in group.split(", ")}
    assert used <= set(filesets)


def test_the_constraint_asks_for_the_clock(package):
    for ending in ("xdc", "sdc"):
        text = (package / f"{AXI_MODULE}.{ending}").read_text()
        assert "create_clock -name aclk -period 16.000 [get_ports aclk]\n" in text


def test_the_readme_says_what_each_file_is(package):
    readme = (package / "README.md").read_text()
    for path in package.iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in readme or f"`{path.suffix}` files" in readme, path.name
    assert register_table() in readme


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_header_is_c_and_its_constants_are_the_registers(tmp_path):
    (tmp_path / HEADER).write_text(c_header())
    checks = [f'_Static_assert(SKIPSTONE_{r.name} == {r.address}, "");' for r in REGISTERS]
    checks += [
        f'_Static_assert(SKIPSTONE_{r.name}_{f.name.upper()}_MASK == {f.mask}u, "");'
        for r in REGISTERS
        for f in r.fields
    ]
    (tmp_path / "check.c").write_text("\n".join([f'#include "{HEADER}"', f'#include "{HEADER}"', *checks, ""]))
    command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "check.c"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    names = re.findall(r"^#define (\w+)", c_header(), re.MULTILINE)
    assert len(names) == len(set(names))
