import numpy as np
import pytest

from host.framing import encode_frame
from host.link import SETTLE_SECONDS, BusAccessError, Link, LinkError, SilentDeviceError, WrongDeviceError
from host.tests.link_device import LINK_WORDS, Device, ScriptedTransport, response
from hw.bus.host_bus import BusError
from hw.bus.protocol import PROTOCOL_VERSION, Command, Status
from models.errors import SkipstoneError


def as_is(sent, answer):
    return answer


def nothing(sent, answer):
    return b""


def link_to(device=None, script=(), **options):
    transport = ScriptedTransport(device or Device(), script)
    return Link(transport, **options), transport


def sent_twice(transport, place):
    return transport.written[place] == transport.written[place + 1]


@pytest.mark.parametrize(
    "words",
    [
        [1, 2, 0xFFFFFFFF],
        np.array([1, 2, 0xFFFFFFFF], np.uint32),
        np.array([1, 2, 0xFFFFFFFF], np.int64),
        bytes.fromhex("0100000002000000ffffffff"),
    ],
    ids=["list", "uint32", "int64", "bytes"],
)
def test_words_in_every_form_are_written_and_read(words):
    link, transport = link_to()
    with link:
        link.write(8, words)
        found = link.read(8, 3)
    assert found.dtype == np.uint32 and found.tolist() == [1, 2, 0xFFFFFFFF]
    assert transport.closed


@pytest.mark.parametrize("count", [0, 1, LINK_WORDS, LINK_WORDS + 1, 3 * LINK_WORDS + 2])
def test_transfers_are_split_into_frames(count):
    device = Device()
    link, _ = link_to(device)
    words = np.arange(1, count + 1, dtype=np.uint32)
    link.write(0x100, words)
    np.testing.assert_array_equal(link.read(0x100, count), words)
    frames = [(0x100 + 4 * at, min(LINK_WORDS, count - at)) for at in range(0, count, LINK_WORDS)]
    expected = [(command, *frame) for command in (Command.WRITE, Command.READ) for frame in frames]
    assert device.requests == [(Command.SYNC, 0, 0), *expected]


@pytest.mark.parametrize(
    "fault",
    [
        nothing,
        lambda sent, answer: answer[:-2],
        lambda sent, answer: answer[:3] + b"\x7e" + answer[3:],
        lambda sent, answer: bytes([answer[0], answer[1] ^ 1, *answer[2:]]),
        lambda sent, answer: response(0, Status.DAMAGED),
    ],
    ids=["lost", "cut", "split", "another number", "request damaged"],
)
def test_a_request_without_an_answer_is_sent_again(fault):
    link, transport = link_to(script=[as_is, fault, fault, as_is])
    link.write(0, [5])
    assert link.repeats == 2
    assert len(transport.written) == 4 and sent_twice(transport, 1) and sent_twice(transport, 2)


def test_an_old_answer_is_not_taken_for_the_new_one():
    old = []

    def keep(sent, answer):
        old.append(answer)
        return answer

    device = Device()
    device.memory = {0: b"\x01\0\0\0", 4: b"\x02\0\0\0"}
    link, _ = link_to(device, script=[as_is, keep, lambda sent, answer: old[0] + answer])
    assert [link.read(0, 1).tolist(), link.read(4, 1).tolist()] == [[1], [2]]
    assert link.repeats == 0


def test_an_answer_after_a_report_of_damage_is_still_taken_but_not_long_waited_for():
    told = response(0, Status.DAMAGED)
    link, transport = link_to(script=[as_is, lambda sent, answer: told + answer, lambda sent, answer: told])
    link.write(0, [1])
    assert link.repeats == 0
    transport.waits.clear()
    link.write(0, [2])
    assert link.repeats == 1
    assert transport.waits[0] == 1.0 and transport.waits[2] == SETTLE_SECONDS


def test_before_a_sync_the_line_must_be_silent():
    link, transport = link_to()
    transport._waiting = response(17, detail=PROTOCOL_VERSION, count=99) * 3
    link.sync()
    assert link.link_words == LINK_WORDS


def test_a_silent_device():
    link, transport = link_to(script=[nothing] * 3, attempts=3)
    with pytest.raises(SilentDeviceError, match=r"^test port: no answer: connect"):
        link.sync()
    assert len(transport.written) == 3


