import time

import numpy as np
import pytest

from models.errors import SkipstoneError
from models.sparsity import (
    EncodedRows,
    break_even_sparsity,
    compressed_bits,
    decode,
    encode,
    ideal_bits_per_element,
    ideal_compression,
)

SHAPES = [(1, 1), (1, 15), (3, 16), (2, 17), (5, 3 * 7), (4, 48), (2, 3, 5), (0, 20)]


def random_rows(shape, bits, density, seed):
    generator = np.random.default_rng(seed)
    values = generator.integers(1, 1 << bits, size=shape)
    return values * (generator.random(shape) < density)


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_decoding_gives_back_what_was_encoded(bits, density):
    for seed, shape in enumerate(SHAPES):
        rows = random_rows(shape, bits, density, seed)
        encoded = encode(rows, bits)
        message = f"shape {shape}, bits {bits}, density {density}, seed {seed}"
        assert (decode(encoded) == rows.reshape(-1, shape[-1])).all(), message
        assert encoded.size_bits == compressed_bits(rows, bits), message


def test_the_map_has_the_first_element_in_its_lowest_bit():
    encoded = encode(np.array([[0, 7, 0, 0, 9] + [0] * 12 + [1, 2]]), 8)
    assert encoded.maps.tolist() == [[0b10010, 0b110]]
    assert encoded.values.tolist() == [7, 9, 1, 2]


def test_a_zero_group_is_its_map_alone():
    assert compressed_bits(np.zeros((3, 32), dtype=int), 8) == 3 * 2 * 16


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16])
@pytest.mark.parametrize("density", [0.0, 0.25, 0.304, 1.0])
def test_the_compression_formula_holds(bits, density):
    rows = random_rows((40, 320), bits, density, seed=bits)
    sparsity = float(np.mean(rows == 0))
    measured = encode(rows, bits).size_bits
    assert measured / rows.size == pytest.approx(ideal_bits_per_element(bits, sparsity), rel=1e-12)
    assert rows.size * bits / measured == pytest.approx(ideal_compression(bits, sparsity), rel=1e-12)


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_sparse_form_breaks_even_where_the_formula_says(bits):
    zeros = int(break_even_sparsity(bits) * 160)
    row = np.ones((1, 160), dtype=int)
    row[0, :zeros] = 0
    assert compressed_bits(row, bits) == row.size * bits
    row[0, zeros] = 0
    assert compressed_bits(row, bits) < row.size * bits


@pytest.mark.parametrize(
    ("rows", "bits", "words"),
    [
        (np.array([[256]]), 8, "do not fit in 8 bits"),
        (np.array([[-1]]), 8, "do not fit in 8 bits"),
        (np.array([[1.5]]), 8, "whole numbers"),
        (np.zeros((2, 0), dtype=int), 8, "whole numbers"),
        (np.array(3), 8, "whole numbers"),
        (np.array([[1]]), 0, "give 1 to 16"),
        (np.array([[1]]), 17, "give 1 to 16"),
    ],
)
def test_what_cannot_be_encoded_is_refused(rows, bits, words):
    with pytest.raises(SkipstoneError, match=words):
        encode(rows, bits)


@pytest.mark.parametrize(
    ("maps", "values", "words"),
    [
        ([[0b1000]], [1], "marks elements past the row's 3"),
        ([[0b011]], [1], "1 values for maps that mark 2"),
        ([[0b001]], [1, 2], "2 values for maps that mark 1"),
        ([[0b001]], [0], "zero or wider"),
        ([[0b001]], [16], "zero or wider than 4 bits"),
    ],
)
def test_what_is_no_encoding_is_refused(maps, values, words):
    encoded = EncodedRows(np.array(maps, dtype=np.uint16), np.array(values, dtype=np.uint16), 3, 4)
    with pytest.raises(SkipstoneError, match=words):
        decode(encoded)


def test_a_large_feature_map_is_encoded_in_seconds():
    rows = random_rows((224, 224 * 64), 8, 0.3, seed=0)
    start = time.monotonic()
    assert (decode(encode(rows, 8)) == rows).all()
    assert time.monotonic() - start < 5
