import random
from typing import Any

import pytest

from host.framing import Response, encode_frame, request_content
from hw.bus.host_bus import BusError
from hw.bus.link import HostLink
from hw.bus.protocol import ESCAPE, FLAG, PROTOCOL_VERSION, Command, ResponseHeader, Status
from hw.bus.tests.conversation import Target, converse, read, request, sync, write
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source

LINK_WORDS = 8


def done(sequence, count, *words):
    return Response(sequence, Status.OK, 0, count, b"".join(word.to_bytes(4, "little") for word in words))


def synchronised(sequence, link_words=LINK_WORDS):
    return Response(sequence, Status.OK, PROTOCOL_VERSION, link_words, b"")


def refused(sequence, status):
    return Response(sequence, status, 0, 0, b"")


def code(error: Any) -> int:
    return error.value


def as_line(response):
    """The bytes on the line of a response."""
    fields = {name: getattr(response, name) for name in ("sequence", "status", "detail", "count")}
    return encode_frame(ResponseHeader().const(fields).as_bits().to_bytes(4, "little") + response.words)


def check(pieces, responses, **options):
    """Send pieces, compare the responses; returns the target."""
    conversation, target = converse(pieces, **options)
    assert conversation.responses == responses, options
    return target


@pytest.mark.parametrize("stalls", ["none", "random", "bursty", "slow"])
@pytest.mark.parametrize("link_words", [1, 2, 3, 8])
def test_words_are_written_and_read_back(stalls, link_words):
    seed = link_words
    words = random.Random(seed).choices(range(1 << 32), k=link_words)
    target = check(
        [sync(7), write(8, 0x100, *words), read(9, 0x100, link_words)],
        [synchronised(7, link_words), done(8, link_words), done(9, link_words, *words)],
        link_words=link_words,
        stalls=stalls,
        seed=seed,
    )
    assert target.served[:link_words] == [(0x100 + 4 * at, word) for at, word in enumerate(words)]
    assert target.served[link_words:] == [(0x100 + 4 * at, None) for at in range(link_words)]


def test_no_words_are_no_bus_requests():
    target = check([sync(0), write(1, 0), read(2, 0, 0)], [synchronised(0), done(1, 0), done(2, 0)])
    assert target.served == []


def test_sequence_numbers_wrap_around():
    pieces = [sync(254), write(255, 0, 1), write(0, 4, 2), write(1, 8, 3)]
    target = check(pieces, [synchronised(254), done(255, 1), done(0, 1), done(1, 1)])
    assert target.served == [(0, 1), (4, 2), (8, 3)]


def test_a_repeated_request_is_answered_again_and_not_carried_out_again():
    memory = {0: 0x1234, 4: 0x7D7E}
    pieces = [sync(0), read(1, 0, 2), read(1, 0, 2), write(2, 0, 5), write(2, 0, 5), read(3, 0, 1)]
    responses = [synchronised(0), *[done(1, 2, 0x1234, 0x7D7E)] * 2, *[done(2, 1)] * 2, done(3, 1, 5)]
    target = check(pieces, responses, memory=memory)
    assert target.served == [(0, None), (4, None), (0, 5), (0, None)]


def test_what_was_read_is_kept_while_other_frames_are_refused():
    """Frames that are refused, with payloads of their own, lie between a request and its repetition."""
    memory = {0: 11, 4: 22}
    damaged = bytearray(write(1, 0, 9, 9, 9))
    damaged[-3] ^= 1
    pieces = [sync(0), read(1, 0, 2), bytes(damaged), write(4, 0, 9, 9, 9), read(1, 0, 2)]
    responses = [
        synchronised(0),
        done(1, 2, 11, 22),
        refused(1, Status.DAMAGED),
        refused(4, Status.OUT_OF_SEQUENCE),
        done(1, 2, 11, 22),
    ]
    target = check(pieces, responses, memory=memory)
    assert target.served == [(0, None), (4, None)]


