"""The accelerator as a package for other flows: Verilog, constraints, header, core description, and what they are.

Two forms: `skipstone_axi`, with registers by AXI4-Lite and data by AXI4-Stream, which runs whole programs; and
`skipstone_core`, the bare core with its streams as ports.
"""

from __future__ import annotations

from collections.abc import Mapping

from hw.axi_accelerator import AxiAccelerator
from hw.config import AcceleratorConfig
from hw.machine.c_header import c_header
from hw.machine.program import ProgramImage
from hw.machine.registers import register_table
from hw.verilog import MODULE, WAIVERS, Source, core_source

AXI_MODULE = "skipstone_axi"
"""Name of the module with AXI interfaces."""

AXI_TIMING = """One clock, `aclk`, rising edge; `aresetn` is synchronous, active low: hold it for a cycle or more.
Channels follow the AXI specification: a transfer passes in every cycle in which both valid and ready are high;
what is offered stays until it is taken. `s_axi_awready` and `s_axi_wready` rise together,
when both address and data are offered."""

AXI_WAIVERS = {
    **WAIVERS,
    "CASEOVERLAP": "of conditions that hold together the first counts, as in the description that they come from",
}

HEADER = "skipstone.h"
VENDOR = "skipstone:accelerator"


def _parameters(config: AcceleratorConfig) -> dict[str, int]:
    own = {name: getattr(config, name) for name in ("program_depth", "max_entries")}
    return {**config.core.as_dict(), **own}


def axi_source(config: AcceleratorConfig, program: ProgramImage | None = None) -> Source:
    """The accelerator with AXI interfaces."""
    return Source(AxiAccelerator(config, program), AXI_MODULE, _parameters(config), AXI_TIMING, AXI_WAIVERS, clocks=())


def hex_words(config: AcceleratorConfig, program: ProgramImage) -> str:
    """The program memory's words for Verilog's `$readmemh`, a word a line."""
    digits = 2 * config.core.lanes
    return "".join(f"{word:0{digits}x}\n" for word in program.words(config))


def _fusesoc(files: Mapping[str, str], version: str) -> str:
    """The description of the package for FuseSoC, in its CAPI2 format."""

    def fileset(name: str, kind: str, *endings: str) -> str:
        chosen = [file for file in files if file.endswith(endings)]
        entries = "".join(f"      - {file}\n" for file in chosen)
        return f"  {name}:\n    file_type: {kind}\n    files:\n{entries}"

    filesets = "".join(
        (
            fileset("rtl", "verilogSource", ".v"),
            fileset("waivers", "vlt", ".vlt"),
            fileset("xdc", "xdc", ".xdc"),
        )
    )
    targets = f"""  default:
    filesets: [rtl]
    toplevel: {AXI_MODULE}
  core:
    filesets: [rtl]
    toplevel: {MODULE}
  lint:
    filesets: [rtl, waivers]
    toplevel: {AXI_MODULE}
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
  vivado:
    filesets: [rtl, xdc]
    toplevel: {AXI_MODULE}
    flow: vivado
"""
    return (
        f"CAPI=2:\nname: {VENDOR}:{AXI_MODULE}:{version}\ndescription: A sparse-CNN accelerator\n"
        f"filesets:\n{filesets}targets:\n{targets}"
    )


def _xdc(clock: float) -> str:
    period = f"{1000 / clock:.3f}"
    return (
        f"# The clock of {AXI_MODULE} out of context; within a design, its own clock constraint counts.\n"
        f"create_clock -name aclk -period {period} [get_ports aclk]\n"
    )


