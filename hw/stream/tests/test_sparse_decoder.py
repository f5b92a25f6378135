import numpy as np
import pytest
from amaranth.hdl import Value

from hw.config import WORD_ELEMENTS
from hw.stream.layouts import map_units, row_units
from hw.stream.sparse_decoder import SparseDecoder
from hw.stream.tests.cases import CORES, Packet, core, random_packets
from hw.stream.tests.timing import TransferTimes
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source
from sim.harness.payload import pack, unpack


def expected_words(packets, elements):
    """What each beat of `words` enables, and its flags."""
    words = []
    for packet in packets:
        for piece in packet.slices(elements):
            end = WORD_ELEMENTS if piece.word_last else piece.start + len(piece.elements)
            padded = piece.elements + [0] * WORD_ELEMENTS
            enabled = {place: padded[place - piece.start] for place in range(piece.start, end)}
            words.append((enabled, piece.word_last, piece.packet_last))
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


def wire(config, packets):
    return [beat for packet in packets for beat in packet.wire(config.stream_units)]


def run(config, packets, stalls="none", seed=0, watch=lambda dut: ()):
    """What was received and what was expected; `watch` gets the component and gives more processes."""
    dut = SparseDecoder(config)
    expected = expected_words(packets, config.codec_elements)
    sink = StreamSink(dut.words, count=len(expected), stalls=stalls, seed=seed)
    simulate(
        dut,
        stream_source(dut.segments, [packet.segment for packet in packets], stalls=stalls, seed=seed),
        stream_source(dut.beats, wire(config, packets), stalls=stalls, seed=seed),
        sink,
        *watch(dut),
        deadline=20_000,
    )
    return received_words(sink.beats), expected


@pytest.mark.parametrize("sizes", CORES, ids=str)
@pytest.mark.parametrize("stalls", ["none", "random"])
def test_packets_are_decoded(sizes, stalls):
    config = core(*sizes)
    seed = sum(sizes)
    packets = random_packets(config.activation_bits, seed, count=25)
    received, expected = run(config, packets, stalls, seed)
    assert received == expected, f"sizes {sizes}, stalls {stalls}, seed {seed}"


