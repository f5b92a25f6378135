"""Framing: the bytes of frames to the bytes on a line, and back. See `hw.bus.protocol` for the format.

Encoder and decoder have the CRC computed by a `FrameCheck`, which those may share that do not work at the same time.
"""

from __future__ import annotations

from amaranth import Const, Mux, Signal, unsigned
from amaranth.hdl import Module, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.protocol import CHECK_BYTES, ESCAPE, ESCAPED, FLAG, FRAME_CHECK

BYTE_BITS = 8


class CheckPort(wiring.Signature):
    """What a user of a `FrameCheck` sees.

    Members
    -------
    start, valid, data
        Out: begin a frame; with `valid`, `data` is its next byte.
    crc, intact
        In: the CRC of the bytes before this cycle; they are a frame with the right CRC at its end.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": Out(1),
                "valid": Out(1),
                "data": Out(BYTE_BITS),
                "crc": In(FRAME_CHECK.crc_width),
                "intact": In(1),
            }
        )


class FrameCheck(wiring.Component):
    """Computes the CRC of a frame with `amaranth.lib.crc`, a byte a cycle.

    Ports: `user` In `CheckPort`.
    """

    def __init__(self) -> None:
        super().__init__({"user": In(CheckPort())})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.processor = processor = FRAME_CHECK(BYTE_BITS).create()
        m.d.comb += [
            processor.start.eq(self.user.start),
            processor.valid.eq(self.user.valid),
            processor.data.eq(self.user.data),
            self.user.crc.eq(processor.crc),
            self.user.intact.eq(processor.match_detected),
        ]
        return m


def _flipped_if(escaped: Value, byte: Value) -> Value:
    return byte ^ Mux(escaped, Const(ESCAPED, BYTE_BITS), 0)


class FrameFault(enum.Enum, shape=unsigned(2)):  # type: ignore[call-arg]  # Amaranth's own
    """What is wrong with a frame that has ended, the first that applies.

    `DAMAGED`: its CRC is wrong, or its sender aborted it. `LONG`, `SHORT`: its CRC is right, its length is not.
    """

    NONE = 0
    DAMAGED = 1
    LONG = 2
    SHORT = 3


class FrameItem(data.StructLayout):
    """A byte of a frame, or the end of one.

    `end`: which of the two. Of a byte: `data`; `index`, its place in the frame, from 0. Of an end: `index`, the length
    of the frame in bytes; `fault`: `FrameFault`. The CRC counts among the bytes and in the length.
    """

    def __init__(self, longest: int) -> None:
        super().__init__({"data": BYTE_BITS, "index": range(longest + 1), "end": 1, "fault": FrameFault})


class FrameDecoder(wiring.Component):
    """The bytes on a line to frames, each checked when it ends. Latency 0, a byte a cycle.

    After reset, and after it was deaf, it drops everything up to the next flag. Every flag then ends a frame and begins
    one, so that whatever comes in between costs one frame. A frame without a byte is none. The bytes of a frame are
    passed on before its CRC is known, and so are those of the CRC, since nothing but the flag tells where that begins:
    the user drops them if the end has a fault. Of a frame that is too long, the first `longest` bytes are passed on.

    Parameters
    ----------
    shortest, longest : int
        Bytes of the shortest and of the longest frame that is no fault, with its CRC.

    Ports
    -----
    bytes : In stream of 8 bits
    items : Out stream of `FrameItem`
    deaf : In
        Drop all bytes, and the frame under way. To be raised only while no item waits.
    check : Out(CheckPort())
        Not used while it is deaf.
    """

    def __init__(self, shortest: int, longest: int) -> None:
        if not CHECK_BYTES <= shortest <= longest:
            raise ValueError(f"frames of {shortest} to {longest} bytes: give at least {CHECK_BYTES}, the longest last")
        self.shortest, self.longest = shortest, longest
        super().__init__(
            {
                "bytes": In(stream.Signature(BYTE_BITS)),
                "items": Out(stream.Signature(FrameItem(longest))),
                "deaf": In(1),
                "check": Out(CheckPort()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        byte, item = self.bytes.payload, self.items.payload
        hunting, escaped, length, beyond = Signal(init=1), Signal(), Signal.like(item.index), Signal()
        is_flag, is_data, full, taken = Signal(), Signal(), Signal(), Signal()
        check = self.check
        m.d.comb += [
            is_flag.eq(byte == FLAG),
            is_data.eq(~hunting & ~is_flag & (escaped | (byte != ESCAPE))),
            full.eq(length == self.longest),
            item.end.eq(is_flag),
            item.data.eq(_flipped_if(escaped, byte)),
            item.index.eq(length),
            item.fault.eq(self._fault(check.intact & ~escaped, length, beyond)),
            self.items.valid.eq(
                self.bytes.valid & ~self.deaf & ((is_flag & ~hunting & ((length != 0) | escaped)) | (is_data & ~full))
            ),
            self.bytes.ready.eq(~self.items.valid | self.items.ready),
            taken.eq(self.bytes.valid & self.bytes.ready),
            check.data.eq(item.data),
            check.valid.eq(taken & is_data),
            check.start.eq(taken & is_flag),
        ]
        with m.If(self.deaf):
            m.d.sync += hunting.eq(1)
        with m.Elif(taken & is_flag):
            m.d.sync += [hunting.eq(0), escaped.eq(0), length.eq(0)]
        with m.Elif(taken & is_data):
            m.d.sync += [escaped.eq(0), length.eq(length + ~full), beyond.eq(full)]
        with m.Elif(taken & ~hunting):
            m.d.sync += escaped.eq(1)
        return m

    def _fault(self, intact: Value, length: Value, beyond: Value) -> Value:
        size_fault = Mux(beyond, FrameFault.LONG, Mux(length < self.shortest, FrameFault.SHORT, FrameFault.NONE))
        return Mux(intact, size_fault, FrameFault.DAMAGED)


class FrameByte(data.StructLayout):
    """A byte of a frame to send; `last`: the frame's last, before the CRC."""

    def __init__(self) -> None:
        super().__init__({"data": BYTE_BITS, "last": 1})


