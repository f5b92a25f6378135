"""Payloads in their four forms, and stall profiles."""

import itertools
import random

import numpy as np
import pytest
from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum

from sim.harness import payload
from sim.harness.stalls import PROFILES, StallProfile, stall_profile, stream_seed
from sim.tests.harness.components import PIXEL


class Kind(enum.Enum, shape=2):  # type: ignore[call-arg]
    DENSE = 0
    SPARSE = 2


class Word(data.Struct):
    kind: Kind
    delta: signed(5)
    pixels: data.ArrayLayout(PIXEL, 2)


def test_pack_and_unpack_are_inverse():
    pixels = [{"value": [1, 2, 3], "offset": 4, "last": 1}, {"value": [255, 0, 254], "offset": 31, "last": 0}]
    value = {"kind": Kind.SPARSE, "delta": -16, "pixels": pixels}
    bits = payload.pack(Word, value)
    assert bits == data.Layout.cast(Word).const({**value, "kind": Kind.SPARSE}).as_bits()
    assert payload.unpack(Word, bits) == value


@pytest.mark.parametrize(
    ("shape", "value"), [(unsigned(8), 256), (unsigned(8), -1), (signed(8), 128), (signed(8), -129)]
)
def test_a_value_that_does_not_fit_is_refused(shape, value):
    with pytest.raises(ValueError, match="does not fit"):
        payload.pack(shape, value)
    with pytest.raises(ValueError, match="does not fit"):
        payload.pack(data.ArrayLayout(shape, 2), [0, value])


@pytest.mark.parametrize("shape", [signed(8), 8, range(-3, 4)])
def test_numbers_keep_their_sign(shape):
    for value in (0, 3, -3) if shape != 8 else (0, 3, 255):
        assert payload.unpack(shape, payload.pack(shape, value)) == value


@pytest.mark.parametrize("width", [1, 7, 8, 9, 64, 65, 128, 1200, 1201])
def test_rows_and_hex_keep_every_bit(width):
    generator = random.Random(width)
    beats = [generator.getrandbits(width) for _ in range(17)] + [0, (1 << width) - 1]
    rows = payload.to_rows(width, beats)
    assert rows.shape == (19, -(-width // 8))
    assert payload.from_rows(rows) == beats
    text = payload.to_hex(rows)
    assert [int(line, 16) for line in text.splitlines()] == beats
    assert np.array_equal(payload.from_hex(text, width), rows)
    assert np.array_equal(payload.to_rows(width, rows), rows)
    assert np.array_equal(payload.to_rows(width, [row.tobytes() for row in rows]), rows)


def test_no_beats_are_rows_too():
    assert payload.to_rows(12, []).shape == (0, 2)
    assert payload.from_hex(payload.to_hex(payload.to_rows(12, [])), 12).shape == (0, 2)


@pytest.mark.parametrize("beats", [[256], [-1], [b"ab"], np.zeros((1, 2), np.uint8)])
def test_beats_that_do_not_fit_are_refused(beats):
    with pytest.raises(ValueError, match="beat"):
        payload.to_rows(8, beats)


def test_bits_beyond_the_width_are_refused():
    with pytest.raises(ValueError, match="7 bits"):
        payload.to_rows(7, np.array([[128]], np.uint8))


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_stall_as_often_as_they_say(name):
    profile = stall_profile(name)
    stalled = list(itertools.islice(profile.decisions(seed=5), 20_000))
    assert abs(sum(stalled) / len(stalled) - profile.probability) < 0.08
    changes = sum(a != b for a, b in itertools.pairwise(stalled))
    assert changes <= 2.2 * len(stalled) * profile.probability * (1 - profile.probability) / 2**profile.hold_log2


def test_bad_profiles_are_refused():
    with pytest.raises(ValueError, match="none, random, bursty, slow"):
        stall_profile("often")
    with pytest.raises(ValueError, match="less than 1"):
        StallProfile(1.0)
    with pytest.raises(ValueError, match="hold_log2"):
        StallProfile(0.5, hold_log2=9)


def test_streams_of_a_bench_stall_apart():
    assert stream_seed(1, "a") != stream_seed(1, "b") != stream_seed(2, "b")
