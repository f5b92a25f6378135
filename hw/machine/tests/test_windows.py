import random
from typing import Any

import pytest

from hw.bus.host_bus import BusError
from hw.config import CoreConfig
from hw.machine.input_window import InputWindow
from hw.machine.output_window import OutputWindow
from hw.machine.tests.bus import ask_target
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source

CORES = [
    CoreConfig.sized(1, 4),
    CoreConfig.sized(1, 4).with_changes(stream_units=4),
    CoreConfig.sized(1, 4).with_changes(stream_units=8, activation_bits=16),
]


def beat_words(core: CoreConfig, beat: dict) -> list[int]:
    """The bus words of a beat."""
    packed = sum(unit << core.activation_bits * place for place, unit in enumerate(beat["data"]))
    return [packed >> 32 * word & 0xFFFF_FFFF for word in range(core.stream_units * core.activation_bits // 32)]


def random_packets(rng: random.Random, core: CoreConfig, packets: int, beats: int) -> list[dict]:
    return [
        {"data": [rng.getrandbits(core.activation_bits) for _ in range(core.stream_units)], "last": beat == beats - 1}
        for _ in range(packets)
        for beat in range(beats)
    ]


@pytest.mark.parametrize("core", CORES, ids=lambda core: f"{core.stream_units}x{core.activation_bits}")
@pytest.mark.parametrize("stalls", ["none", "random", "bursty"])
@pytest.mark.parametrize("seed", range(2))
def test_input_words_become_packets(core, stalls, seed):
    rng = random.Random(seed)
    shapes = [(rng.randint(1, 4), rng.randint(1, 5)) for _ in range(4)] + [(1, 1)]
    beats = [beat for packets, length in shapes for beat in random_packets(rng, core, packets, length)]
    window = InputWindow(core)

    async def host(ctx: Any) -> None:
        ctx.set(window.running, 1)
        for beat in beats:
            for word in beat_words(core, beat):
                response = await ask_target(ctx, window.bus, rng.randrange(100), word)
                assert response is not None and response[1] == BusError.OK, f"seed {seed}"
                for _ in range(rng.choice([0, 0, 3])):
                    await ctx.tick()

    sink = StreamSink(window.beats, count=len(beats), stalls=stalls, seed=seed)
    jobs = [{"rows_last": packets - 1, "packet_beats": length} for packets, length in shapes]
    simulate(window, host, sink, stream_source(window.jobs, jobs, stalls=stalls, seed=seed))
    assert sink.beats == beats, f"seed {seed}"


def test_the_longest_packet():
    core = CoreConfig.sized(1, 4).with_changes(activation_banks=1, activation_depth=4, stream_units=4)
    beats = random_packets(random.Random(1), core, 2, 16)
    window = InputWindow(core)

    async def host(ctx: Any) -> None:
        ctx.set(window.running, 1)
        for beat in beats:
            (word,) = beat_words(core, beat)
            await ask_target(ctx, window.bus, 0, word)

    sink = StreamSink(window.beats, count=len(beats))
    simulate(window, host, sink, stream_source(window.jobs, [{"rows_last": 1, "packet_beats": 16}]))
    assert sink.beats == beats


def test_input_that_no_load_asks_for_is_not_taken():
    """While a run may still come to a LOAD, it waits; else it is refused."""
    window = InputWindow(CORES[1])

    async def host(ctx: Any) -> None:
        assert await ask_target(ctx, window.bus, 0, 1) == (0, BusError.STATE, 1)
        ctx.set(window.running, 1)
        assert await ask_target(ctx, window.bus, 0, 1, patience=100) is None
        ctx.set(window.finished, 1)
        assert await ask_target(ctx, window.bus, 0, 1) == (0, BusError.STATE, 1)
        assert await ask_target(ctx, window.bus, 0) == (0, BusError.DIRECTION, 1)

    simulate(window, host)


def test_it_tells_when_it_waits_for_input():
    window = InputWindow(CORES[1])

    async def host(ctx: Any) -> None:
        ctx.set(window.running, 1)
        assert not ctx.get(window.waits)
        ctx.set(window.jobs.payload, {"rows_last": 0, "packet_beats": 1})
        ctx.set(window.jobs.valid, 1)
        await ctx.tick()
        ctx.set(window.jobs.valid, 0)
        assert ctx.get(window.waits)
        ctx.set(window.finished, 1)  # the LOAD is the last entry: its words are still taken
        assert await ask_target(ctx, window.bus, 0, 5) == (0, BusError.OK, 1)
        assert not ctx.get(window.waits)
        ctx.set(window.beats.ready, 1)
        await ctx.tick()
        assert not ctx.get(window.waits)
        assert await ask_target(ctx, window.bus, 0, 5) == (0, BusError.STATE, 1)

    simulate(window, host)


@pytest.mark.parametrize("core", CORES, ids=lambda core: f"{core.stream_units}x{core.activation_bits}")
@pytest.mark.parametrize("stalls", ["none", "random", "bursty"])
def test_output_packets_become_words(core, stalls):
    rng = random.Random(1)
    beats = random_packets(rng, core, 3, 5)
    expected = [word for beat in beats for word in beat_words(core, beat)]
    window = OutputWindow(core)
    words: list[int] = []

    async def host(ctx: Any) -> None:
        ctx.set(window.running, 1)
        for _ in expected:
            response = await ask_target(ctx, window.bus, rng.randrange(100))
            assert response is not None and response[1] == BusError.OK
            words.append(response[0])
            for _ in range(rng.choice([0, 0, 3])):
                await ctx.tick()
        assert not ctx.get(window.has_word)

    simulate(window, host, stream_source(window.beats, beats, stalls=stalls))
    assert words == expected


def test_output_that_does_not_come():
    window = OutputWindow(CORES[1])

    async def host(ctx: Any) -> None:
        assert (await ask_target(ctx, window.bus, 0) or (0, 0))[1] == BusError.STATE
        ctx.set(window.running, 1)
        assert await ask_target(ctx, window.bus, 0, patience=100) is None
        assert (await ask_target(ctx, window.bus, 0, 1) or (0, 0))[1] == BusError.DIRECTION
        ctx.set(window.beats.payload, {"data": [1, 2, 3, 4], "last": 1})
        ctx.set(window.beats.valid, 1)
        await ctx.tick()
        ctx.set(window.beats.valid, 0)
        assert ctx.get(window.has_word)
        assert (await ask_target(ctx, window.bus, 0, 1) or (0, 0))[1] == BusError.DIRECTION
        # A word that is there can be read even if nothing else will come.
        ctx.set(window.running, 0)
        assert await ask_target(ctx, window.bus, 0) == (0x04030201, BusError.OK, 1)
        assert (await ask_target(ctx, window.bus, 0) or (0, 0))[1] == BusError.STATE

    simulate(window, host)


@pytest.mark.parametrize("core", CORES, ids=lambda core: f"{core.stream_units}x{core.activation_bits}")
def test_the_last_word_of_a_feature_map_is_marked_though_the_next_map_has_begun(core):
    rows, beats_a_row = 3, 2
    beats = random_packets(random.Random(2), core, 2 * rows, beats_a_row)
    words = len(beat_words(core, beats[0]))
    window = OutputWindow(core)
    marks: list[int] = []

    async def host(ctx: Any) -> None:
        ctx.set(window.running, 1)
        ctx.set(window.rows_last, rows - 1)
        for index in range(len(beats) * words):
            while not ctx.get(window.has_word):
                await ctx.tick()
            # The next map begins when the core has given the last beat of this one, of which words are still here.
            if index % (rows * beats_a_row * words) == (rows * beats_a_row - 1) * words or index == 0:
                ctx.set(window.begin, 1)
                await ctx.tick()
                ctx.set(window.begin, 0)
            marks.append(ctx.get(window.last))
            await ask_target(ctx, window.bus, 0)

    async def core_gives(ctx: Any) -> None:
        await ctx.tick().repeat(2)
        await stream_source(window.beats, beats)(ctx)

    simulate(window, host, core_gives)
    assert [index + 1 for index, mark in enumerate(marks) if mark] == [rows * beats_a_row * words, len(marks)]
