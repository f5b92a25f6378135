"""Streams driven from Python under cocotb: all profiles, both simulators, and each fault is found."""

from __future__ import annotations

import random

import pytest

from sim.harness import toolchain
from sim.harness.runner import SimulationFailure, build, run
from sim.tests.harness.components import PIXEL, Broken, Fifo, Narrow

TESTS = "sim.tests.harness.stream_tests"


@pytest.fixture(params=toolchain.SIMULATORS)
def simulator(request):
    if reason := toolchain.missing(request.param):
        pytest.skip(reason)
    return request.param


@pytest.mark.parametrize("stalls", ["none", "random", "bursty", "slow"])
def test_a_queue_keeps_every_beat_in_order(simulator, stalls):
    beats = [random.Random(3).randrange(256) for _ in range(50)]
    parameters = {"shape": "plain", "stalls": stalls, "beats": beats, "expected": beats}
    model = build(Fifo(), name="fifo", simulator=simulator)
    assert run(model, TESTS, testcase="passes_all_beats", parameters=parameters, seed=3)["taken"] == 50


def test_structured_payloads(simulator):
    beats = [{"value": [n, 255 - n, 2 * n], "offset": n % 32, "last": int(n == 19)} for n in range(20)]
    parameters = {"shape": "pixel", "stalls": "random", "beats": beats, "expected": beats}
    model = build(Fifo(PIXEL), name="fifo", simulator=simulator)
    run(model, TESTS, testcase="passes_all_beats", parameters=parameters, seed=4)


def test_a_width_converter(simulator):
    parameters = {"shape": "plain", "stalls": "random", "beats": [0x04030201, 0xDDCCBBAA]}
    parameters["expected"] = [1, 2, 3, 4, 0xAA, 0xBB, 0xCC, 0xDD]
    model = build(Narrow(), name="narrow", simulator=simulator)
    run(model, TESTS, testcase="passes_all_beats", parameters=parameters, seed=5)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (None, None),
        ("withdraws", "valid was withdrawn"),
        ("changes", "payload changed while it waited"),
        ("loses", "beats came, 64 expected"),
        ("stops", "beats came, 64 expected"),
    ],
)
def test_faults_are_found(simulator, fault, message):
    parameters = {"shape": "plain", "stalls": "random", "beats": list(range(64)), "expected": list(range(64))}
    model = build(Broken(fault), name="stage", simulator=simulator)
    if fault is None:
        run(model, TESTS, testcase="passes_all_beats", parameters=parameters, seed=6)
        return
    with pytest.raises(SimulationFailure, match=message):
        run(model, TESTS, testcase="passes_all_beats", parameters=parameters, seed=6)
