"""The accelerator for systems on chip: registers by AXI4-Lite, data by AXI4-Stream."""

from __future__ import annotations

from amaranth import ResetInserter
from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from hw.accelerator import connect_core
from hw.bus.axi_lite import AxiLite, AxiLiteBridge
from hw.bus.host_bus import DATA_BITS
from hw.config import AcceleratorConfig
from hw.core import Core
from hw.machine.machine import Machine
from hw.machine.program import ProgramImage

CONTROL, INPUT, OUTPUT = "s_axi", "s_axis", "m_axis"
"""Prefixes of the ports of the three interfaces."""

LEVELS = ("busy", "ready", "failed")
"""Outputs of the machine that leave the accelerator as they are."""


class AxiAccelerator(wiring.Component):
    """A core that a processor loads, starts and reads through AXI4-Lite, and that takes and gives data as AXI4-Stream.

    The address map is that of the host bus, with a window of 24 bits; its input and output windows are not there: they
    answer with `SLVERR`. Input packets come by `s_axis` and output packets leave by `m_axis`, four bytes a word.
    `m_axis_tlast` ends each output feature map.

    Parameters
    ----------
    config, program
        As for `Machine`.

    Ports
    -----
    aclk, aresetn
        In: the clock of everything, and the synchronous reset, active low.
    s_axi_...
        The channels of AXI4-Lite: see `AxiLiteBridge`.
    s_axis_tdata, s_axis_tvalid, s_axis_tready
        The input packets. A word waits until a LOAD takes it.
    m_axis_tdata, m_axis_tlast, m_axis_tvalid, m_axis_tready
        The output packets. A run is done when all have been taken.
    irq
        Out: an event that `INTERRUPT_ENABLE` names has come and has not been cleared. Level, active high.
    busy, ready, failed
        Out: a run is under way; a verified program is loaded; the machine has stopped with an error.

    Raises
    ------
    ConfigurationError
        The program does not fit the program memory.
    """

    def __init__(self, config: AcceleratorConfig, program: ProgramImage | None = None) -> None:
        self.config = config
        self._machine = Machine(config, program, streams=True)
        control = AxiLite().flip()
        super().__init__(
            {
                "aclk": In(1),
                "aresetn": In(1),
                **{f"{CONTROL}_{name}": member for name, member in control.members.items()},
                f"{INPUT}_tdata": In(DATA_BITS),
                f"{INPUT}_tvalid": In(1),
                f"{INPUT}_tready": Out(1),
                f"{OUTPUT}_tdata": Out(DATA_BITS),
                f"{OUTPUT}_tlast": Out(1),
                f"{OUTPUT}_tvalid": Out(1),
                f"{OUTPUT}_tready": In(1),
                "irq": Out(1),
                **dict.fromkeys(LEVELS, Out(1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain("sync", local=True)
        m.d.comb += [ClockSignal("sync").eq(self.aclk), ResetSignal("sync").eq(~self.aresetn)]
        m.submodules.bridge = bridge = AxiLiteBridge()
        m.submodules.machine = machine = self._machine
        m.submodules.core = ResetInserter(machine.core_reset)(core := Core(self.config.core))
        connect(m, bridge.bus, machine.bus)
        connect_core(m, machine, core)
        for name, member in AxiLite().members.items():
            inner, outer = getattr(bridge.axi, name), getattr(self, f"{CONTROL}_{name}")
            m.d.comb += inner.eq(outer) if member.flow == Out else outer.eq(inner)
        words_in, words_out = machine.words_in, machine.words_out
        m.d.comb += [
            words_in.payload.data.eq(self.s_axis_tdata),
            words_in.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(words_in.ready),
            self.m_axis_tdata.eq(words_out.payload.data),
            self.m_axis_tlast.eq(words_out.payload.last),
            self.m_axis_tvalid.eq(words_out.valid),
            words_out.ready.eq(self.m_axis_tready),
            self.irq.eq(machine.interrupt),
            *(getattr(self, name).eq(getattr(machine, name)) for name in LEVELS),
        ]
        return m
