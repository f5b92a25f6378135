import random
import zlib

import pytest

from host.framing import FrameDecoder, Response, encode_frame
from host.tests.link_device import response
from hw.bus.protocol import ESCAPE, FLAG, Command, Status

KNOWN = b"\x7e123456789\x26\x39\xf4\xcb\x7e"
FLAG_BYTE, ESCAPE_BYTE = bytes([FLAG]), bytes([ESCAPE])


def random_contents(generator, count):
    choices = [FLAG, ESCAPE, *range(256)]
    return [bytes(generator.choices(choices, k=generator.randrange(30))) for _ in range(count)]


def test_a_known_frame():
    assert encode_frame(b"123456789") == KNOWN
    assert FrameDecoder().feed(KNOWN) == [b"123456789"]


def test_flags_and_escapes_are_escaped():
    content = FLAG_BYTE + ESCAPE_BYTE + b"\x5e\x5d"
    crc = zlib.crc32(content).to_bytes(4, "little")
    assert not {FLAG, ESCAPE} & set(crc)
    assert encode_frame(content) == b"\x7e\x7d\x5e\x7d\x5d\x5e\x5d" + crc + b"\x7e"


@pytest.mark.parametrize("seed", range(5))
def test_frames_are_found_however_they_arrive(seed):
    generator = random.Random(seed)
    contents = random_contents(generator, 40)
    line = b"".join(encode_frame(content) for content in contents)
    decoder, found = FrameDecoder(), []
    while line:
        length = generator.randint(1, 20)
        found += decoder.feed(line[:length])
        line = line[length:]
    assert found == contents, f"seed {seed}"
    assert decoder.damaged == 0


@pytest.mark.parametrize("seed", range(5))
def test_frames_are_found_after_any_noise(seed):
    generator = random.Random(seed)
    for content, noise in zip(random_contents(generator, 50), random_contents(generator, 50), strict=True):
        decoder = FrameDecoder()
        assert decoder.feed(noise + encode_frame(content))[-1:] == [content], f"seed {seed}, noise {noise.hex()}"


def test_every_wrong_bit_is_found():
    for bit in range(8, 8 * (len(KNOWN) - 1)):
        line = bytearray(KNOWN)
        line[bit // 8] ^= 1 << bit % 8
        decoder = FrameDecoder()
        assert decoder.feed(bytes(line) + KNOWN) == [b"123456789"]
        assert decoder.damaged == 1


@pytest.mark.parametrize("piece", [b"123", KNOWN[1:-1] + ESCAPE_BYTE, ESCAPE_BYTE, b"\x00" * 9])
def test_other_pieces_are_counted_and_dropped(piece):
    decoder = FrameDecoder()
    assert decoder.feed(FLAG_BYTE + piece + KNOWN) == [b"123456789"]
    assert decoder.damaged == 1


def test_what_is_too_long_is_dropped_and_not_kept():
    decoder = FrameDecoder(longest=13)
    assert decoder.feed(KNOWN) == [b"123456789"]
    assert decoder.feed(encode_frame(b"123456789a")) == []
    for _ in range(100):
        assert decoder.feed(bytes(1000)) == []
    assert len(decoder._piece) <= 14
    assert decoder.feed(KNOWN) == [b"123456789"]
    assert decoder.damaged == 2


def content_of(line):
    (content,) = FrameDecoder().feed(line)
    return content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01\x08\x00",
        content_of(response(1, count=2, words=bytes(4))),
        content_of(response(1, count=0, words=bytes(4))),
        b"\x01\x01\x00\x00",  # a request's beginning
        content_of(response(1, Status.BUS_ERROR, detail=7)),
    ],
)
def test_what_is_no_response(content):
    assert Response.parse(content) is None


SYNCED = Response(1, Status.OK, 1, 4, b"")
WRITTEN = Response(1, Status.OK, 0, 2, b"")
FOUND = Response(1, Status.OK, 0, 2, bytes(8))
FAILED = Response(1, Status.BUS_ERROR, 1, 1, b"")
FAILED_LATE = Response(1, Status.BUS_ERROR, 1, 2, b"")
LOST_COUNT = Response(1, Status.OUT_OF_SEQUENCE, 0, 0, b"")
MISUNDERSTOOD = Response(1, Status.BAD_COMMAND, 0, 0, b"")


@pytest.mark.parametrize(
    "command, answers",
    [
        (Command.SYNC, [SYNCED, MISUNDERSTOOD]),
        (Command.WRITE, [WRITTEN, FAILED, LOST_COUNT, MISUNDERSTOOD]),
        (Command.READ, [FOUND, LOST_COUNT, MISUNDERSTOOD]),
    ],
)
def test_which_response_can_answer_a_request_for_two_words(command, answers):
    responses = [SYNCED, WRITTEN, FOUND, FAILED, FAILED_LATE, LOST_COUNT, MISUNDERSTOOD]
    assert [response for response in responses if response.answers(command, 2)] == answers
