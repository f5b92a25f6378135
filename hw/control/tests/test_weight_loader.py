import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from amaranth.hdl import Value

from hw.config import PARAMETER_PLANES, CoreConfig
from hw.control.descriptor import Operation
from hw.control.weight_loader import WeightLoader
from sim.harness.amaranth_sim import simulate, stream_put, stream_source
from sim.harness.payload import unpack

DEPTH = 32


def core(groups: int, lanes: int = 4, post_lanes: int = 2, weight_bits: int = 8, *, packed: bool = False) -> CoreConfig:
    return CoreConfig(
        groups=groups,
        lanes=lanes,
        post_lanes=post_lanes,
        weight_depth=DEPTH,
        weight_bits=weight_bits,
        csc=False,
        packed_parameters=packed,
    )


@dataclass
class Pass:
    """What must be in memory when a pass is loaded, until it is released: by (group, address) and by (entry, plane)."""

    words: int
    weights: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    parameters: dict[tuple[int, int], list[int]] = field(default_factory=dict)


@dataclass
class Layer:
    channel_groups: int
    words: int
    passes: int
    blocks: int
    final_blocks: int
    held: bool = False  # words alone arrive, to `base`
    kept: bool = False  # and parameters alone, for words that are there
    base: int = 0

    @property
    def rounds(self) -> int:
        """Blocks that a group may hold."""
        return -(-self.blocks // self.channel_groups)

    @property
    def pass_words(self) -> int:
        """Words that a pass has room for in each group."""
        return self.rounds * self.words

    def fields(self, config: CoreConfig) -> dict[str, Any]:
        weights = {
            "words": self.words,
            "pass_words": self.pass_words,
            "blocks_last": self.blocks - 1,
            "final_blocks_last": self.final_blocks - 1,
            "kept": self.kept,
            "base": self.base,
        }
        split = config.splits.index((self.channel_groups, config.groups // self.channel_groups))
        operation = Operation.HOLD if self.held else Operation.CONVOLVE
        return {"operation": operation, "passes_last": self.passes - 1, "split": split, "weights": weights}


def random_layer(config: CoreConfig, rng: random.Random) -> Layer:
    channel_groups = rng.choice([c for c, _ in config.splits])
    blocks = rng.choice([channel_groups, rng.randint(channel_groups, config.groups)])
    rounds = -(-blocks // channel_groups)
    return Layer(
        channel_groups,
        words=rng.choice([1, 2, 5, DEPTH // 2, DEPTH // 2 + 1, DEPTH]) // rounds or 1,
        passes=rng.choice([1, 1, 2, 4]),
        blocks=blocks,
        final_blocks=rng.randint(1, blocks),
    )


class Stream:
    """The weight stream of layers, and what each of their passes must leave in memory."""

    def __init__(self, config: CoreConfig, layers: list[Layer], rng: random.Random) -> None:
        self._config, self._rng = config, rng
        self.beats: list[list[int]] = []
        self.passes: list[Pass] = []
        self._base = 0
        for layer in layers:
            if layer.held or layer.kept:
                self._base = layer.base
            for index in range(layer.passes):
                self._add_pass(layer, layer.final_blocks if index == layer.passes - 1 else layer.blocks)

    def _beat(self) -> list[int]:
        beat = [self._rng.randrange(-128, 128) for _ in range(self._config.lanes)]
        self.beats.append(beat)
        return beat

    def _words(self, count: int) -> list[list[int]]:
        """Weight words, in beats of a byte a lane."""
        bits, lanes = self._config.weight_bits, self._config.lanes
        half = 1 << (bits - 1)
        words = [[self._rng.randrange(-half, half) for _ in range(lanes)] for _ in range(count)]
        stream = sum(
            (value % (2 * half)) << (word * lanes + lane) * bits
            for word, values in enumerate(words)
            for lane, value in enumerate(values)
        )
        data = stream.to_bytes(-(-count * bits // 8) * lanes, "little")
        signed = [byte - 256 * (byte > 127) for byte in data]
        self.beats += [signed[at : at + lanes] for at in range(0, len(signed), lanes)]
        return words

    def _add_pass(self, layer: Layer, blocks: int) -> None:
        config = self._config
        one = Pass(layer.pass_words)
        parity = len(self.passes) % 2
        for block in range(blocks):
            for beat in range(0 if layer.held else config.post_beats):
                entry = (parity * config.groups + block) * config.post_beats + beat
                for plane in range(PARAMETER_PLANES):
                    part = (beat * PARAMETER_PLANES + plane) % config.parameter_parts * config.post_lanes
                    values = (self.beats[-1] if part else self._beat())[part : part + config.post_lanes]
                    one.parameters[entry, plane] = [byte % 256 for byte in values]
            for word, values in enumerate(self._words(0 if layer.kept else layer.words)):
                at = self._base + block // layer.channel_groups * layer.words + word
                for group in range(block % layer.channel_groups, config.groups, layer.channel_groups):
                    one.weights[group, at % DEPTH] = values
        self._base = (self._base + layer.pass_words) % DEPTH
        self.passes.append(one)


class Bench:
    """A loader with its memories and a sequencer that releases a pass some time after it is loaded.

    Attributes
    ----------
    weights, parameters
        The memories, by (group, address) and by (entry, plane).
    writes
        Weight words written, groups counted apart.
    """

    def __init__(self, config: CoreConfig, layers: list[Layer], stalls: str, patience: int, seed: int) -> None:
        self.config, self.layers, self.stalls, self.seed = config, layers, stalls, seed
        self._patience, self._rng = patience, random.Random(seed)
        self.stream = Stream(config, layers, self._rng)
        self.loader = WeightLoader(config)
        self.weights: dict[tuple[int, int], list[int]] = {}
        self.parameters: dict[tuple[int, int], list[int]] = {}
        self.writes = self.loaded = self.released = 0

    def run(self) -> int:
        loader = self.loader
        descriptors = [layer.fields(self.config) for layer in self.layers]
        return simulate(
            loader,
            stream_source(loader.layers, descriptors, stalls=self.stalls, seed=self.seed),
            stream_source(loader.beats, self.stream.beats, stalls=self.stalls, seed=self.seed),
            self._watch,
            deadline=30_000,
        )

    async def _watch(self, ctx: Any) -> None:
        loader = self.loader
        passes_before = [sum(layer.passes for layer in self.layers[:n]) for n in range(len(self.layers))]
        due: list[int] = []
        cycle = 0
        while self.released < len(self.stream.passes):
            release = bool(due) and due[0] <= cycle
            if release:
                due.pop(0)
                self._check(self.stream.passes[self.released])
                ctx.set(loader.released_words, self.stream.passes[self.released].words)
            ctx.set(loader.release, release)
            _, _, loaded, taken, ready, *writes = await ctx.tick().sample(
                loader.loaded,
                loader.layers.valid,
                loader.layers.ready,
                loader.weight_enable,
                loader.weight_address,
                Value.cast(loader.weight_data),
                loader.parameters.valid,
                Value.cast(loader.parameters.payload),
            )
            if taken and ready:
                assert self.loaded == passes_before.pop(0), self._where()
            self._write(*writes)
            self.released += release
            if loaded:
                self.loaded += 1
                due.append(cycle + 1 + self._rng.randint(0, self._patience))
            assert self.loaded - self.released <= 2, self._where()
            cycle += 1

    def _write(self, enable: int, address: int, data: int, valid: int, parameter: int) -> None:
        loader = self.loader
        for group in range(self.config.groups):
            if enable >> group & 1:
                self.weights[group, address] = unpack(loader.weight_data.shape(), data)
                self.writes += 1
        if valid:
            write = unpack(loader.parameters.payload.shape(), parameter)
            self.parameters[write["address"], write["plane"]] = write["data"]

    def _check(self, one: Pass) -> None:
        for place, word in one.weights.items():
            assert self.weights[place] == word, f"weights at {place}, {self._where()}"
        for entry, plane in one.parameters.items():
            assert self.parameters[entry] == plane, f"parameters at {entry}, {self._where()}"

    def _where(self) -> str:
        return f"pass {self.released}, seed {self.seed}"


@pytest.mark.parametrize("stalls, patience", [("none", 0), ("random", 30), ("none", 300), ("bursty", 100)])
@pytest.mark.parametrize("groups, lanes, post_lanes", [(1, 1, 1), (2, 4, 2), (3, 4, 4), (6, 8, 2)])
def test_each_pass_is_whole_until_it_is_released(groups, lanes, post_lanes, stalls, patience):
    seed = groups + patience
    rng = random.Random(seed)
    config = core(groups, lanes, post_lanes)
    layers = [random_layer(config, rng) for _ in range(5)]
    bench = Bench(config, layers, stalls, patience, seed)
    bench.run()
    # Nothing was written anywhere else.
    assert bench.writes == sum(len(one.weights) for one in bench.stream.passes), f"seed {seed}"


@pytest.mark.parametrize("groups, lanes, post_lanes", [(1, 4, 1), (2, 4, 2), (3, 3, 1), (2, 4, 4)])
def test_packed_parameters(groups, lanes, post_lanes):
    seed = groups + post_lanes
    rng = random.Random(seed)
    config = core(groups, lanes, post_lanes, packed=True)
    bench = Bench(config, [random_layer(config, rng) for _ in range(4)], "random", 20, seed)
    bench.run()
    assert all(one.parameters for one in bench.stream.passes), f"seed {seed}"


@pytest.mark.parametrize("weight_bits", [2, 4, 16])
@pytest.mark.parametrize("lanes, post_lanes", [(1, 1), (4, 4)])
def test_weights_of_another_width(lanes, post_lanes, weight_bits):
    rng = random.Random(weight_bits)
    config = core(2, lanes, post_lanes, weight_bits)
    layers = [random_layer(config, rng) for _ in range(4)]
    Bench(config, layers, "random", 20, seed=weight_bits).run()


@pytest.mark.parametrize("stalls", ["none", "random"])
def test_words_that_are_kept(stalls):
    """They are brought to places of their own, and stay when parameters alone come for them."""
    config = core(4)
    shapes = [(2, 3, 2, 4, 3, 0), (1, 5, 1, 1, 1, 12), (4, 2, 3, 4, 2, 20)]
    held = [Layer(*shape[:5], held=True, base=shape[5]) for shape in shapes]
    kept = [Layer(*shape[:5], kept=True, base=shape[5]) for shape in shapes]
    bench = Bench(config, [*held, *kept, *kept[::-1]], stalls, 10, seed=3)
    bench.run()
    brought = [one for one in bench.stream.passes if one.weights and not one.parameters]
    assert len(brought) == sum(layer.passes for layer in held)
    for one in brought:
        assert {place: bench.weights[place] for place in one.weights} == one.weights
    assert bench.writes == sum(len(one.weights) for one in brought)


def test_a_beat_a_cycle():
    """Besides the beats, a layer takes the cycle in which its descriptor is taken."""
    layers = [Layer(2, words=5, passes=3, blocks=2, final_blocks=1), Layer(1, 1, 1, 1, 1)]
    bench = Bench(core(2), layers, "none", 0, seed=1)
    # The last pass is released a cycle after it is loaded.
    assert bench.run() == len(layers) + len(bench.stream.beats) + 1


@pytest.mark.parametrize(
    "words, passes_held, words_ahead",
    [
        # Three words of the second pass still fit.
        (DEPTH - 3, 1, 3),
        # None of them fits, but its parameters are taken.
        (DEPTH, 1, 0),
        # Both fit exactly; a third waits although there are no more words to load than places.
        (DEPTH // 2, 2, None),
        (1, 2, None),
    ],
)
def test_it_stops_where_the_ring_or_the_parameters_are_full(words, passes_held, words_ahead):
    config = core(1)
    loader = WeightLoader(config)
    layer = Layer(1, words, passes=4, blocks=1, final_blocks=1)
    parameters = PARAMETER_PLANES * config.post_beats
    taken = loaded = 0

    async def bench(ctx: Any) -> None:
        nonlocal taken, loaded
        await stream_put(ctx, loader.layers, layer.fields(config))
        ctx.set(loader.beats.valid, 1)
        for _ in range(4 * (parameters + DEPTH)):
            _, _, ready, done = await ctx.tick().sample(loader.beats.ready, loader.loaded)
            taken += ready
            loaded += done

    simulate(loader, bench)
    ahead = 0 if words_ahead is None else parameters + words_ahead
    assert (loaded, taken) == (passes_held, passes_held * (parameters + words) + ahead)
