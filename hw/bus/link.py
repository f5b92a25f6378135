"""The link: requests that arrive as bytes, carried out on the host bus, each answered by one response.

See `hw.bus.protocol` for frames, requests and responses.
"""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from hw.bus.framing import BYTE_BITS, FrameByte, FrameCheck, FrameDecoder, FrameEncoder, FrameFault
from hw.bus.host_bus import ADDRESS_BITS, DATA_BITS, WORD_BYTES, BusError, HostBus
from hw.bus.protocol import (
    CHECK_BYTES,
    LARGEST_COUNT,
    PROTOCOL_VERSION,
    REQUEST_HEADER_BYTES,
    Command,
    RequestHeader,
    ResponseHeader,
    Status,
)
from hw.memory.two_port_memory import TwoPortMemory
from hw.stream.register import StreamRegister

_BYTE_PLACE_BITS = ceil_log2(WORD_BYTES)


class Outcome(data.StructLayout):
    """What a response says: `status`, `detail`, `count` as in `ResponseHeader`; `words`: the words read follow."""

    def __init__(self, link_words: int) -> None:
        detail = ResponseHeader()["detail"].shape
        super().__init__({"status": Status, "detail": detail, "count": range(link_words + 1), "words": 1})


class HostLink(wiring.Component):
    """Carries out requests on the host bus, stop and wait.

    ::

        bytes_in ---> frame decoder ---> header; words of a WRITE ---> bus.request
                                              (memory)                     |
        bytes_out <-- frame encoder <--- header; words of a READ <---- bus.response

    A request waits in a memory until its CRC is right, and is then carried out word by word, each when the one before
    is answered. At the first bus error the rest of it is left. A request with the sequence number after the last one's
    is carried out. One with the last one's is answered as that was, from a memory, and not carried out again. Nothing
    else has an effect, but a SYNC, after which its number is the last one's. A frame that is refused changes nothing.

    Bytes that arrive after the end of a frame are dropped until its response has left, which needs the one `FrameCheck`
    that there is. The frame that they belong to is dropped with them, without a word.

    Cycles, if `bytes_out` and `bus.request` are not waited for: a frame of b bytes on the line takes b cycles to
    arrive. From its last flag to the first one of the response it takes 2 cycles if the bus is not needed, or else
    `answer_cycles(n, t)` for n words, where the bus answers t cycles after it has taken a request. A response of r
    bytes before its CRC takes r + 6 cycles, and one more for each byte that is escaped.

    Parameters
    ----------
    link_words : int
        32-bit words that a frame can carry, 1 to 65535. The memory holds twice as many (of a power of two).

    Ports
    -----
    bytes_in : In stream of 8 bits
        It never waits.
    bytes_out : Out stream of 8 bits
    bus : Out(HostBus())
        An address that is no word's, or lies beyond the bus, is refused with `BusError.ADDRESS`, as if by the bus.
    """

    def __init__(self, link_words: int) -> None:
        if not 1 <= link_words <= LARGEST_COUNT:
            raise ValueError(f"a link of {link_words} words a frame: give 1 to {LARGEST_COUNT}")
        self.link_words = link_words
        self._header, self._kept = Signal(RequestHeader()), Signal(Outcome(link_words))
        self._last, self._synchronised = Signal.like(self._header.sequence), Signal()
        self._refusal, self._refused = Signal(Status, init=Status.DAMAGED), Signal()
        super().__init__(
            {
                "bytes_in": In(stream.Signature(BYTE_BITS)),
                "bytes_out": Out(stream.Signature(BYTE_BITS)),
                "bus": Out(HostBus()),
            }
        )

    @staticmethod
    def answer_cycles(words: int, bus_cycles: int) -> int:
        """Cycles from the last flag of a WRITE or READ of so many words to the first one of its response."""
        return words * (bus_cycles + 2) + 3

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shortest = REQUEST_HEADER_BYTES + CHECK_BYTES
        m.submodules.decoder = decoder = FrameDecoder(shortest, shortest + self.link_words * WORD_BYTES)
        m.submodules.encoder = encoder = FrameEncoder()
        m.submodules.store = store = TwoPortMemory(DATA_BITS, 2 << ceil_log2(self.link_words), parts=WORD_BYTES)
        connect(m, producer=flipped(self.bytes_in), consumer=decoder.bytes)
        connect(m, producer=encoder.bytes, consumer=flipped(self.bytes_out))
        # Which byte is sent comes late out of the memory, and decides, if it is escaped, when the next one is read.
        m.submodules.register = register = StreamRegister(FrameByte())
        connect(m, producer=register.o, consumer=encoder.frames)
        with m.FSM() as fsm:
            with m.State("RECEIVE"):
                self._receive(m, decoder.items, store)
            self._carry_out(m, store)
            with m.State("RESPOND"):
                self._respond(m, register.i, store)
        m.d.comb += decoder.deaf.eq(~fsm.ongoing("RECEIVE") | encoder.busy)
        self._check(m, decoder, encoder)
        return m

    def _check(self, m: Module, decoder: FrameDecoder, encoder: FrameEncoder) -> None:
        """The decoder's frames are checked, or while it is deaf the encoder's."""
        m.submodules.check = check = FrameCheck()
        user = check.user
        for name in ("start", "valid", "data"):
            of_decoder, of_encoder = getattr(decoder.check, name), getattr(encoder.check, name)
            m.d.comb += getattr(user, name).eq(Mux(decoder.deaf, of_encoder, of_decoder))
        for port in (decoder.check, encoder.check):
            m.d.comb += [port.crc.eq(user.crc), port.intact.eq(user.intact)]

    def _place(self, word: Value, *, read: bool) -> Value:
        """Where in the memory a word lies that has been read, or is to be written: each kind has a half."""
        return Cat(word[: ceil_log2(self.link_words)], Const(read, 1))

    def _receive(self, m: Module, items: stream.Interface, store: TwoPortMemory) -> None:
        """Header and words go to their places; at its end the frame is judged."""
        item = items.payload
        word = Signal(len(item.index) - _BYTE_PLACE_BITS)
        m.d.comb += [
            items.ready.eq(1),
            # Wraps around for the header, and so lies beyond the last word then, as it does for the CRC.
            word.eq(item.index[_BYTE_PLACE_BITS:] - REQUEST_HEADER_BYTES // WORD_BYTES),
            store.write.address.eq(self._place(word, read=False)),
            store.write.data.eq(item.data.replicate(WORD_BYTES)),
        ]
        with m.If(items.valid & item.end):
            self._judge(m, item, payload_words=(word - CHECK_BYTES // WORD_BYTES)[: len(word)])
        with m.Elif(items.valid):
            with m.If(item.index < REQUEST_HEADER_BYTES):
                place = item.index[: ceil_log2(REQUEST_HEADER_BYTES)]
                m.d.sync += self._header.as_value().word_select(place, BYTE_BITS).eq(item.data)
            with m.If(word < self.link_words):
                m.d.comb += store.write.enable.eq(1 << item.index[:_BYTE_PLACE_BITS])

    def _judge(self, m: Module, item: data.View, payload_words: Value) -> None:
        """Carry a request out, answer it as before, or refuse it."""
        header = self._header
        is_sync, is_write = header.command == Command.SYNC, header.command == Command.WRITE
        is_read = header.command == Command.READ
        expected_words = Mux(is_write, header.count, 0)
        whole = (payload_words == expected_words) & (item.index[:_BYTE_PLACE_BITS] == 0)
        m.d.sync += self._refused.eq(0)
        with m.If((item.fault == FrameFault.DAMAGED) | (item.fault == FrameFault.SHORT)):
            self._refuse(m, Status.DAMAGED)
        with m.Elif((item.fault == FrameFault.LONG) | (header.count > self.link_words)):
            self._refuse(m, Status.TOO_LONG)
        with m.Elif(~whole | ~(is_sync | is_write | is_read)):
            self._refuse(m, Status.BAD_COMMAND)
        with m.Elif(is_sync):
            self._accept(m, detail=PROTOCOL_VERSION, count=self.link_words)
            m.d.sync += self._synchronised.eq(1)
            m.next = "RESPOND"
        with m.Elif(self._synchronised & (header.sequence == self._last)):
            m.next = "RESPOND"
        with m.Elif(self._synchronised & (header.sequence == (self._last + 1)[: len(self._last)])):
            self._accept(m, words=is_read)
            m.next = "FETCH"
        with m.Else():
            self._refuse(m, Status.OUT_OF_SEQUENCE)

    def _refuse(self, m: Module, status: Status) -> None:
        m.d.sync += [self._refused.eq(1), self._refusal.eq(status)]
        m.next = "RESPOND"

    def _accept(self, m: Module, *, detail: int = 0, count: int = 0, words: Value | int = 0) -> None:
        """Make this the last request, whose outcome is kept."""
        m.d.sync += [
            self._last.eq(self._header.sequence),
            self._kept.status.eq(Status.OK),
            self._kept.detail.eq(detail),
            self._kept.count.eq(count),
            self._kept.words.eq(words),
        ]

    def _carry_out(self, m: Module, store: TwoPortMemory) -> None:
        """One word after the other, counted by what is kept of the outcome, until all are done or one fails."""
        address, kept = self._header.address, self._kept
        request, response = self.bus.request, self.bus.response
        on_the_bus = (address[:_BYTE_PLACE_BITS] == 0) & (address[ADDRESS_BITS:] == 0)
        m.d.comb += [
            request.payload.address.eq(address),
            request.payload.write.eq(~kept.words),
            request.payload.data.eq(store.read.data),
        ]
        with m.State("FETCH"):
            m.d.comb += [store.read.address.eq(self._place(kept.count, read=False)), store.read.enable.eq(1)]
            m.next = "REQUEST"
            with m.If(kept.count == self._header.count):
                m.next = "RESPOND"
            with m.Elif(~on_the_bus):
                self._fail(m, BusError.ADDRESS)
        with m.State("REQUEST"):
            m.d.comb += request.valid.eq(1)
            with m.If(request.ready):
                m.next = "AWAIT"
        with m.State("AWAIT"):
            m.d.comb += [
                response.ready.eq(1),
                store.write.address.eq(self._place(kept.count, read=True)),
                store.write.data.eq(response.payload.data),
            ]
            with m.If(response.valid & (response.payload.error != BusError.OK)):
                self._fail(m, response.payload.error)
            with m.Elif(response.valid):
                m.d.comb += store.write.enable.eq(kept.words.replicate(WORD_BYTES))
                # Its carry goes beyond the bus, and not around to address 0.
                next_word = address[_BYTE_PLACE_BITS : ADDRESS_BITS + 1]
                m.d.sync += [kept.count.eq(kept.count + 1), next_word.eq(next_word + 1)]
                m.next = "FETCH"

    def _fail(self, m: Module, error: Value | BusError) -> None:
        m.d.sync += [self._kept.status.eq(Status.BUS_ERROR), self._kept.detail.eq(error)]
        m.next = "RESPOND"

    def _respond(self, m: Module, frames: stream.Interface, store: TwoPortMemory) -> None:
        """The header, byte by byte, and then the words. Each word is fetched when the one before has left."""
        kept, header = self._kept, Signal(ResponseHeader())
        place, word, in_words = Signal(_BYTE_PLACE_BITS), Signal.like(kept.count), Signal()
        m.d.comb += [
            header.sequence.eq(self._header.sequence),
            header.status.eq(Mux(self._refused, self._refusal, kept.status)),
        ]
        with m.If(~self._refused):
            m.d.comb += [header.detail.eq(kept.detail), header.count.eq(kept.count)]
        at_end, ends = place.all(), Signal()
        m.d.comb += [
            ends.eq(at_end & (self._refused | ~kept.words | (word == kept.count))),
            frames.valid.eq(1),
            frames.payload.data.eq(Mux(in_words, store.read.data, header).word_select(place, BYTE_BITS)),
            frames.payload.last.eq(ends),
            store.read.address.eq(self._place(word, read=True)),
            store.read.enable.eq(frames.ready & at_end),
        ]
        with m.If(frames.ready):
            m.d.sync += place.eq(place + 1)
            with m.If(at_end):
                m.d.sync += [word.eq(word + 1), in_words.eq(1)]
            with m.If(ends):
                m.d.sync += [word.eq(0), in_words.eq(0)]
                m.next = "RECEIVE"
