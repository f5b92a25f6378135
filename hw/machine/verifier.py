"""The verifier: whether the program in memory is the one that the host meant."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module
from amaranth.lib import crc, wiring
from amaranth.lib.wiring import In, Out

from hw.config import AcceleratorConfig
from hw.machine.program_memory import ProgramRead
from hw.machine.registers import PROGRAM_CHECKSUM, PROGRAM_WORDS, RunError
from hw.stream.delay import delay

CHECKSUM = crc.catalog.CRC32_ISO_HDLC
"""That of zlib."""


class Verifier(wiring.Component):
    """Compares the CRC-32 of a program's bytes with its checksum.

    It is busy for 4 + words x p cycles, where a word has p = lanes x 8 / `step_bits` parts; 1 more in a large core, if
    p > 1.

    Parameters
    ----------
    step_bits
        Bits that it takes in a cycle, 8, 16 or 32; the logic grows with them.

    Ports
    -----
    start
        In, pulse: verify. Of no effect while it is busy.
    words, checksum
        In: the registers; they do not change while it is busy.
    forget
        In, pulse: the program may no longer be the one verified.
    read
        Out `ProgramRead`, urgent.
    busy
        Out: verification is under way.
    valid
        Out: the program is the one that was verified.
    error
        Out, pulse: `RunError.CHECKSUM` or, if there are no words or more than the memory has, `RunError.RANGE`.
    """

    def __init__(self, config: AcceleratorConfig, step_bits: int = 32) -> None:
        self.config = config
        self._step_bits = step_bits
        self._stages = int(config.core.large and 8 * config.core.lanes > step_bits)
        super().__init__(
            {
                "start": In(1),
                "words": In(PROGRAM_WORDS.fields[0].width),
                "checksum": In(PROGRAM_CHECKSUM.fields[0].width),
                "forget": In(1),
                "read": Out(ProgramRead(config)),
                "busy": Out(1),
                "valid": Out(1),
                "error": Out(RunError),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = checker = CHECKSUM(self._step_bits).create()
        parts = 8 * self.config.core.lanes // self._step_bits
        following = Signal.like(self.words)  # index of the word after the one that the read port holds
        part = Signal(range(parts))
        equal = Signal()
        m.d.comb += self.read.address.eq(following)
        # Each is long enough for a cycle: the memory, the choice of a part, its CRC, and the comparison.
        taken = Signal()
        stages = self._stages
        word = delay(m, self.read.data, stages, name="word")
        chosen = delay(m, part, stages, name="chosen")
        valid = delay(m, taken, stages, name="valid", reset_less=False)
        m.d.sync += [
            checker.data.eq(word.word_select(chosen, self._step_bits)),
            checker.valid.eq(valid),
            equal.eq(checker.crc == self.checksum),
        ]
        with m.If(self.forget | self.start):
            m.d.sync += self.valid.eq(0)
        with m.FSM() as states:
            with m.State("IDLE"):
                m.d.sync += [following.eq(0), part.eq(0)]
                with m.If(self.start):
                    m.next = "FIRST"
            with m.State("FIRST"):
                m.d.comb += [checker.start.eq(1), self.read.enable.eq(1)]
                m.d.sync += following.eq(1)
                m.next = "WORDS"
                with m.If((self.words == 0) | (self.words > self.config.program_depth)):
                    m.d.comb += self.error.eq(RunError.RANGE)
                    m.next = "IDLE"
            with m.State("WORDS"):
                m.d.comb += taken.eq(1)
                m.d.sync += part.eq(part + 1)
                with m.If(part == parts - 1):
                    m.d.comb += self.read.enable.eq(1)
                    m.d.sync += [following.eq(following + 1), part.eq(0)]
                    with m.If(following == self.words):
                        m.next = "DRAIN"
            with m.State("DRAIN"):
                with m.If(~valid & ~checker.valid):
                    m.next = "RESULT"
            with m.State("RESULT"):
                with m.If(equal):
                    m.d.sync += self.valid.eq(1)
                with m.Else():
                    m.d.comb += self.error.eq(RunError.CHECKSUM)
                m.next = "IDLE"
        m.d.comb += self.busy.eq(~states.ongoing("IDLE"))
        return m
