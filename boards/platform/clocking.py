"""Clocks of boards: the phase-locked loops of each family, or the oscillator as it is.

A clocking is chosen by a board and elaborated in its top level, where it makes domain ``sync``.
Frequencies are in MHz.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

from amaranth import Const, Signal
from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import io

from hw.config import ConfigurationError

START_STAGES = 2
"""Registers that bring the loop's lock to the clock."""


@dataclass(frozen=True)
class Ratio:
    """The settings of a loop: the reference is divided, multiplied, and the oscillator's output divided."""

    reference: int
    feedback: int
    output: int
    frequency: float


class Clocking(ABC):
    """Makes domain ``sync``, which starts when the clock is stable.

    Parameters
    ----------
    source
        The oscillator's frequency.
    frequency
        The clock to make.

    Raises
    ------
    ConfigurationError
        The family's loop cannot make it.
    """

    TOLERANCE: ClassVar[float] = 0.005
    """How far the clock made may be off what was asked for."""

    def __init__(self, source: float, frequency: float) -> None:
        self.source = source
        self.wanted = frequency
        candidates = [ratio for ratio in self.ratios() if abs(ratio.frequency / frequency - 1) <= self.TOLERANCE]
        if not candidates:
            raise ConfigurationError(
                f"a clock of {frequency:g} MHz cannot be made of {source:g} MHz: {self.limits()}: ask for another one"
            )
        self.ratio = min(candidates, key=lambda ratio: (abs(ratio.frequency - frequency), ratio.reference))

    @property
    def frequency(self) -> float:
        """The clock that is really made."""
        return self.ratio.frequency

    @abstractmethod
    def ratios(self) -> Iterator[Ratio]:
        """Every setting that the loop allows."""

    @abstractmethod
    def limits(self) -> str:
        """What the loop allows, for messages."""

    @abstractmethod
    def connect(self, m: Module, pin: io.PortLike, clock: Signal, locked: Signal) -> None:
        """Drive `clock` and `locked` from the oscillator's pin."""

    def elaborate_into(self, m: Module, pin: io.PortLike) -> None:
        """Add domain ``sync``, which runs from the oscillator's pin."""
        clock, locked = Signal(name="clock"), Signal(name="clock_locked")
        self.connect(m, pin, clock, locked)
        m.domains.power_on = ClockDomain("power_on", reset_less=True, local=True)
        m.d.comb += ClockSignal("power_on").eq(clock)
        stable = Signal(START_STAGES)
        # Not by an asynchronous reset: the loop's clock runs, if wrongly, before it has locked.
        m.d.power_on += [stable.eq(stable << 1 | 1)]
        with m.If(~locked):
            m.d.power_on += stable.eq(0)
        self.start(m, clock, stable[-1])

    def start(self, m: Module, clock: Signal, stable: Value) -> None:
        """Add the domain: in reset until the clock is `stable`."""
        m.domains.sync = ClockDomain("sync")
        m.d.comb += [ClockSignal("sync").eq(clock), ResetSignal("sync").eq(~stable)]


def _input_buffer(m: Module, pin: io.PortLike) -> Any:
    m.submodules.clock_buffer = buffer = io.Buffer("i", pin)
    return buffer.i


class Oscillator(Clocking):
    """The oscillator itself, for clocks below what the loop can make."""

    def ratios(self) -> Iterator[Ratio]:
        yield Ratio(1, 1, 1, self.source)

    def limits(self) -> str:
        return "it is the oscillator's own"

    def connect(self, m: Module, pin: io.PortLike, clock: Signal, locked: Signal) -> None:
        m.d.comb += [clock.eq(_input_buffer(m, pin)), locked.eq(1)]


class Ecp5Pll(Clocking):
    """ECP5's EHXPLLL with feedback from its first output (Lattice FPGA-TN-02200)."""

    REFERENCE, OSCILLATOR = (3.125, 400.0), (400.0, 800.0)

    def ratios(self) -> Iterator[Ratio]:
        for reference, feedback, output in product(range(1, 17), range(1, 81), range(1, 129)):
            phase = self.source / reference
            made = phase * feedback
            if _within(phase, self.REFERENCE) and _within(made * output, self.OSCILLATOR):
                yield Ratio(reference, feedback, output, made)

    def limits(self) -> str:
        return "the loop of ECP5 runs at 400 to 800 MHz, divided by up to 128"

    def connect(self, m: Module, pin: io.PortLike, clock: Signal, locked: Signal) -> None:
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{self.source:g}",
            a_FREQUENCY_PIN_CLKOP=f"{self.frequency:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=self.ratio.output - 1,
            p_CLKOP_FPHASE=0,
            p_CLKI_DIV=self.ratio.reference,
            p_CLKFB_DIV=self.ratio.feedback,
            p_CLKOP_DIV=self.ratio.output,
            p_FEEDBK_PATH="CLKOP",
            i_CLKI=_input_buffer(m, pin),
            i_CLKFB=clock,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(0),
            i_PHASESTEP=Const(0),
            i_PHASELOADREG=Const(0),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=clock,
            o_LOCK=locked,
        )

    def start(self, m: Module, clock: Signal, stable: Value) -> None:
        """Add the domain: without a clock until it is `stable`, and with no reset, which would cross the whole part.

        Every register is as the bitstream has filled it when the clock begins.
        """
        m.domains.sync = ClockDomain("sync", reset_less=True)
        m.submodules.gate = Instance("DCCA", i_CLKI=clock, i_CE=stable, o_CLKO=ClockSignal("sync"))


