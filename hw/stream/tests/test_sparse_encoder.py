import numpy as np
import pytest

from hw.stream.layouts import map_units, row_units
from hw.stream.sparse_encoder import SparseEncoder
from hw.stream.tests.cases import CORES, Packet, core, random_packets
from hw.stream.tests.timing import TransferTimes
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source


def run(config, packets, stalls="none", seed=0, watch=lambda dut: ()):
    """What was received and what was expected; `watch` gets the component and gives more processes."""
    dut = SparseEncoder(config)
    expected = [beat for packet in packets for beat in packet.wire(config.stream_units)]
    sink = StreamSink(dut.beats, count=len(expected), stalls=stalls, seed=seed)
    words = [word for packet in packets for word in packet.words()]
    simulate(
        dut,
        stream_source(dut.words, words, stalls=stalls, seed=seed),
        sink,
        *watch(dut),
        deadline=20_000,
    )
    return sink.beats, expected


@pytest.mark.parametrize("sizes", CORES, ids=str)
@pytest.mark.parametrize("stalls", ["none", "random"])
def test_packets_are_encoded(sizes, stalls):
    config = core(*sizes)
    seed = sum(sizes)
    packets = random_packets(config.activation_bits, seed, count=25)
    received, expected = run(config, packets, stalls, seed)
    assert received == expected, f"sizes {sizes}, stalls {stalls}, seed {seed}"


def test_the_store_fills_up_and_nothing_is_lost():
    config = core(16, 16, 8)
    packets = random_packets(8, seed=5, count=40)
    received, expected = run(config, packets, stalls="slow", seed=5)
    assert received == expected


def expected_cycles(config, packets):
    """Cycles in which the encoder works on the packets."""
    most = row_units(config) - map_units(config)
    slices = sum(len(list(packet.slices(config.codec_elements, aligned=True))) for packet in packets)
    return slices + sum(packet.crowded_groups(most) for packet in packets)


@pytest.mark.parametrize("sizes", [(1, 2, 8), (4, 4, 8), (16, 16, 8), (16, 16, 16), (16, 32, 8)], ids=str)
def test_cycles_and_latency(sizes):
    config = core(*sizes)
    packets = random_packets(config.activation_bits, seed=21, count=15)
    # A last packet of one word, which nothing waits for.
    packets.append(Packet(np.array([[9]]), False, config.activation_bits))
    seen = []

    def watch(dut):
        seen.append(TransferTimes(dut.beats, sum(len(packet.wire(row_units(config))) for packet in packets)))
        return seen

    received, expected = run(config, packets, watch=watch)
    assert received == expected
    # The last word's only slice enters in the last cycle of work.
    assert seen[0].cycles[-1] + 1 == expected_cycles(config, packets) + SparseEncoder(config).latency