@pytest.mark.parametrize("command", ["write", "read"])
def test_after_a_bus_error_the_rest_is_not_carried_out(command):
    errors, memory = {0x18: BusError.DIRECTION}, {0x10: 1, 0x14: 2}
    piece = write(1, 0x10, 1, 2, 3, 4) if command == "write" else read(1, 0x10, 4)
    words = b"" if command == "write" else bytes([1, 0, 0, 0, 2, 0, 0, 0])
    response = Response(1, Status.BUS_ERROR, code(BusError.DIRECTION), 2, words)
    pieces = [sync(0), piece, piece, read(2, 0x10, 1)]
    target = check(pieces, [synchronised(0), response, response, done(2, 1, 1)], errors=errors, memory=memory)
    assert [address for address, _ in target.served] == [0x10, 0x14, 0x18, 0x10]


@pytest.mark.parametrize("error", [BusError.ADDRESS, BusError.DIRECTION, BusError.TIMEOUT, BusError.STATE])
def test_each_bus_error_is_passed_on(error):
    response = Response(1, Status.BUS_ERROR, code(error), 0, b"")
    check([sync(0), write(1, 0, 1)], [synchronised(0), response], errors={0: error})


@pytest.mark.parametrize("address", [1, 2, 0x1000000, 0x80000000, 0xFFFFFFFC])
def test_an_address_that_the_bus_cannot_have_is_an_error(address):
    response = Response(1, Status.BUS_ERROR, code(BusError.ADDRESS), 0, b"")
    target = check([sync(0), write(1, address, 1)], [synchronised(0), response])
    assert target.served == []


def test_addresses_do_not_wrap_around():
    response = Response(1, Status.BUS_ERROR, code(BusError.ADDRESS), 1, b"")
    target = check([sync(0), write(1, 0xFFFFFC, 1, 2)], [synchronised(0), response])
    assert target.served == [(0xFFFFFC, 1)]


def test_nothing_is_carried_out_before_a_sync():
    pieces = [write(0, 0, 1), write(1, 0, 1), write(255, 0, 1)]
    target = check(pieces, [refused(sequence, Status.OUT_OF_SEQUENCE) for sequence in (0, 1, 255)])
    assert target.served == []


@pytest.mark.parametrize("sequence", [4, 7, 132])
def test_other_sequence_numbers_are_refused(sequence):
    pieces = [sync(4), write(5, 0, 1), write(sequence, 0, 2), write(6, 0, 3)]
    responses = [synchronised(4), done(5, 1), refused(sequence, Status.OUT_OF_SEQUENCE), done(6, 1)]
    assert check(pieces, responses).served == [(0, 1), (0, 3)]


def test_a_sync_begins_anew():
    pieces = [sync(5), write(6, 0, 1), sync(99), sync(99), write(100, 0, 2), sync(100), write(101, 0, 3)]
    responses = [
        synchronised(5),
        done(6, 1),
        synchronised(99),
        synchronised(99),
        done(100, 1),
        synchronised(100),
        done(101, 1),
    ]
    assert check(pieces, responses).served == [(0, 1), (0, 2), (0, 3)]


def frame(content):
    return encode_frame(bytes(content))


@pytest.mark.parametrize(
    "piece, status",
    [
        (request(1, 0), Status.BAD_COMMAND),
        (request(1, 4), Status.BAD_COMMAND),
        (request(1, 0x82), Status.BAD_COMMAND),
        (frame(request_content(1, Command.WRITE, 0, 2, bytes(4))), Status.BAD_COMMAND),
        (frame(request_content(1, Command.WRITE, 0, 1, bytes(8))), Status.BAD_COMMAND),
        (frame(request_content(1, Command.WRITE, 0, 1, bytes(5))), Status.BAD_COMMAND),
        (frame(request_content(1, Command.WRITE, 0, 1, bytes(3))), Status.BAD_COMMAND),
        (frame(request_content(1, Command.READ, 0, 1, bytes(4))), Status.BAD_COMMAND),
        (frame(request_content(1, Command.SYNC, 0, 0, bytes(1))), Status.BAD_COMMAND),
        (read(1, 0, LINK_WORDS + 1), Status.TOO_LONG),
        (read(1, 0, 0x100 + LINK_WORDS), Status.TOO_LONG),
        (read(1, 0, 0xFFFF), Status.TOO_LONG),
        (write(1, 0, *range(LINK_WORDS + 1)), Status.TOO_LONG),
        (write(1, 0, *range(5 * LINK_WORDS)), Status.TOO_LONG),
    ],
)
def test_a_frame_that_cannot_be_carried_out_is_refused(piece, status):
    """And changes nothing: its number is still expected."""
    pieces = [sync(0), piece, write(1, 0, 7)]
    assert check(pieces, [synchronised(0), refused(1, status), done(1, 1)]).served == [(0, 7)]


