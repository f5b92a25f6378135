"""An asynchronous serial port: two pins to two streams of bytes."""

from __future__ import annotations

from amaranth import Cat, Const, Signal
from amaranth.hdl import Module
from amaranth.lib import cdc, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

DATA_BITS = 8
LEAST_DIVISOR = 4

SYNCHRONISER_STAGES = 2

FRAME_BITS = 1 + DATA_BITS + 1
"""Start bit, data, stop bit."""


def _check_divisor(divisor: int) -> None:
    if divisor < LEAST_DIVISOR:
        raise ValueError(f"a UART of {divisor} clock cycles a bit: give at least {LEAST_DIVISOR}, or a faster clock")


class UartReceiver(wiring.Component):
    """A pin to bytes: 8 data bits, least significant first, no parity.

    A falling edge begins a byte if the pin is still low in the middle of the start bit; else it was a glitch. Each bit
    is sampled once, in its middle. If there is no stop bit in the end the byte is dropped, and the next one may begin
    when the pin was high again; so a break gives nothing. The sender's clock may be 2 % off.

    The pin cannot be told to wait. One byte is held until it is taken; if the next one is complete before, that one is
    dropped, and `overrun` tells. So each byte must be taken within `FRAME_BITS` x `divisor` cycles.

    Parameters
    ----------
    divisor : int
        Clock cycles a bit, at least 4.

    Ports
    -----
    rx : In
        Asynchronous; high when idle.
    bytes : Out stream of 8 bits
    overrun : Out
        For one cycle: a byte was dropped, because the one before had not been taken.

    Attributes
    ----------
    latency : int
        Cycles from the middle of the stop bit at the pin to the byte.
    """

    latency = SYNCHRONISER_STAGES + 1

    def __init__(self, divisor: int) -> None:
        _check_divisor(divisor)
        self.divisor = divisor
        super().__init__({"rx": In(1, init=1), "bytes": Out(stream.Signature(DATA_BITS)), "overrun": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pin = Signal(init=1)
        m.submodules.synchroniser = cdc.FFSynchronizer(self.rx, pin, init=1, stages=SYNCHRONISER_STAGES)
        timer, bits = Signal(range(self.divisor)), Signal(DATA_BITS)
        sample, complete = Signal(), Signal()
        m.d.comb += sample.eq(timer == 0)
        m.d.sync += timer.eq(timer - 1)
        with m.If(sample):
            m.d.sync += timer.eq(self.divisor - 1)
        with m.FSM():
            with m.State("IDLE"):
                # The first low cycle ends now, so that many more until the middle.
                m.d.sync += timer.eq(self.divisor // 2 - 1)
                with m.If(~pin):
                    m.next = "START"
            with m.State("START"):
                # The start bit is the mark that comes out in the end.
                m.d.sync += bits.eq(1 << DATA_BITS - 1)
                with m.If(sample):
                    m.next = "DATA"
                    with m.If(pin):
                        m.next = "IDLE"
            with m.State("DATA"):
                with m.If(sample):
                    m.d.sync += bits.eq(Cat(bits[1:], pin))
                    with m.If(bits[0]):
                        m.next = "STOP"
            with m.State("STOP"):
                m.d.comb += complete.eq(sample & pin)
                with m.If(sample):
                    m.next = "IDLE"
                    with m.If(~pin):
                        m.next = "BREAK"
            with m.State("BREAK"):
                with m.If(pin):
                    m.next = "IDLE"
        free = ~self.bytes.valid | self.bytes.ready
        m.d.comb += self.overrun.eq(complete & ~free)
        with m.If(free):
            m.d.sync += self.bytes.valid.eq(complete)
            with m.If(complete):
                m.d.sync += self.bytes.payload.eq(bits)
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a pin, as `UartReceiver` takes them.

    A byte takes `FRAME_BITS` x `divisor` cycles, and the next one may follow at once. Latency, from a byte to its start
    bit: 1.

    Parameters
    ----------
    divisor : int
        Clock cycles a bit, at least 4.

    Ports
    -----
    bytes : In stream of 8 bits
    tx : Out
        High when idle.
    """

    def __init__(self, divisor: int) -> None:
        _check_divisor(divisor)
        self.divisor = divisor
        super().__init__({"bytes": In(stream.Signature(DATA_BITS)), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timer, left, bits = Signal(range(self.divisor)), Signal(range(FRAME_BITS)), Signal(DATA_BITS, init=-1)
        m.d.comb += self.bytes.ready.eq((timer == 0) & (left == 0))
        with m.If(self.bytes.valid & self.bytes.ready):
            m.d.sync += [
                self.tx.eq(0),
                bits.eq(self.bytes.payload),
                timer.eq(self.divisor - 1),
                left.eq(FRAME_BITS - 1),
            ]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(left != 0):
            m.d.sync += [Cat(self.tx, bits).eq(Cat(bits, Const(1))), timer.eq(self.divisor - 1), left.eq(left - 1)]
        return m


class Uart(wiring.Component):
    """A serial port, 8N1, without flow control: `UartReceiver` and `UartTransmitter`.

    Parameters
    ----------
    divisor : int
        Clock cycles a bit, at least 4: 3 Mbaud with a clock of 12 MHz.

    Ports
    -----
    rx : In
    tx : Out
    received : Out stream of 8 bits
        From `rx`. A byte that is not taken until the next one is complete keeps its place, and the next one is lost.
    to_send : In stream of 8 bits
        To `tx`.
    overrun : Out
        For one cycle: a byte from `rx` was lost.
    """

    def __init__(self, divisor: int) -> None:
        _check_divisor(divisor)
        self.divisor = divisor
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "received": Out(stream.Signature(DATA_BITS)),
                "to_send": In(stream.Signature(DATA_BITS)),
                "overrun": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        connect(m, producer=receiver.bytes, consumer=flipped(self.received))
        connect(m, producer=flipped(self.to_send), consumer=transmitter.bytes)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx), self.overrun.eq(receiver.overrun)]
        return m
