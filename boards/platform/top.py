"""The top level of every board: its clock, the accelerator behind the serial port, and its LEDs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

from amaranth.build import Platform, Subsignal
from amaranth.hdl import Elaboratable, Module
from amaranth.lib import io

from boards.platform.board import Board
from hw.accelerator import UartAccelerator
from hw.machine.program import ProgramImage

LIGHTS = ("ready", "busy", "failed")
"""What LEDs show, in order of importance: the members of `UartAccelerator` that they follow.

`ready`: a verified program is loaded. `busy`: a run is under way. `failed`: the machine has stopped with an error.
"""


class BoardTop(Elaboratable):
    """The accelerator on a board; an elaboratable for the board's platform.

    Parameters
    ----------
    board
        Which.
    frequency
        Of the accelerator in MHz, if not the board's own.
    program
        What the program memory holds after power-on.

    Raises
    ------
    ConfigurationError
        The clock or the rate of the serial port cannot be made, or the program does not fit.
    """

    def __init__(self, board: Board, frequency: float | None = None, program: ProgramImage | None = None) -> None:
        self.board = board
        self.clocking = board.make_clock(frequency)
        self.accelerator = UartAccelerator(board.accelerator, board.divisor(frequency), program)

    def elaborate(self, platform: Platform) -> Module:
        m = Module()
        m.submodules.accelerator = accelerator = self.accelerator
        self.clocking.elaborate_into(m, platform.request(self.board.oscillator[0], dir="-"))
        uart = _request(platform, *self.board.uart)
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.d.comb += [accelerator.rx.eq(rx.i), tx.o.eq(accelerator.tx)]
        for light, pin in zip(LIGHTS, _leds(platform, self.board.leds), strict=False):
            m.submodules[f"led_{light}"] = led = io.Buffer("o", pin)
            m.d.comb += led.o.eq(getattr(accelerator, light))
        return m


def _request(platform: Platform, name: str, number: int) -> Any:
    """A resource, its pins without buffers."""
    parts = platform.lookup(name, number).ios
    grouped = isinstance(parts[0], Subsignal)
    return platform.request(name, number, dir={part.name: "-" for part in parts} if grouped else "-")


def _leds(platform: Platform, resources: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The pins of LEDs, of which several may belong to one resource."""
    groups: dict[tuple[Any, ...], Any] = {}
    found = []
    for name, number, *part in resources:
        if (name, number) not in groups:
            groups[name, number] = _request(platform, name, number)
        found.append(reduce(getattr, part, groups[name, number]))
    return found


def port_names(board: Board) -> dict[str, str]:
    """The names that the pins of clock, serial port and LEDs have in the top level's Verilog."""
    clock, _ = board.oscillator
    uart = "_".join(map(str, board.uart))
    names = {"clock": f"{clock}_0__io", "rx": f"{uart}__rx__io", "tx": f"{uart}__tx__io"}
    for light, (name, number, *part) in zip(LIGHTS, board.leds, strict=False):
        names[light] = "__".join((f"{name}_{number}", *part, "io"))
    return names


def inverted(board: Board, light: str) -> bool:
    """Whether that light is on while its pin is low."""
    name, number, *part = board.leds[LIGHTS.index(light)]
    resource = board.platform().lookup(name, number)
    pins = next(item for item in resource.ios if item.name == part[0]).ios[0] if part else resource.ios[0]
    return bool(pins.invert)
