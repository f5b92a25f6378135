"""What a board is: the description that its folder gives, and from which everything else follows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from amaranth.build import Platform

from boards.platform.clocking import Clocking
from boards.platform.family import Family
from boards.synthesis.floorplan import Floorplan
from boards.synthesis.targets import Target
from hw.bus.uart import LEAST_DIVISOR
from hw.config import DATAFLOWS, AcceleratorConfig, ConfigurationError, CoreConfig

BOARD_NAMES = ("crosslink_nx_evn", "icebreaker", "orangecrab_25f", "tang_nano_9k", "ulx3s_85f")
"""Every board: the folders beside this one that have a `BOARD`."""

KERNELS_OF_A_GROUP = 8
"""Kernels that share a group of `rsnn` on a board, at most."""

BAUD_TOLERANCE = 0.015
"""How far the rate of the serial port may be off: the receiver stands 2 %, and the other end is not exact either."""


@dataclass(frozen=True)
class Board:
    """A board with the accelerator that it carries.

    Parameters
    ----------
    name
        Of its folder.
    title, part
        What it is, and the FPGA on it.
    platform
        Makes the description of its pins.
    family
        Of the FPGA.
    device
        The placer's options for the part.
    accelerator
        What it carries.
    oscillator
        The resource of the clock's pin, and its frequency in MHz.
    clocking
        Makes the accelerator's clock: called with the oscillator's frequency and the clock's.
    frequency
        Of the accelerator, in MHz.
    baud_rate
        Of the serial port.
    uart
        The resource, with number, of the serial port.
    leds
        LEDs for the signals of `boards.platform.top.LIGHTS`, in that order: resource, number, and the part of a group.
    program_in_bitstream
        The program memory is block RAM, which the bitstream fills.
    loader
        openFPGALoader's options for the board.
    floorplan
        As in `boards.synthesis.targets.Target`.
    """

    name: str
    title: str
    part: str
    platform: Callable[[], Platform]
    family: Family
    device: tuple[str, ...]
    accelerator: AcceleratorConfig
    oscillator: tuple[str, float]
    clocking: Callable[[float, float], Clocking]
    frequency: float
    baud_rate: int
    uart: tuple[str, int]
    leds: tuple[tuple[Any, ...], ...]
    program_in_bitstream: bool
    loader: tuple[str, ...]
    floorplan: Floorplan | None = None

    @cached_property
    def target(self) -> Target:
        """The part as synthesis sees it."""
        family = self.family
        return Target(
            name=self.name,
            part=self.part,
            config=self.accelerator.core,
            frequency=self.frequency,
            synthesis=family.synthesis,
            placer=family.placer,
            device=self.device,
            resources=family.resources,
            multiplier=family.multiplier,
            memory_bits=dict(family.memory_bits),
            luts=family.luts,
            tuning=family.tuning,
            floorplan=self.floorplan,
        )

    def with_dataflows(self, dataflows: Collection[str]) -> Board:
        """The board with these dataflows and no others.

        Raises
        ------
        ConfigurationError
            There is no such dataflow, or no core can be built with these.
        """
        for name in dataflows:
            if name not in DATAFLOWS:
                raise ConfigurationError(f"there is no dataflow {name!r}: give some of {', '.join(DATAFLOWS)}")
        core, chosen = self.accelerator.core, {name: name in dataflows for name in DATAFLOWS}
        # Kernels that share a group of `rsnn` have an accumulator each; the others need one.
        sharing = min(KERNELS_OF_A_GROUP, core.lanes) if chosen["rsnn"] else CoreConfig.accumulators
        return replace(
            self,
            accelerator=self.accelerator.with_changes(core=core.with_changes(**chosen, accumulators=sharing)),
        )

    @property
    def folder(self) -> Path:
        """Where its description and its budget lie."""
        return Path(__file__).parent.parent / self.name

    def make_clock(self, frequency: float | None = None) -> Clocking:
        """The clock of the accelerator, or another one.

        Raises
        ------
        ConfigurationError
            It cannot be made.
        """
        return self.clocking(self.oscillator[1], self.frequency if frequency is None else frequency)

    def divisor(self, frequency: float | None = None) -> int:
        """Clock cycles of a bit of the serial port.

        Raises
        ------
        ConfigurationError
            The rate cannot be made of the clock.
        """
        cycles = self.make_clock(frequency).frequency * 1e6 / self.baud_rate
        divisor = round(cycles)
        if divisor < LEAST_DIVISOR or abs(divisor / cycles - 1) > BAUD_TOLERANCE:
            raise ConfigurationError(
                f"{self.name}: {self.baud_rate} baud take {cycles:.2f} cycles of the clock a bit: ask for a clock that "
                f"is nearly a multiple, of at least {LEAST_DIVISOR}, of that rate"
            )
        return divisor


def load_board(name: str) -> Board:
    """The board of that name, one of `BOARD_NAMES`."""
    board = import_module(f"boards.{name}").BOARD
    assert isinstance(board, Board) and board.name == name
    return board
