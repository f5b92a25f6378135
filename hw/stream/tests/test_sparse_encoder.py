import pytest

from hw.stream.sparse_encoder import SparseEncoder
from hw.stream.tests.cases import CORES, core, random_packets
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source


def run(config, packets, stalls="none", seed=0):
    dut = SparseEncoder(config)
    expected = [beat for packet in packets for beat in packet.wire(config.stream_units)]
    sink = StreamSink(dut.beats, count=len(expected), stalls=stalls, seed=seed)
    words = [word for packet in packets for word in packet.words()]
    cycles = simulate(dut, stream_source(dut.words, words, stalls=stalls, seed=seed), sink, deadline=20_000)
    return sink.beats, expected, cycles


@pytest.mark.parametrize("sizes", CORES, ids=str)
@pytest.mark.parametrize("stalls", ["none", "random", "bursty"])
def test_packets_are_encoded(sizes, stalls):
    config = core(*sizes)
    for seed in range(2):
        packets = random_packets(config.activation_bits, seed, count=12)
        received, expected, _ = run(config, packets, stalls, seed)
        assert received == expected, f"sizes {sizes}, stalls {stalls}, seed {seed}"
