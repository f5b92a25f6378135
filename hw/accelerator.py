"""The accelerator: assembles, nothing else.

::

    bytes_in  --> host link --- host bus --- machine --- core
    bytes_out <--                              |
                                               +--> interrupt, busy, ready, failed
"""

from __future__ import annotations

from amaranth import ResetInserter
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.link import HostLink
from hw.bus.uart import Uart
from hw.config import AcceleratorConfig
from hw.core import Core
from hw.machine.machine import Machine
from hw.machine.program import ProgramImage

BYTE = 8

STATE = ("interrupt", "busy", "ready", "failed")
"""Outputs of the machine that leave the accelerator as they are."""


def connect_core(m: Module, machine: Machine, core: Core) -> None:
    """Connect a core with its machine, but for its reset."""
    for name in ("layers", "weights", "features_in"):
        connect(m, producer=getattr(machine, name), consumer=getattr(core, name))
    for name in ("features_out", "reports"):
        connect(m, producer=getattr(core, name), consumer=getattr(machine, name))
    m.d.comb += machine.core_errors.eq(core.errors)


class Accelerator(wiring.Component):
    """A core that a host loads, starts and reads, over a link of bytes.

    Parameters
    ----------
    config
        The accelerator.
    program
        What the program memory holds after power-on; see `Machine`.

    Ports
    -----
    bytes_in, bytes_out
        In and Out streams of bytes: see `HostLink`.
    interrupt
        Out: an event that `INTERRUPT_ENABLE` names has come and has not been cleared.
    busy, ready, failed
        Out: a run is under way; a verified program is loaded; the machine has stopped with an error.

    Raises
    ------
    ConfigurationError
        The program does not fit the program memory.
    """

    def __init__(self, config: AcceleratorConfig, program: ProgramImage | None = None) -> None:
        self.config = config
        self._machine = Machine(config, program)
        super().__init__(
            {
                "bytes_in": In(stream.Signature(BYTE)),
                "bytes_out": Out(stream.Signature(BYTE)),
                **dict.fromkeys(STATE, Out(1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.link = link = HostLink(self.config.link_words)
        m.submodules.machine = machine = self._machine
        core = Core(self.config.core)
        m.submodules.core = ResetInserter(machine.core_reset)(core)
        connect(m, producer=flipped(self.bytes_in), consumer=link.bytes_in)
        connect(m, producer=link.bytes_out, consumer=flipped(self.bytes_out))
        connect(m, link.bus, machine.bus)
        connect_core(m, machine, core)
        m.d.comb += [
            *(getattr(self, name).eq(getattr(machine, name)) for name in STATE),
        ]
        return m


class UartAccelerator(wiring.Component):
    """An `Accelerator` behind a serial port.

    Parameters
    ----------
    config, program
        As for `Accelerator`.
    divisor
        Clock cycles of a bit, at least 4.

    Ports: `rx` In and `tx` Out, the serial lines; `interrupt`, `busy`, `ready`, `failed` as for `Accelerator`.
    """

    def __init__(self, config: AcceleratorConfig, divisor: int, program: ProgramImage | None = None) -> None:
        self._accelerator = Accelerator(config, program)
        self._uart = Uart(divisor)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), **dict.fromkeys(STATE, Out(1))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.uart = uart = self._uart
        m.submodules.accelerator = accelerator = self._accelerator
        connect(m, producer=uart.received, consumer=accelerator.bytes_in)
        connect(m, producer=accelerator.bytes_out, consumer=uart.to_send)
        m.d.comb += [
            uart.rx.eq(self.rx),
            self.tx.eq(uart.tx),
            *(getattr(self, name).eq(getattr(accelerator, name)) for name in STATE),
        ]
        return m
