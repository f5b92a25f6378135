"""The accelerator's registers: their one declaration.

    from hw.machine import registers
    registers.STATUS.address, registers.STATUS.decode(value)["busy"], registers.CONTROL.encode(start=1)

A host loads a program so: write it to `Region.PROGRAM`; write `PROGRAM_WORDS`, `PROGRAM_CHECKSUM` and `ENTRIES`; write
`CONTROL.verify`, and read `STATUS` until `verifying` is 0. It runs entries so: write `FIRST` and `LAST`; write
`CONTROL.start`; write the input packets to `Region.INPUT` and read the output packets from `Region.OUTPUT`; read
`STATUS` until `done` or `failed` is 1. A run is done when every entry is and all of its output has been read.

`FIRST`, `LAST`, `ENTRIES` and `PROGRAM_WORDS` keep only as many bits as the accelerator has a use for: what is larger
reads back as the largest value of these, which is out of range, too.

After an error the core is held in reset and nothing but `CONTROL.clear` is heeded. What has been loaded stays.
"""

from __future__ import annotations

from amaranth import unsigned
from amaranth.lib import enum

from hw.machine.register import Access, Field, Register, markdown_table

IDENTITY_VALUE = int.from_bytes(b"SKIP", "little")
VERSION_VALUE = 0x0001_0000
"""Of the register map and the program image: major in the upper half, minor in the lower."""


class RunError(enum.Enum, shape=unsigned(4)):  # type: ignore[call-arg]  # Amaranth's own
    """Why the machine stopped.

    `START_WHILE_BUSY`: start or verify was written while a run was under way; the run is lost. `NO_PROGRAM`: start
    without a verified program. `CHECKSUM`: the program memory does not hold what `PROGRAM_CHECKSUM` is of. `BAD_ENTRY`:
    an entry without its mark, of an unknown operation or split, or a LOAD whose packets have no beats. `RANGE`: an
    entry or its weights reach beyond the program, its feature maps beyond the activation memory, `PROGRAM_WORDS` is 0
    or beyond the program memory, `FIRST` > `LAST`, `LAST` >= `ENTRIES`, or there are more entries than the accelerator
    has counters for. `PACKET`: an input packet was not as long as the layer needs it. `INTERNAL`: the core read a word
    while it was written, which no program can cause.
    """

    NONE = 0
    START_WHILE_BUSY = 1
    NO_PROGRAM = 2
    CHECKSUM = 3
    BAD_ENTRY = 4
    RANGE = 5
    PACKET = 6
    INTERNAL = 7


def _value(name: str, width: int, description: str) -> tuple[Field, ...]:
    """The fields of a register that is one number."""
    return (Field(name, 0, width, description),)


