import random
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib.wiring import connect

from host.framing import encode_frame
from hw.bus.framing import FrameCheck, FrameDecoder, FrameEncoder, FrameFault
from hw.bus.protocol import CHECK_BYTES, ESCAPE, FLAG
from hw.stream.tests.timing import TransferTimes
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source

SHORTEST, LONGEST = 6, 20

KNOWN = b"\x7e123456789\x26\x39\xf4\xcb\x7e"
"""The frame of the bytes by which CRCs are known; theirs is 0xcbf43926."""

every_stall = pytest.mark.parametrize("stalls", ["none", "random", "bursty", "slow"])


class Checked(Elaboratable):
    """An encoder or a decoder with a check of its own; has its ports."""

    def __init__(self, part):
        self._part = part

    def __getattr__(self, name):
        return getattr(self._part, name)

    def elaborate(self, platform):
        m = Module()
        m.submodules.part = self._part
        m.submodules.check = check = FrameCheck()
        connect(m, self._part.check, check.user)
        return m


def random_contents(seed, count, *, shortest=SHORTEST, longest=LONGEST):
    """Contents of frames, many of their bytes such as must be escaped."""
    generator = random.Random(seed)
    lengths = [generator.randint(shortest - CHECK_BYTES, longest - CHECK_BYTES) for _ in range(count)]
    return [bytes(generator.choice([FLAG, ESCAPE, generator.randrange(256)]) for _ in range(n)) for n in lengths]


def checked(content):
    """A frame as it is between the flags, unescaped."""
    return content + int.to_bytes(_crc(content), CHECK_BYTES, "little")


