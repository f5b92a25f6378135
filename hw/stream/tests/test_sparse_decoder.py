import pytest

from hw.config import WORD_ELEMENTS
from hw.stream.sparse_decoder import SparseDecoder
from hw.stream.tests.cases import CORES, core, random_packets
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source


def expected_words(packets, elements):
    """What each beat of `words` enables, and its flags."""
    words = []
    for packet in packets:
        for piece in packet.slices(elements):
            end = WORD_ELEMENTS if piece.word_last else piece.start + len(piece.elements)
            padded = piece.elements + [0] * WORD_ELEMENTS
            enabled = {place: padded[place - piece.start] for place in range(piece.start, end)}
            words.append((enabled, piece.word_last, piece.last))
    return words


def received_words(beats):
    return [
        (
            {place: beat["data"][place] for place in range(WORD_ELEMENTS) if beat["enable"] >> place & 1},
            bool(beat["word_last"]),
            bool(beat["last"]),
        )
        for beat in beats
    ]


def run(config, packets, stalls="none", seed=0):
    dut = SparseDecoder(config)
    expected = expected_words(packets, config.codec_elements)
    sink = StreamSink(dut.words, count=len(expected), stalls=stalls, seed=seed)
    segments = [packet.segment for packet in packets]
    beats = [beat for packet in packets for beat in packet.wire(config.stream_units)]
    cycles = simulate(
        dut,
        stream_source(dut.segments, segments, stalls=stalls, seed=seed),
        stream_source(dut.beats, beats, stalls=stalls, seed=seed),
        sink,
        deadline=20_000,
    )
    return received_words(sink.beats), expected, cycles


@pytest.mark.parametrize("sizes", CORES, ids=str)
@pytest.mark.parametrize("stalls", ["none", "random", "bursty"])
def test_packets_are_decoded(sizes, stalls):
    config = core(*sizes)
    for seed in range(2):
        packets = random_packets(config.activation_bits, seed, count=12)
        received, expected, _ = run(config, packets, stalls, seed)
        assert received == expected, f"sizes {sizes}, stalls {stalls}, seed {seed}"