IDENTITY = Register(
    "IDENTITY",
    0x00,
    Access.RO,
    "Tells that this is a Skipstone accelerator.",
    _value("value", 32, "`SKIP`, S in the lowest byte"),
    IDENTITY_VALUE,
)
VERSION = Register(
    "VERSION",
    0x04,
    Access.RO,
    "Version of the register map and of the program image.",
    (
        Field("minor", 0, 16, "grows when something is added"),
        Field("major", 16, 16, "grows when something that was there changes"),
    ),
    VERSION_VALUE,
)
FINGERPRINT = Register(
    "FINGERPRINT",
    0x08,
    Access.RO,
    "What a program must be compiled for (`AcceleratorConfig.fingerprint`).",
    _value("value", 32, "CRC-32 of the configuration"),
    None,
)
GROUPS = Register("GROUPS", 0x0C, Access.RO, "Groups of the array.", _value("value", 16, "number"), None)
LANES = Register(
    "LANES",
    0x10,
    Access.RO,
    "Lanes of a group, and bytes of a word of the program memory.",
    _value("value", 16, "number"),
    None,
)
PROGRAM_DEPTH = Register(
    "PROGRAM_DEPTH",
    0x14,
    Access.RO,
    "Size of the program memory.",
    _value("words", 19, "in words of `LANES` bytes"),
    None,
)
ACTIVATION_WORDS = Register(
    "ACTIVATION_WORDS",
    0x18,
    Access.RO,
    "Size of the activation memory.",
    _value("words", 32, "in words of 16 activations"),
    None,
)
LINK_WORDS = Register(
    "LINK_WORDS",
    0x1C,
    Access.RO,
    "Most words that a frame of the link may carry.",
    _value("words", 16, "in words of 32 bits"),
    None,
)
CONTROL = Register(
    "CONTROL",
    0x20,
    Access.WO,
    "Starts and stops. Of several bits written together, `clear` counts alone, and `verify` before `start`.",
    (
        Field("start", 0, 1, "run entries `FIRST` to `LAST`"),
        Field("clear", 1, 1, "soft reset: end a run, forget an error; memories and registers keep what they hold"),
        Field("verify", 2, 1, "compare the program memory with `PROGRAM_CHECKSUM`"),
    ),
)
STATUS = Register(
    "STATUS",
    0x24,
    Access.RO,
    "What the machine does.",
    (
        Field("busy", 0, 1, "a run is under way"),
        Field("done", 1, 1, "the last run is complete; until the next start or clear"),
        Field("failed", 2, 1, "the machine has stopped, `ERROR` says why; until clear"),
        Field("program_valid", 3, 1, "the program is verified, and has not been written to since"),
        Field("verifying", 4, 1, "the program is being verified"),
        Field("waits_for_input", 5, 1, "a LOAD takes another input word now"),
        Field("has_output", 6, 1, "an output word can be read now"),
    ),
)
ERROR = Register(
    "ERROR", 0x28, Access.RO, "Why the machine stopped.", _value("code", 4, "see `RunError`; 0: it has not")
)
FAILED_ENTRY = Register(
    "FAILED_ENTRY",
    0x2C,
    Access.RO,
    "Where the machine stopped.",
    _value("entry", 16, "index of the entry; no meaning for `NO_PROGRAM` and `CHECKSUM`"),
)
FIRST = Register("FIRST", 0x30, Access.RW, "First entry of a run.", _value("entry", 16, "index"), locked=True)
LAST = Register("LAST", 0x34, Access.RW, "Last entry of a run.", _value("entry", 16, "index"), locked=True)
ENTRIES = Register(
    "ENTRIES", 0x38, Access.RW, "Entries at the start of the program.", _value("count", 16, "number"), locked=True
)
PROGRAM_WORDS = Register(
    "PROGRAM_WORDS",
    0x3C,
    Access.RW,
    "Length of the program. Writing it clears `program_valid`.",
    _value("words", 19, "in words of `LANES` bytes"),
    locked=True,
)
PROGRAM_CHECKSUM = Register(
    "PROGRAM_CHECKSUM",
    0x40,
    Access.RW,
    "CRC-32 (that of zlib) of the program's bytes. Writing it clears `program_valid`.",
    _value("value", 32, "checksum"),
    locked=True,
)
CYCLES = Register(
    "CYCLES", 0x44, Access.RO, "Length of the last run, or of the one under way.", _value("cycles", 32, "modulo 2**32")
)
_EVENTS = (
    Field("done", 0, 1, "a run is complete"),
    Field("failed", 1, 1, "the machine has stopped"),
    Field("input", 2, 1, "`waits_for_input` has risen"),
    Field("output", 3, 1, "`has_output` has risen"),
)
INTERRUPT = Register(
    "INTERRUPT", 0x48, Access.W1C, "Events since they were cleared. One that comes while it is cleared stays.", _EVENTS
)
INTERRUPT_ENABLE = Register(
    "INTERRUPT_ENABLE",
    0x4C,
    Access.RW,
    "Events that raise the interrupt, as long as they stay in `INTERRUPT`.",
    _EVENTS,
)

REGISTERS = (
    IDENTITY,
    VERSION,
    FINGERPRINT,
    GROUPS,
    LANES,
    PROGRAM_DEPTH,
    ACTIVATION_WORDS,
    LINK_WORDS,
    CONTROL,
    STATUS,
    ERROR,
    FAILED_ENTRY,
    FIRST,
    LAST,
    ENTRIES,
    PROGRAM_WORDS,
    PROGRAM_CHECKSUM,
    CYCLES,
    INTERRUPT,
    INTERRUPT_ENABLE,
)
"""All of them, by address."""


def register_table() -> str:
    """The registers as a table in Markdown."""
    return markdown_table(REGISTERS)
