"""The decoder and the encoder of dense packets."""

import numpy as np
import pytest

from hw.config import WORD_ELEMENTS, ConfigurationError, CoreConfig
from hw.stream.dense_decoder import DenseDecoder
from hw.stream.dense_encoder import DenseEncoder
from hw.stream.tests.cases import SHAPES, Packet
from hw.stream.tests.timing import TransferTimes
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source

SIZES = [(2, 8), (4, 8), (16, 8), (1, 16), (4, 16)]
"""Units of a beat, bits of an activation."""


def core(units, bits):
    return CoreConfig(codec_elements=1, sparse_streams=False, stream_units=units, activation_bits=bits)


def random_packets(bits, seed):
    generator = np.random.default_rng(seed)
    rows = [generator.integers(0, 1 << bits, shape) * (generator.random(shape) < 0.7) for shape in SHAPES]
    return [Packet(row, False, bits) for row in rows]


def wire(config, packets):
    return [beat for packet in packets for beat in packet.wire(config.stream_units)]


def decode(config, segments, beats, count, *, stalls="none", seed=0, watch=lambda dut: ()):
    """The beats of `words`, and the component."""
    dut = DenseDecoder(config)
    sink = StreamSink(dut.words, count=count, stalls=stalls, seed=seed)
    simulate(
        dut,
        stream_source(dut.segments, segments, stalls=stalls, seed=seed),
        stream_source(dut.beats, beats, stalls=stalls, seed=seed),
        sink,
        *watch(dut),
        deadline=20_000,
    )
    return sink.beats


def written(beats):
    """What a memory holds after these writes, word by word, and which words end a packet."""
    words, ends, word = [], [], [None] * WORD_ELEMENTS
    for beat in beats:
        word = [
            new if beat["enable"] >> i & 1 else old for i, (new, old) in enumerate(zip(beat["data"], word, strict=True))
        ]
        if beat["word_last"]:
            words.append(word)
            ends.append(bool(beat["last"]))
            word = [None] * WORD_ELEMENTS
    return words, ends


def expected_words(packets):
    words, ends = [], []
    for packet in packets:
        for pixel in packet.row.tolist():
            for start in range(0, len(pixel), WORD_ELEMENTS):
                words.append((pixel[start : start + WORD_ELEMENTS] + [0] * WORD_ELEMENTS)[:WORD_ELEMENTS])
                ends.append(False)
        ends[-1] = True
    return words, ends


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("stalls", ["none", "random"])
def test_packets_are_decoded(sizes, stalls):
    config, seed = core(*sizes), sum(sizes)
    packets = random_packets(config.activation_bits, seed)
    count = sum(packet.row.size for packet in packets)
    segments = [packet.segment for packet in packets]
    beats = decode(config, segments, wire(config, packets), count, stalls=stalls, seed=seed)
    assert written(beats) == expected_words(packets), f"sizes {sizes}, stalls {stalls}, seed {seed}"


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("stalls", ["none", "random", "slow"])
def test_packets_are_encoded(sizes, stalls):
    config, seed = core(*sizes), sum(sizes)
    packets = random_packets(config.activation_bits, seed)
    expected = wire(config, packets)
    dut = DenseEncoder(config)
    sink = StreamSink(dut.beats, count=len(expected), stalls=stalls, seed=seed)
    words = [word for packet in packets for word in packet.words()]
    simulate(dut, stream_source(dut.words, words, stalls=stalls, seed=seed), sink, deadline=20_000)
    assert sink.beats == expected, f"sizes {sizes}, stalls {stalls}, seed {seed}"


def test_an_element_a_cycle():
    config = core(4, 8)
    packets = random_packets(8, 3)
    count = sum(packet.row.size for packet in packets)
    seen = []

    def watch(dut):
        seen.append(TransferTimes(dut.words, count))
        return seen

    decode(config, [packet.segment for packet in packets], wire(config, packets), count, watch=watch)
    cycles = seen[0].cycles
    assert cycles[-1] - cycles[0] + 1 == count

    dut = DenseEncoder(config)
    words = [word for packet in packets for word in packet.words()]
    taken = TransferTimes(dut.words, len(words))
    left = TransferTimes(dut.beats, len(wire(config, packets)))
    sink = StreamSink(dut.beats, count=len(wire(config, packets)))
    simulate(dut, stream_source(dut.words, words), sink, taken, left, deadline=20_000)
    assert taken.cycles[-1] + 1 == count
    assert left.cycles[-1] - taken.cycles[-1] == DenseEncoder.latency


@pytest.mark.parametrize("change", [-1, 1])
def test_a_packet_of_another_length_is_an_error(change):
    config = core(4, 8)
    packet = Packet(np.arange(1, 13).reshape(3, 4), False, 8)
    pixels = 3 + change
    dut = DenseDecoder(config)
    until = 4 * min(3, pixels)
    sink = StreamSink(dut.words, count=until)

    async def check(ctx):
        for _ in range(60):
            await ctx.tick()
        assert ctx.get(dut.error)
        assert not ctx.get(dut.words.valid)

    segments = [{"pixels": pixels, "channels": 4, "sparse": 0}]
    simulate(dut, stream_source(dut.segments, segments), stream_source(dut.beats, wire(config, [packet])), sink, check)


def test_a_dense_core_has_a_codec_of_one_element():
    with pytest.raises(ConfigurationError, match="codec_elements is 4"):
        CoreConfig(codec_elements=4, sparse_streams=False)
