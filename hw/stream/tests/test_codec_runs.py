"""Long random runs of the compiled decoder and encoder, with stalls of every kind."""

import pytest

from hw.stream.layouts import FeatureBeat, PlainWord, Segment
from hw.stream.sparse_decoder import SparseDecoder
from hw.stream.sparse_encoder import SparseEncoder
from hw.stream.tests.cases import core, random_packets
from hw.stream.tests.test_sparse_decoder import expected_words, received_words
from sim.harness.bench import build_bench
from sim.harness.bench_run import run_bench
from sim.harness.payload import pack, unpack

SIZES = [(16, 16, 8), (1, 2, 8)]


def name_of(unit, sizes):
    return "_".join(map(str, (unit, *sizes)))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_decoder(sizes):
    config = core(*sizes)
    dut = SparseDecoder(config)
    word = dut.words.payload.shape()
    model = build_bench(dut, name=name_of("sparse_decoder", sizes))
    for seed, stalls in enumerate(["none", "random", "bursty", "slow"]):
        packets = random_packets(config.activation_bits, seed, count=150, max_elements=600)
        expected = expected_words(packets, config.codec_elements)
        result = run_bench(
            model,
            {
                "segments": [pack(Segment(config), packet.segment) for packet in packets],
                "beats": [
                    pack(FeatureBeat(config), beat) for packet in packets for beat in packet.wire(config.stream_units)
                ],
            },
            expect={"words": len(expected)},
            stalls=stalls,
            seed=seed,
            status=["error"],
        )
        received = received_words([unpack(word, bits) for bits in result.beats("words")])
        assert received == expected, f"sizes {sizes}, stalls {stalls}, seed {seed}"
        assert result.status["error"] == 0


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_encoder(sizes):
    config = core(*sizes)
    model = build_bench(SparseEncoder(config), name=name_of("sparse_encoder", sizes))
    for seed, stalls in enumerate(["none", "random", "bursty", "slow"]):
        packets = random_packets(config.activation_bits, seed, count=150, max_elements=600)
        expected = [pack(FeatureBeat(config), beat) for packet in packets for beat in packet.wire(config.stream_units)]
        words = [pack(PlainWord(config), word) for packet in packets for word in packet.words()]
        result = run_bench(model, {"words": words}, expect={"beats": len(expected)}, stalls=stalls, seed=seed)
        assert result.beats("beats") == expected, f"sizes {sizes}, stalls {stalls}, seed {seed}"