class FrameEncoder(wiring.Component):
    """Frames to the bytes on a line, each with its CRC and flags of its own. Latency 1, a byte a cycle.

    A frame of n bytes takes n + 6 cycles, and one more for each byte, of the CRC too, that is escaped.

    Ports
    -----
    frames : In stream of `FrameByte`
    bytes : Out stream of 8 bits
    check : Out(CheckPort())
        Not used while it is not `busy`, but started in the cycle before.
    busy : Out
        The first flag of a frame has left, and the last one has not.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "frames": In(stream.Signature(FrameByte())),
                "bytes": Out(stream.Signature(BYTE_BITS)),
                "check": Out(CheckPort()),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        check = self.check
        place, escaped = Signal(range(CHECK_BYTES)), Signal()
        byte, escapes, sent = Signal(BYTE_BITS), Signal(), Signal()
        with m.FSM() as fsm:
            with m.State("OPEN"):
                m.d.comb += [
                    self.bytes.valid.eq(self.frames.valid),
                    self.bytes.payload.eq(FLAG),
                    check.start.eq(1),
                ]
                with m.If(self.bytes.valid & self.bytes.ready):
                    m.next = "FRAME"
            with m.State("FRAME"):
                m.d.comb += [
                    self.bytes.valid.eq(self.frames.valid),
                    byte.eq(self.frames.payload.data),
                    self.frames.ready.eq(sent),
                ]
                with m.If(sent & self.frames.payload.last):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += [self.bytes.valid.eq(1), byte.eq(check.crc.word_select(place, BYTE_BITS))]
                with m.If(sent):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == CHECK_BYTES - 1):
                        m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += [self.bytes.valid.eq(1), self.bytes.payload.eq(FLAG)]
                with m.If(self.bytes.ready):
                    m.next = "OPEN"
        m.d.comb += self.busy.eq(~fsm.ongoing("OPEN"))
        stuffing = fsm.ongoing("FRAME") | fsm.ongoing("CHECK")
        m.d.comb += [
            escapes.eq(((byte == FLAG) | (byte == ESCAPE)) & ~escaped),
            sent.eq(self.bytes.valid & self.bytes.ready & ~escapes),
            check.data.eq(byte),
            check.valid.eq(fsm.ongoing("FRAME") & sent),
        ]
        with m.If(stuffing):
            m.d.comb += self.bytes.payload.eq(Mux(escapes, ESCAPE, _flipped_if(escaped, byte)))
            with m.If(self.bytes.valid & self.bytes.ready):
                m.d.sync += escaped.eq(escapes)
        return m