def _crc(content):
    """CRC-32, bit by bit, as the standard puts it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def encode(contents, stalls="none", seed=0):
    """What the encoder makes of frames with those contents."""
    dut = Checked(FrameEncoder())
    beats = [{"data": byte, "last": at == len(content) - 1} for content in contents for at, byte in enumerate(content)]
    line = b"".join(encode_frame(content) for content in contents)
    sink = StreamSink(dut.bytes, count=len(line), stalls=stalls, seed=seed)
    simulate(dut, stream_source(dut.frames, beats, stalls=stalls, seed=seed), sink)
    return bytes(sink.beats)


def items(frames):
    """What a decoder gives for frames: pairs of the bytes that it passes on, and the fault."""
    beats = []
    for content, fault in frames:
        beats += [(0, at, byte) for at, byte in enumerate(content)]
        beats.append((1, len(content), fault))
    return beats


def decode(line, count, stalls="none", seed=0):
    """What a decoder gives for a line, in the form of `items`; `count` of them are waited for."""
    dut = Checked(FrameDecoder(SHORTEST, LONGEST))
    sink = StreamSink(dut.items, count=count, stalls=stalls, seed=seed)
    deadline = 100 * len(line) + 100
    simulate(dut, stream_source(dut.bytes, line, stalls=stalls, seed=seed), sink, deadline=deadline)
    return [(beat["end"], beat["index"], beat["fault"] if beat["end"] else beat["data"]) for beat in sink.beats]


def check(line, frames, **options):
    expected = items(frames)
    assert decode(line, len(expected), **options) == expected, options


def good(content):
    return checked(content), FrameFault.NONE


def test_a_known_frame_is_encoded():
    assert encode([b"123456789"]) == KNOWN


def test_a_known_frame_is_decoded():
    check(KNOWN, [(KNOWN[1:-1], FrameFault.NONE)])


@every_stall
def test_random_frames_are_encoded(stalls):
    seed = 1
    contents = random_contents(seed, count=25, shortest=CHECK_BYTES + 1, longest=40)
    expected = b"".join(encode_frame(content) for content in contents)
    assert encode(contents, stalls, seed) == expected, f"seed {seed}"


@every_stall
def test_random_frames_are_decoded(stalls):
    seed = 2
    contents = random_contents(seed, count=25)
    line = b"".join(encode_frame(content) for content in contents)
    check(line, [good(content) for content in contents], stalls=stalls, seed=seed)


def test_the_encoder_takes_six_cycles_more_than_bytes_and_escapes():
    contents = random_contents(seed=3, count=10, longest=30)
    dut = Checked(FrameEncoder())
    beats = [{"data": byte, "last": at == len(content) - 1} for content in contents for at, byte in enumerate(content)]
    line = b"".join(encode_frame(content) for content in contents)
    times = TransferTimes(dut.bytes, len(line))
    simulate(dut, stream_source(dut.frames, beats), times, StreamSink(dut.bytes, count=len(line)))
    assert times.cycles == list(range(times.cycles[0], times.cycles[0] + len(line)))
    stuffed = sum(len(content) + 6 for content in contents) + _escapes(contents)
    assert len(line) == stuffed


def _escapes(contents):
    return sum(byte in (FLAG, ESCAPE) for content in contents for byte in checked(content))


def test_the_decoder_takes_a_byte_a_cycle():
    line = b"".join(encode_frame(content) for content in random_contents(seed=4, count=10))
    dut = Checked(FrameDecoder(SHORTEST, LONGEST))
    times = TransferTimes(dut.bytes, len(line))
    expected = [good(content) for content in random_contents(seed=4, count=10)]
    simulate(dut, stream_source(dut.bytes, line), times, StreamSink(dut.items, count=len(items(expected))))
    assert times.cycles == list(range(len(line)))


def test_one_flag_may_end_a_frame_and_begin_the_next():
    first, second = encode_frame(b"first"), encode_frame(b"second")
    check(first + second[1:], [good(b"first"), good(b"second")])


def test_flags_may_fill_the_time_between_frames():
    check(bytes([FLAG]) * 9 + KNOWN + bytes([FLAG]) * 9 + KNOWN, [good(b"123456789")] * 2)


def test_what_comes_before_the_first_flag_is_dropped():
    check(b"123456789" + bytes([ESCAPE]) + KNOWN, [good(b"123456789")])


def test_each_wrong_bit_is_found():
    frames = [bytearray(KNOWN[1:-1]) for _ in range(8 * (len(KNOWN) - 2))]
    for bit, frame in enumerate(frames):
        frame[bit // 8] ^= 1 << bit % 8
    assert not any(byte in (FLAG, ESCAPE) for frame in frames for byte in frame)
    line = b"".join(bytes([FLAG]) + frame for frame in frames)
    check(line + KNOWN, [*((bytes(frame), FrameFault.DAMAGED) for frame in frames), good(b"123456789")])


@pytest.mark.parametrize(
    "piece, passed_on",
    [
        (b"\x7e1234\x7d\x7e", b"1234"),
        (b"\x7e\x7d\x7e", b""),
        (KNOWN[:-1] + b"\x7d\x7e", KNOWN[1:-1]),
    ],
    ids=["in the middle", "at the start", "after the CRC"],
)
def test_an_aborted_frame_is_damaged(piece, passed_on):
    check(piece + KNOWN, [(passed_on, FrameFault.DAMAGED), good(b"123456789")])


@pytest.mark.parametrize("length", [CHECK_BYTES, SHORTEST - 1])
def test_a_short_frame_is_told(length):
    content = bytes(length - CHECK_BYTES)
    check(encode_frame(content) + KNOWN, [(checked(content), FrameFault.SHORT), good(b"123456789")])


@pytest.mark.parametrize("length", [LONGEST + 1, LONGEST + 2, 3 * LONGEST])
def test_a_long_frame_is_cut_and_told(length):
    content = bytes(range(length - CHECK_BYTES))
    check(encode_frame(content) + KNOWN, [(checked(content)[:LONGEST], FrameFault.LONG), good(b"123456789")])


def test_a_long_frame_with_a_wrong_crc_is_damaged():
    line = bytearray(encode_frame(bytes(range(50, 50 + 2 * LONGEST))))
    line[-3] ^= 1
    check(bytes(line) + KNOWN, [(bytes(line[1 : 1 + LONGEST]), FrameFault.DAMAGED), good(b"123456789")])


@pytest.mark.parametrize("length", [SHORTEST, LONGEST])
def test_frames_of_the_lengths_at_the_limits_are_good(length):
    content = bytes(range(length - CHECK_BYTES))
    check(encode_frame(content), [good(content)])


@pytest.mark.parametrize("seed", range(4))
def test_after_any_garbage_and_a_flag_a_frame_is_good(seed):
    generator = random.Random(seed)
    dut = Checked(FrameDecoder(SHORTEST, LONGEST))
    garbage = bytes(generator.choice([FLAG, ESCAPE, generator.randrange(256)]) for _ in range(60))
    expected = items([good(b"123456789")])
    seen: list[Any] = []

    async def collect(ctx: Any) -> None:
        ctx.set(dut.items.ready, 1)
        for _ in range(len(garbage) + 2 * len(KNOWN)):
            _, _, valid, end, index, data, fault = await ctx.tick().sample(
                dut.items.valid, *(dut.items.payload[name] for name in ("end", "index", "data", "fault"))
            )
            if valid:
                seen.append((end, index, FrameFault(fault) if end else data))

    simulate(dut, stream_source(dut.bytes, garbage + KNOWN), collect)
    assert seen[-len(expected) :] == expected, f"seed {seed}"


def test_a_deaf_decoder_drops_bytes_and_then_waits_for_a_flag():
    """It is deaf from the middle of the first frame to the middle of the second."""
    dut = Checked(FrameDecoder(SHORTEST, LONGEST))
    half = len(KNOWN) // 2
    line = KNOWN * 3
    sink = StreamSink(dut.items, count=half - 1 + len(items([good(b"123456789")])))

    async def play(ctx: Any) -> None:
        ctx.set(dut.bytes.valid, 1)
        for at, byte in enumerate(line):
            ctx.set(dut.bytes.payload, byte)
            ctx.set(dut.deaf, half <= at < len(KNOWN) + half)
            await ctx.tick()
        ctx.set(dut.bytes.valid, 0)

    simulate(dut, play, sink)
    contents = [beat["data"] for beat in sink.beats if not beat["end"]]
    assert bytes(contents) == KNOWN[1:half] + KNOWN[1:-1]
    assert [(beat["index"], beat["fault"]) for beat in sink.beats if beat["end"]] == [(13, FrameFault.NONE)]


@pytest.mark.parametrize("sizes", [(3, 20), (21, 20)])
def test_impossible_lengths_are_refused(sizes):
    with pytest.raises(ValueError, match=r"frames of \d+ to 20 bytes"):
        FrameDecoder(*sizes)