@pytest.mark.parametrize("content", [b"", b"\x01", bytes(range(7))])
def test_a_frame_without_a_whole_header_is_damaged(content):
    conversation, target = converse([sync(0), frame(content), write(1, 0, 7)])
    assert conversation.statuses == [Status.OK, Status.DAMAGED, Status.OK]
    assert target.served == [(0, 7)]


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_frame_is_told_and_not_carried_out(seed):
    generator = random.Random(seed)
    damaged = bytearray(write(1, 0, *generator.choices(range(1 << 32), k=4)))
    damaged[generator.randrange(1, len(damaged) - 1)] ^= 1 << generator.randrange(8)
    conversation, target = converse([sync(0), bytes(damaged) + bytes([FLAG]), write(1, 0, 7)], seed=seed)
    # A flag may have come to be in its middle: the rest is dropped while the link says that the first part is damaged.
    assert conversation.statuses[1] == Status.DAMAGED, f"seed {seed}"
    assert conversation.responses[2] == done(1, 1), f"seed {seed}"
    assert target.served == [(0, 7)]


def test_an_aborted_frame_is_damaged():
    aborted = write(1, 0, 1, 2)[:-4] + bytes([ESCAPE, FLAG])
    target = check([sync(0), aborted, write(1, 0, 7)], [synchronised(0), refused(1, Status.DAMAGED), done(1, 1)])
    assert target.served == [(0, 7)]


@pytest.mark.parametrize("bus_cycles", range(1, 40, 3))
def test_what_arrives_while_a_frame_is_carried_out_is_dropped_without_a_word(bus_cycles):
    """A request twice without a pause: the second one begins while the first is carried out, and ends where it may."""
    dut = HostLink(LINK_WORDS)
    target = Target(dut.bus, cycles=bus_cycles)
    pause = bytes([FLAG]) * 100
    line = sync(0) + pause + 2 * write(1, 0, 1) + pause + write(2, 0, 2)
    responses = [synchronised(0), done(1, 1), done(2, 1)]
    heard = StreamSink(dut.bytes_out, count=sum(map(len, map(as_line, responses))), drain_cycles=200)

    async def listen(ctx: Any) -> None:
        await heard(ctx)
        target.over = True

    simulate(dut, stream_source(dut.bytes_in, line), listen, target, deadline=5_000)
    assert bytes(heard.beats) == b"".join(map(as_line, responses))
    assert target.served == [(0, 1), (0, 2)]


def test_flags_and_silence_are_no_frames():
    pieces = [bytes([FLAG]) * 5, sync(0), b"", b"\x00" * 30]
    conversation, _ = converse(pieces)
    assert conversation.responses == [None, synchronised(0), None, None]


@pytest.mark.parametrize("bus_cycles", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 5, 8])
@pytest.mark.parametrize("command", ["write", "read"])
def test_cycles(command, count, bus_cycles):
    piece = write(1, 0, *range(count)) if command == "write" else read(1, 0, count)
    conversation, _ = converse([sync(0), piece, piece], cycles=bus_cycles)
    assert conversation.answer_cycles == [2, HostLink.answer_cycles(count, bus_cycles), 2]


@pytest.mark.parametrize("words", [0, 65536])
def test_impossible_sizes_are_refused(words):
    with pytest.raises(ValueError, match=f"link of {words} words a frame"):
        HostLink(words)
