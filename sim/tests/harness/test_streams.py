"""Streams driven from Python under cocotb: all profiles, both simulators, and each fault is found."""

from __future__ import annotations

import random

import pytest

from sim.harness import toolchain
from sim.harness.players import VERILOG
from sim.harness.runner import SimulationError, build, compile_verilog, run
from sim.tests.harness.components import PIXEL, Broken, Fault, Fifo, Narrow

TESTS = "sim.tests.harness.stream_tests"


@pytest.fixture(params=toolchain.SIMULATORS)
def simulator(request):
    if reason := toolchain.missing(request.param):
        pytest.skip(reason)
    return request.param


def _parameters(beats, expected, *, shape="plain", stalls="random", **settings):
    return {"beats": beats, "expected": expected, "shape": shape, "stalls": stalls, "settings": settings}


def _run(model, parameters, seed):
    return run(model, TESTS, testcase="passes_all_beats", parameters=parameters, seed=seed)


@pytest.mark.parametrize("stalls", ["none", "random", "bursty", "slow"])
def test_a_queue_keeps_every_beat_in_order(simulator, stalls):
    beats = [random.Random(3).randrange(256) for _ in range(50)]
    model = build(Fifo(), name="fifo", simulator=simulator)
    assert _run(model, _parameters(beats, beats, stalls=stalls, enable=1), seed=3)["taken"] == 50


def test_structured_payloads(simulator):
    beats = [{"value": [n, 255 - n, 2 * n], "offset": n % 32, "last": int(n == 19)} for n in range(20)]
    model = build(Fifo(PIXEL), name="fifo", simulator=simulator)
    _run(model, _parameters(beats, beats, shape="pixel", enable=1), seed=4)


def test_a_width_converter(simulator):
    parts = [1, 2, 3, 4, 0xAA, 0xBB, 0xCC, 0xDD]
    model = build(Narrow(), name="narrow", simulator=simulator)
    _run(model, _parameters([0x04030201, 0xDDCCBBAA], parts), seed=5)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault.WITHDRAWS, "valid was withdrawn"),
        (Fault.CHANGES, "payload changed while it waited"),
        (Fault.LOSES, "beats came, 64 expected"),
        (Fault.STOPS, "beats came, 64 expected"),
    ],
)
def test_faults_are_found(simulator, fault, message):
    beats = list(range(64))
    model = build(Broken(), name="stage", simulator=simulator)
    _run(model, _parameters(beats, beats, fault=Fault.NONE), seed=6)
    with pytest.raises(SimulationError, match=message):
        _run(model, _parameters(beats, beats, fault=fault), seed=6)


UNKNOWN = """
module unknown(input clk, input rst, input o__ready, output [7:0] o__payload, output o__valid);
    reg [7:0] never_set;
    assign o__payload = {PAYLOAD};
    assign o__valid = {VALID};
    stream_checker #(.ID("o")) checker_o (
        .clk(clk), .rst(rst), .payload(o__payload), .valid(o__valid), .ready(o__ready), .fault()
    );
endmodule
"""


@pytest.mark.parametrize(
    ("payload", "valid", "monitor", "checker"),
    [
        ("never_set", "1'b1", "stream o: payload is X", "stream o: payload has unknown bits, xx"),
        ("8'd0", "never_set[0]", "stream o: valid is X", "stream o: valid is x and ready is"),
    ],
)
def test_unknown_bits_are_found_in_a_four_state_simulator(payload, valid, monitor, checker):
    if reason := toolchain.missing("icarus"):
        pytest.skip(reason)
    text = UNKNOWN.replace("{PAYLOAD}", payload).replace("{VALID}", valid)
    sources = {"unknown.v": text, **{path.name: path.read_text() for path in VERILOG}}
    model = compile_verilog(sources, name="unknown", simulator="icarus")
    with pytest.raises(SimulationError, match=monitor) as failure:
        run(model, TESTS, testcase="takes_a_beat", seed=1)
    assert checker in str(failure.value)
