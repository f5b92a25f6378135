"""Whole runs with the streams played and recorded by Verilog: nothing lost, faults found, in both
simulators."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sim.harness import toolchain
from sim.harness.bench import Bench, build_bench
from sim.harness.bench_run import Equals, Rises, run_bench
from sim.harness.runner import SimulationError
from sim.harness.stalls import PROFILES
from sim.tests.harness.components import PIXEL, Broken, Fault, Fifo, Narrow

ON = {"enable": 1}


@pytest.fixture(params=toolchain.SIMULATORS)
def simulator(request):
    if reason := toolchain.missing(request.param):
        pytest.skip(reason)
    return request.param


@pytest.mark.parametrize("width", [1, 128, 1200])
def test_payloads_of_any_width_arrive_whole(simulator, width):
    model = build_bench(Fifo(width), name="fifo", simulator=simulator)
    generator = np.random.default_rng(width)
    beats = [int.from_bytes(generator.bytes(150), "little") >> (1200 - width) for _ in range(40)]
    result = run_bench(model, {"i": beats}, expect={"o": 40}, settings=ON, stalls="random", seed=width)
    assert result.beats("o") == beats


@pytest.mark.parametrize("stalls", PROFILES)
def test_stalls_lose_and_repeat_nothing(simulator, stalls):
    model = build_bench(Fifo(), name="fifo", simulator=simulator)
    result = run_bench(model, {"i": range(250)}, expect={"o": 250}, settings=ON, stalls=stalls, seed=1)
    assert result.beats("o") == list(range(250))
    assert result.cycles > 250 * (1 + PROFILES[stalls].probability)


def test_a_bench_without_stalls_moves_a_beat_a_cycle(simulator):
    model = build_bench(Fifo(), name="fifo", simulator=simulator)
    rows = np.arange(200, dtype=np.uint8).reshape(-1, 1)
    result = run_bench(model, {"i": rows}, expect={"o": 200}, settings=ON, status=["passed"], seed=1)
    assert np.array_equal(result.outputs["o"], rows)
    assert 200 < result.cycles <= 205
    assert result.status == {"passed": 200}
    assert result.taken == {"i": 200}


def test_watched_signals_are_sampled_and_reported_as_they_change(simulator):
    model = build_bench(Fifo(batch=4), name="fifo", simulator=simulator)
    told: list[dict] = []
    result = run_bench(
        model,
        {"i": range(12)},
        until=[Rises("batch_done", 3), Equals("passed", 12)],
        watch={"batch_done": ["passed"]},
        settings=ON,
        seed=1,
        on_progress=told.append,
    )
    assert [(sample["value"], sample["passed"]) for sample in result.samples] == [(1, 4), (1, 8), (1, 12)]
    cycles = [sample["cycle"] for sample in result.samples]
    assert np.diff(cycles).tolist() == [4, 4]
    assert told == result.samples
    assert result.beats("o") == list(range(12))


def test_a_structured_payload_and_a_width_converter(simulator):
    narrow = build_bench(Narrow(), name="narrow", simulator=simulator)
    result = run_bench(narrow, {"i": [0x04030201]}, expect={"o": 4}, stalls={"o": "slow"}, seed=2)
    assert result.beats("o") == [1, 2, 3, 4]
    pixels = build_bench(Fifo(PIXEL), name="fifo", simulator=simulator)
    result = run_bench(pixels, {"i": [(1 << 30) - 1]}, expect={"o": 1}, settings=ON, seed=2)
    assert result.beats("o") == [(1 << 30) - 1]


def test_no_beats_at_all(simulator):
    model = build_bench(Fifo(), name="fifo", simulator=simulator)
    result = run_bench(model, {}, expect={"o": 0}, settings=ON, seed=1)
    assert result.outputs["o"].shape == (0, 1)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault.WITHDRAWS, "stream o: valid was withdrawn before ready"),
        (Fault.CHANGES, "stream o: payload changed while it waited"),
        (Fault.LOSES, "i took 64 of 64, o gave 56 of 64"),
        (Fault.STOPS, "not over after 1000 cycles: i took 8 of 64, o gave 8 of 64, taken="),
    ],
)
def test_faults_are_found(simulator, fault, message):
    model = build_bench(Broken(), name="stage", simulator=simulator)

    def one(fault):
        return run_bench(
            model,
            {"i": range(64)},
            expect={"o": 64},
            stalls={"o": "random"},
            settings={"fault": fault},
            status=["taken"],
            timeout_cycles=1_000,
            seed=6,
        )

    assert one(Fault.NONE).beats("o") == list(range(64))
    with pytest.raises(SimulationError, match=message):
        one(fault)


def test_a_beat_too_many_is_found(simulator):
    model = build_bench(Fifo(), name="fifo", simulator=simulator)
    with pytest.raises(SimulationError, match="stream o: 10 beats came, 9 expected"):
        run_bench(model, {"i": range(10)}, expect={"o": 9}, settings=ON, seed=1)


def test_the_same_seed_gives_the_same_run(simulator):
    model = build_bench(Fifo(), name="fifo", simulator=simulator)

    def cycles(seed):
        beats = {"i": range(100)}
        return run_bench(model, beats, expect={"o": 100}, settings=ON, stalls="random", seed=seed).cycles

    assert cycles(1) == cycles(1) != cycles(2)


class Fork(wiring.Component):
    """Copies its input, which cannot be stalled, to an array of streams of which none is waited for."""

    mask: In(2)
    seen: Out(1).array(2)
    i: In(stream.Signature(4, always_ready=True))
    o: Out(stream.Signature(4, always_ready=True)).array(2)

    def elaborate(self, platform):
        m = Module()
        for n, copy in enumerate(self.o):
            m.d.comb += [copy.payload.eq(self.i.payload), copy.valid.eq(self.i.valid & self.mask[n])]
            m.d.sync += self.seen[n].eq(self.seen[n] | copy.valid)
        return m


def test_arrays_of_streams_and_streams_that_cannot_stall(simulator):
    model = build_bench(Fork(), name="copy", simulator=simulator)
    result = run_bench(
        model,
        {"i": range(16)},
        expect={"o__0": 0, "o__1": 16},
        settings={"mask": 2},
        status=["seen__0", "seen__1"],
        stalls="random",
        seed=1,
    )
    assert result.beats("o__1") == list(range(16))
    assert result.status == {"seen__0": 0, "seen__1": 1}


def test_what_cannot_be_played_is_refused():
    class Always(wiring.Component):
        i: In(stream.Signature(4, always_valid=True))

    with pytest.raises(ValueError, match="stream i is always valid"):
        Bench(Always())


def test_wrong_names_and_beats_are_refused():
    if reason := toolchain.missing("verilator"):
        pytest.skip(reason)
    model = build_bench(Fifo(), name="fifo")
    with pytest.raises(ValueError, match="beats: no stream named x; there are i"):
        run_bench(model, {"x": []}, seed=1)
    with pytest.raises(ValueError, match="expect: no stream named i; there are o"):
        run_bench(model, {}, expect={"i": 1}, seed=1)
    with pytest.raises(ValueError, match="8-bit stream"):
        run_bench(model, {"i": [256]}, seed=1)
    with pytest.raises(ValueError, match="no stall profile named 'often'"):
        run_bench(model, {}, stalls="often", seed=1)