@pytest.mark.parametrize(
    "answer, message",
    [
        (lambda sent, answer: b"login: ", "no accelerator, or not at this baud rate"),
        (lambda sent, answer: encode_frame(b"hello"), "no accelerator, or not at this baud rate"),
        (lambda sent, answer: sent, "what is sent comes back"),
        (lambda sent, answer: response(sent[1], Status.BAD_COMMAND), r"refuses a request \(BAD_COMMAND\)"),
    ],
    ids=["a terminal", "other frames", "an echo", "another protocol"],
)
def test_a_wrong_device(answer, message):
    link, _ = link_to(script=[answer] * 5)
    with pytest.raises(WrongDeviceError, match=message):
        link.sync()


def test_another_version_of_the_protocol():
    link, _ = link_to(Device(version=PROTOCOL_VERSION + 1))
    with pytest.raises(WrongDeviceError, match=f"speaks version {PROTOCOL_VERSION + 1} .* driver version"):
        link.read(0, 1)


def test_a_device_that_never_falls_silent():
    link, transport = link_to(attempts=2)
    transport.read = lambda timeout: bytes(1 << 16)
    with pytest.raises(WrongDeviceError):
        link.sync()


def test_a_line_that_damages_everything():
    link, _ = link_to(script=[as_is] + [lambda sent, answer: response(9, Status.DAMAGED)] * 5)
    with pytest.raises(LinkError, match="no whole answer in 5 attempts: the line damages too much"):
        link.write(0, [1])


def test_an_accelerator_that_was_reset_is_told_and_synchronised_anew():
    device = Device()
    lost = [as_is, as_is, lambda sent, answer: response(sent[1], Status.OUT_OF_SEQUENCE)]
    link, _ = link_to(device, script=lost)
    link.write(0, [1])
    with pytest.raises(LinkError, match="has lost count of the requests: it was reset"):
        link.write(0, [2])
    assert link.read(0, 1).tolist() == [2]
    assert [command for command, _, _ in device.requests][-2:] == [Command.SYNC, Command.READ]


@pytest.mark.parametrize(
    "write, error, message",
    [
        (True, BusError.ADDRESS, "nothing is there"),
        (True, BusError.DIRECTION, "what is there cannot be written"),
        (False, BusError.DIRECTION, "what is there cannot be read"),
        (False, BusError.TIMEOUT, "not ready for it in time"),
        (True, BusError.STATE, "not possible in the state"),
    ],
)
def test_a_bus_error_names_the_address_and_the_reason(write, error, message):
    """In the second frame of a transfer; the words before have been written, the others not."""
    device = Device(errors={0x18: error})
    link, _ = link_to(device)
    with pytest.raises(BusAccessError) as caught:
        link.write(0, range(1, 13)) if write else link.read(0, 12)
    assert (caught.value.address, caught.value.code) == (0x18, error)
    done = "written" if write else "read"
    assert str(caught.value).startswith(f"test port: address 0x000018 could not be {done}: ")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert isinstance(caught.value, SkipstoneError)
    assert sorted(device.memory) == (list(range(0, 0x18, 4)) if write else [])
    link.write(0x40, [7])
    assert link.read(0x40, 1).tolist() == [7]


@pytest.mark.parametrize(
    "words, message",
    [
        (b"123", "3 bytes to write: give a multiple of 4"),
        (np.zeros(4, np.uint8), "array of uint8 to write"),
        (np.zeros(4, np.float32), "integers from 0"),
        ([-1], "integers from 0"),
        ([1 << 32], "integers from 0"),
        (["a"], "integers from 0"),
    ],
)
def test_what_is_no_word_is_refused_before_anything_is_sent(words, message):
    link, transport = link_to()
    with pytest.raises(ValueError, match=message):
        link.write(0, words)
    assert not transport.written


@pytest.mark.parametrize("address", [-4, 2, 1 << 32])
def test_what_is_no_address_is_refused_before_anything_is_sent(address):
    link, transport = link_to()
    for transfer in (lambda: link.write(address, [1]), lambda: link.read(address, 1)):
        with pytest.raises(ValueError, match="give a multiple of 4"):
            transfer()
    assert not transport.written
