"""Streams driven from Python under cocotb: all profiles, both simulators, and each fault is found."""

from __future__ import annotations

import random

import pytest

from sim.harness import toolchain
from sim.harness.runner import SimulationError, build, run
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
