"""From pin to pin: a serial port and a link, with a memory behind its bus."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from host.framing import FrameDecoder, Response
from hw.bus.host_bus import HostBus
from hw.bus.link import HostLink
from hw.bus.protocol import PROTOCOL_VERSION, Status
from hw.bus.tests.conversation import Target, read, sync, write
from hw.bus.tests.lines import PinReader, drive, levels
from hw.bus.uart import Uart
from sim.harness.amaranth_sim import simulate

DIVISOR = 4
LINK_WORDS = 4


class UartLink(wiring.Component):
    """A `HostLink` behind a `Uart`."""

    rx: In(1, init=1)
    tx: Out(1, init=1)
    bus: Out(HostBus())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.uart = uart = Uart(DIVISOR)
        m.submodules.link = link = HostLink(LINK_WORDS)
        connect(m, producer=uart.received, consumer=link.bytes_in)
        connect(m, producer=link.bytes_out, consumer=uart.to_send)
        connect(m, link.bus, flipped(self.bus))
        m.d.comb += [uart.rx.eq(self.rx), self.tx.eq(uart.tx)]
        return m


def test_from_pin_to_pin_at_the_highest_rate():
    dut = UartLink()
    target = Target(dut.bus)
    words = [0x7E7D7E7D, 0, 0xFFFFFFFF, 0x12345678]
    pause = [1] * 40 * 10 * DIVISOR  # the longest response and more
    line = [
        level
        for piece in (sync(1), write(2, 0x40, *words), read(3, 0x40, 4), read(3, 0x40, 4))
        for level in levels(piece, DIVISOR) + pause
    ]
    reader = PinReader(dut.tx, DIVISOR, cycles=len(line))

    async def end(ctx: Any) -> None:
        await drive(dut.rx, line)(ctx)
        target.over = True

    simulate(dut, end, reader, target)
    responses = [Response.parse(content) for content in FrameDecoder().feed(bytes(reader.values))]
    content = b"".join(word.to_bytes(4, "little") for word in words)
    assert responses == [
        Response(1, Status.OK, PROTOCOL_VERSION, LINK_WORDS, b""),
        Response(2, Status.OK, 0, 4, b""),
        Response(3, Status.OK, 0, 4, content),
        Response(3, Status.OK, 0, 4, content),
    ]
    assert [address for address, _ in target.served] == 2 * [0x40, 0x44, 0x48, 0x4C]