_RUN = """\
/* base: where the accelerator's address map of 16 MiB begins */
write(base + SKIPSTONE_PROGRAM_BASE, image, image_bytes);       /* 32-bit words, least significant byte first */
write32(base + SKIPSTONE_PROGRAM_WORDS, image_bytes / LANES);
write32(base + SKIPSTONE_PROGRAM_CHECKSUM, crc32(image, image_bytes));
write32(base + SKIPSTONE_ENTRIES, entries);
write32(base + SKIPSTONE_CONTROL, SKIPSTONE_CONTROL_VERIFY_MASK);
while (read32(base + SKIPSTONE_STATUS) & SKIPSTONE_STATUS_VERIFYING_MASK);

write32(base + SKIPSTONE_FIRST, 0);
write32(base + SKIPSTONE_LAST, last_entry);
write32(base + SKIPSTONE_CONTROL, SKIPSTONE_CONTROL_START_MASK);
dma_send(input_packets);                                        /* to s_axis */
dma_receive(output_packets);                                    /* from m_axis, until tlast */
while (!(read32(base + SKIPSTONE_STATUS) & (SKIPSTONE_STATUS_DONE_MASK | SKIPSTONE_STATUS_FAILED_MASK)));
"""


def _readme(config: AcceleratorConfig, clock: float, program: ProgramImage | None, files: Mapping[str, str]) -> str:
    core = config.core
    purposes = {
        f"{AXI_MODULE}.v": "the accelerator: AXI4-Lite registers, AXI4-Stream data; runs whole programs",
        f"{MODULE}.v": "the bare core, its streams as ports: for a system that runs the layers itself",
        f"{AXI_MODULE}.md": "its ports and parameters",
        f"{MODULE}.md": "its ports, the fields of its streams, and parameters",
        HEADER: "the register map as C constants",
        f"{AXI_MODULE}.core": "FuseSoC's description: targets default, core, lint, vivado",
        f"{AXI_MODULE}.xdc": "an example of a clock constraint for Vivado",
        f"{AXI_MODULE}.sdc": "the same for other tools",
        "program.hex": "the program as words for `$readmemh`",
    }
    listed = "\n".join(f"- `{name}`: {text}" for name, text in purposes.items() if name in files)
    held = (
        f"The program memory holds a program of {program.entries} entries after power-on (`initial` blocks in the "
        f"Verilog; `program.hex` has the same words): write `FIRST` and `LAST`, and start."
        if program
        else "The program memory is empty after power-on: a host writes the program before the first run."
    )
    return f"""# A Skipstone accelerator of {core.groups} x {core.lanes} multipliers

Everything here is plain Verilog-2005 without vendor primitives or include files. The `.vlt` files hold waivers for
Verilator's lint, each with its reason; the `.json` files describe ports and parameters for programs.

{listed}

## Clock, reset, interfaces

{AXI_TIMING}

- `s_axi`: 24 address bits, 32 data bits. A transfer takes at least 6 cycles; what is not there is answered with
  `DECERR`, what is refused with `SLVERR`.
- `s_axis`, `m_axis`: 32 bits, four bytes a word, the first in the lowest. A feature map is a packet a row,
  channel fastest, without gaps, padded to {core.stream_units * core.activation_bits // 8} bytes; an activation is its
  distance from the zero point, modulo 2^{core.activation_bits}. `m_axis_tlast` ends each feature map.
- `irq`: level, active high.

The clock constraint asks for {clock:g} MHz: change it to yours. No path is exempt from timing, and there is one clock.

## Running a program

{held}

```c
{_RUN}```

## Registers

The windows at `SKIPSTONE_INPUT_BASE` and `SKIPSTONE_OUTPUT_BASE` answer with `SLVERR` here: data go by stream.

{register_table()}"""


def generate_package(
    config: AcceleratorConfig, *, clock: float = 100.0, program: ProgramImage | None = None, version: str = "0"
) -> dict[str, str]:
    """The files of the package by name.

    Parameters
    ----------
    config
        The accelerator.
    clock
        In MHz, for the examples of constraints.
    program
        What its program memory holds after power-on.
    version
        Of the package.

    Raises
    ------
    ConfigurationError
        The program does not fit the program memory.
    """
    files = {**axi_source(config, program).files(), **core_source(config.core).files()}
    files[HEADER] = c_header()
    files[f"{AXI_MODULE}.xdc"] = files[f"{AXI_MODULE}.sdc"] = _xdc(clock)
    if program is not None:
        files["program.hex"] = hex_words(config, program)
    files[f"{AXI_MODULE}.core"] = _fusesoc(files, version)
    files["README.md"] = _readme(config, clock, program, files)
    return files
