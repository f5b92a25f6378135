import time

import numpy as np
import pytest

from models.errors import SkipstoneError
from models.sparsity import Beats, compressed_bits, encode_beats, from_beats, to_beats, to_packets
from models.sparsity.tests.test_codec import SHAPES, random_rows


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("beat_units", [1, 2, 4, 16, 32])
def test_beats_give_back_the_rows(bits, sparse, beat_units):
    for seed, shape in enumerate(SHAPES):
        for density in (0.0, 0.4, 1.0):
            rows = random_rows(shape, bits, density, seed)
            beats = encode_beats(rows, bits, beat_units, sparse=sparse)
            message = f"shape {shape}, density {density}, seed {seed}"
            expected = rows.reshape(-1, shape[-1])
            assert (from_beats(beats, shape[-1], bits, sparse=sparse) == expected).all(), message
            again = Beats.from_integers(beats.as_integers(), beats.last.tolist(), beat_units, bits)
            assert (again.data == beats.data).all() and (again.last == beats.last).all(), message


def test_the_wire_has_the_documented_bytes():
    row = np.array([[0, 7, 0, 0, 9] + [0] * 11 + [1, 0, 2]])
    beats = encode_beats(row, 8, 4, sparse=True)
    assert beats.data.tolist() == [[0b10010, 0, 7, 9], [0b101, 0, 1, 2]]
    assert beats.last.tolist() == [False, True]
    assert encode_beats(row, 16, 4, sparse=True).data.tolist() == [
        [0b10010, 0, 7, 0, 9, 0, 0b101, 0],
        [1, 0, 2, 0, 0, 0, 0, 0],
    ]
    assert encode_beats(row[:, :5], 8, 4, sparse=False).data.tolist() == [[0, 7, 0, 0], [9, 0, 0, 0]]


@pytest.mark.parametrize("bits", [8, 16])
def test_units_are_the_compressed_size(bits):
    rows = random_rows((9, 50), bits, 0.5, seed=bits)
    packets = to_packets(rows, bits, sparse=True)
    assert len(packets) == 9
    assert packets.units.size * bits == compressed_bits(rows, bits)


def test_packets_can_be_picked_and_reordered():
    rows = random_rows((6, 33), 8, 0.5, seed=3)
    picked = encode_beats(rows, 8, 4, sparse=True).select([5, 0, 0, 3])
    assert (from_beats(picked, 33, 8, sparse=True) == rows[[5, 0, 0, 3]]).all()


@pytest.mark.parametrize("sparse", [True, False])
def test_damaged_streams_are_refused(sparse):
    rows = random_rows((3, 40), 8, 0.9, seed=1)
    beats = encode_beats(rows, 8, 4, sparse=sparse)

    def read(data, last, elements=40):
        return from_beats(Beats(data, last), elements, 8, sparse=sparse)

    with pytest.raises(SkipstoneError, match="packet 2: the stream ends before"):
        read(beats.data[:-1], beats.last[:-1])
    last = beats.last.copy()
    last[beats.ends[0] - 1], last[beats.ends[0] - 2] = False, True
    with pytest.raises(SkipstoneError, match="packet 0 ends within its"):
        read(beats.data, last)
    last = beats.last.copy()
    last[beats.ends[1] - 1] = False
    with pytest.raises(SkipstoneError, match="packet 1 goes on"):
        read(beats.data, last)
    with pytest.raises(SkipstoneError, match="packet 0 ends within its"):
        read(beats.data, beats.last, elements=200)


def test_nonzero_padding_is_refused():
    beats = to_beats(to_packets(np.full((2, 1), 5), 8, sparse=True), 4)
    data = beats.data.copy()
    data[1, 3] = 1
    with pytest.raises(SkipstoneError, match="packet 1: the padding"):
        from_beats(Beats(data, beats.last), 1, 8, sparse=True)


def test_units_have_8_or_16_bits():
    with pytest.raises(SkipstoneError, match="give 8 or 16"):
        to_packets(np.ones((1, 1), dtype=int), 4, sparse=True)


def test_a_large_feature_map_is_packed_in_seconds():
    rows = random_rows((224, 224 * 64), 8, 0.3, seed=0)
    start = time.monotonic()
    beats = encode_beats(rows, 8, 16, sparse=True)
    assert (from_beats(beats, 224 * 64, 8, sparse=True) == rows).all()
    assert time.monotonic() - start < 8