class Ice40Pll(Clocking):
    """iCE40's SB_PLL40_PAD, which takes the pin itself (Lattice FPGA-TN-02052)."""

    REFERENCE, OSCILLATOR, OUTPUT = (10.0, 133.0), (533.0, 1066.0), (16.0, 275.0)
    FILTER_RANGES = (17, 26, 44, 66, 101)
    """Reference frequencies below which the filter's setting is 1, 2, ..."""

    def ratios(self) -> Iterator[Ratio]:
        for reference, feedback, shift in product(range(1, 17), range(1, 129), range(1, 7)):
            phase = self.source / reference
            oscillator = phase * feedback
            made = oscillator / 2**shift
            if _within(phase, self.REFERENCE) and _within(oscillator, self.OSCILLATOR) and _within(made, self.OUTPUT):
                yield Ratio(reference, feedback, shift, made)

    def limits(self) -> str:
        return "the loop of iCE40 gives 16 to 275 MHz"

    def connect(self, m: Module, pin: io.PortLike, clock: Signal, locked: Signal) -> None:
        phase = self.source / self.ratio.reference
        filter_range = 1 + sum(phase >= limit for limit in self.FILTER_RANGES)
        m.submodules.pll = Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE",
            p_PLLOUT_SELECT="GENCLK",
            p_DIVR=Const(self.ratio.reference - 1, 4),
            p_DIVF=Const(self.ratio.feedback - 1, 7),
            p_DIVQ=Const(self.ratio.output, 3),
            p_FILTER_RANGE=Const(filter_range, 3),
            i_PACKAGEPIN=pin.io,
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=clock,
            o_LOCK=locked,
        )


class GowinPll(Clocking):
    """The rPLL of GW1N (Gowin UG286), for speed grade C6/I5."""

    REFERENCE, OSCILLATOR, OUTPUT = (3.0, 400.0), (400.0, 1200.0), (3.125, 600.0)
    OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)

    def __init__(self, source: float, frequency: float, device: str) -> None:
        self.device = device
        super().__init__(source, frequency)

    def ratios(self) -> Iterator[Ratio]:
        for reference, feedback, output in product(range(1, 65), range(1, 65), self.OUTPUT_DIVIDERS):
            phase = self.source / reference
            made = phase * feedback
            if (
                _within(phase, self.REFERENCE)
                and _within(made * output, self.OSCILLATOR)
                and _within(made, self.OUTPUT)
            ):
                yield Ratio(reference, feedback, output, made)

    def limits(self) -> str:
        return "the loop of GW1N runs at 400 to 1200 MHz"

    def connect(self, m: Module, pin: io.PortLike, clock: Signal, locked: Signal) -> None:
        m.submodules.pll = Instance(
            "rPLL",
            p_DEVICE=self.device,
            p_FCLKIN=f"{self.source:g}",
            p_IDIV_SEL=self.ratio.reference - 1,
            p_FBDIV_SEL=self.ratio.feedback - 1,
            p_ODIV_SEL=self.ratio.output,
            p_DYN_IDIV_SEL="false",
            p_DYN_FBDIV_SEL="false",
            p_DYN_ODIV_SEL="false",
            p_DYN_DA_EN="false",
            p_PSDA_SEL="0000",
            p_DUTYDA_SEL="1000",
            p_CLKFB_SEL="internal",
            p_CLKOUT_BYPASS="false",
            i_CLKIN=_input_buffer(m, pin),
            i_CLKFB=Const(0),
            i_RESET=Const(0),
            i_RESET_P=Const(0),
            i_FBDSEL=Const(0, 6),
            i_IDSEL=Const(0, 6),
            i_ODSEL=Const(0, 6),
            i_PSDA=Const(0, 4),
            i_DUTYDA=Const(0, 4),
            i_FDLY=Const(0, 4),
            o_CLKOUT=clock,
            o_LOCK=locked,
        )


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]