def expected_cycles(config, packets):
    """Cycles from the first word to the end of the last packet, when the input is never waited for."""
    units, map_length = row_units(config), map_units(config)
    cycles = 0
    for packet in packets:
        position, row, last_row = 0, 0, -(-packet.units // units) - 1
        for piece in packet.slices(config.codec_elements):
            end = position + piece.values + map_length * (piece.map_ahead + piece.map_behind)
            rows_left = last_row + 1 - row if piece.packet_last else min(end // units, last_row - row)
            cycles += max(1, rows_left)
            row += rows_left
            position = end - rows_left * units
    return cycles


def rows_packets(config, density, count, shape, seed):
    generator = np.random.default_rng(seed)
    packets = []
    for _ in range(count):
        row = generator.integers(1, 1 << config.activation_bits, shape)
        packets.append(Packet(row * (generator.random(shape) < density), True, config.activation_bits))
    return packets


def word_times(config, packets):
    """Cycles in which beats of `words` leave, when all input waits from the start."""
    times = []

    def watch(dut):
        times.append(TransferTimes(dut.words, len(expected_words(packets, config.codec_elements))))
        return times

    received, expected = run(config, packets, watch=watch)
    assert received == expected
    return times[0].cycles


@pytest.mark.parametrize("sizes", [(1, 2, 8), (4, 4, 8), (16, 16, 8), (16, 32, 8)], ids=str)
def test_a_word_leaves_in_each_cycle_but_for_surplus_rows(sizes):
    config = core(*sizes)
    packets = rows_packets(config, density=0.35, count=6, shape=(8, 16), seed=7)
    packets.append(rows_packets(config, density=0, count=1, shape=(1, 1), seed=0)[0])
    cycles = word_times(config, packets)
    # In the beginning there are no rows in store; the surplus of the first packet makes up for that.
    assert cycles[-1] - cycles[0] + 1 == expected_cycles(config, packets)


@pytest.mark.parametrize("sizes", [(1, 2, 8), (16, 16, 8), (16, 16, 16)], ids=str)
def test_full_groups_take_as_long_as_their_input(sizes):
    config = core(*sizes)
    packets = rows_packets(config, density=1, count=4, shape=(8, 16), seed=8)
    cycles = word_times(config, packets)
    longest = max(len(wire(config, packets)), expected_cycles(config, packets))
    assert cycles[-1] - cycles[0] + 1 <= longest + 2 * len(packets)


@pytest.mark.parametrize("sizes", [(1, 2, 8), (16, 2, 8), (16, 16, 8)], ids=str)
def test_latency(sizes):
    config = core(*sizes)
    packet = Packet(np.array([[7]]), False, config.activation_bits)
    times, latency = [], []

    def watch(dut):
        times.extend([TransferTimes(dut.beats, 1), TransferTimes(dut.words, 1)])
        latency.append(dut.latency)
        return times

    run(config, [packet], watch=watch)
    taken, given = (time.cycles[0] for time in times)
    assert given - taken == latency[0]


def play_until_error(dut, segments, beats, cycles):
    """Offer all that is taken; the words, and whether there was an error in each cycle."""
    words, errors, taken = [], [], []
    waiting = {dut.segments: list(segments), dut.beats: list(beats)}

    async def play(ctx):
        ctx.set(dut.words.ready, 1)
        for _ in range(cycles):
            for interface, queue in waiting.items():
                ctx.set(interface.valid, bool(queue))
                if queue:
                    ctx.set(Value.cast(interface.payload), pack(interface.payload.shape(), queue[0]))
            _, _, *ready, valid, error, word = await ctx.tick().sample(
                dut.segments.ready, dut.beats.ready, dut.words.valid, dut.error, Value.cast(dut.words.payload)
            )
            for is_ready, queue in zip(ready, waiting.values(), strict=True):
                if is_ready and queue:
                    queue.pop(0)
            if valid:
                words.append(unpack(dut.words.payload.shape(), word))
            errors.append(error)
            taken.append(len(beats) - len(waiting[dut.beats]))

    simulate(dut, play)
    return words, errors, taken


@pytest.mark.parametrize("sizes", [(1, 2, 8), (16, 16, 8)], ids=str)
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("fault", ["early", "late"])
def test_a_packet_of_another_length_is_an_error(sizes, sparse, fault):
    config = core(*sizes)
    good, bad, *others = (
        Packet(packet.row, sparse, packet.bits)
        for packet in rows_packets(config, density=0.7, count=5, shape=(9, 17), seed=11)
    )
    beats = bad.wire(config.stream_units)
    if fault == "early":
        beats[len(beats) // 2]["last"] = 1
    else:
        beats[-1]["last"] = 0
    words, errors, taken = play_until_error(
        SparseDecoder(config),
        [packet.segment for packet in (good, bad, *others)],
        wire(config, [good]) + beats + wire(config, others),
        cycles=800,
    )
    first = errors.index(1)
    assert all(errors[first:]), "error is set until reset"
    good_words = expected_words([good], config.codec_elements)
    assert received_words(words)[: len(good_words)] == good_words
    assert len(words) < len(expected_words([good, bad, *others[:1]], config.codec_elements))
    # What is buffered is all that is taken later.
    assert taken[-1] - taken[first] <= 4 * row_units(config) // config.stream_units


@pytest.mark.parametrize("sizes", [(1, 2, 8), (16, 16, 8)], ids=str)
def test_the_padding_of_a_packet_is_dropped_whatever_it_is(sizes):
    config = core(*sizes)
    packets = rows_packets(config, density=0.5, count=3, shape=(1, 3), seed=3)
    beats = wire(config, packets)
    for packet, beat in zip(packets, [beat for beat in beats if beat["last"]], strict=True):
        padding = -packet.units % config.stream_units
        beat["data"] = beat["data"][: config.stream_units - padding] + [0xA5] * padding
    segments = [packet.segment for packet in packets]
    words, errors, _ = play_until_error(SparseDecoder(config), segments, beats, cycles=100)
    assert received_words(words) == expected_words(packets, config.codec_elements)
    assert not any(errors)
