import random
from typing import Any

import pytest
from amaranth.hdl import Value

from hw.config import CoreConfig
from hw.control.descriptor import Operation
from hw.control.sequencer import LayerReport, Sequencer
from sim.harness.amaranth_sim import simulate, stream_put
from sim.harness.payload import pack, unpack

CONFIG = CoreConfig(groups=6, lanes=4, post_lanes=2, weight_depth=64, max_channels=400)

PASS_OUTPUTS = (
    "weights_base",
    "parity",
    "first_channel",
    "final",
    "blocks_last",
    "final_beats_last",
    "convolve",
    "compute",
    "load",
    "present",
    "store",
)


def random_layer(rng: random.Random) -> dict[str, Any]:
    operation = rng.choice([Operation.CONVOLVE, *Operation])
    return {
        "operation": operation,
        "passes_last": 0 if moves(operation) else rng.choice([0, 0, 1, 3]),
        "split": rng.randrange(len(CONFIG.splits)),
        "weights": {
            "pass_words": rng.randint(1, CONFIG.weight_depth),
            "blocks_last": rng.randrange(CONFIG.groups),
            "final_blocks_last": rng.randrange(CONFIG.groups),
        },
        "input": {"resident": rng.getrandbits(1), "streamed": rng.getrandbits(1)},
        "output": {
            "merged": rng.getrandbits(1),
            "streamed": operation != Operation.LOAD and rng.getrandbits(1),
            "first_channel": rng.choice([0, 8]),
            "pass_channels": rng.choice([0, 4, 24]),
        },
        "post": {"final_beats_last": rng.randrange(CONFIG.post_beats)},
    }


def moves(operation: Operation) -> bool:
    return operation in (Operation.LOAD, Operation.STORE)


class Bench:
    """A process: all that a sequencer waits for, given at random, and a check of each pulse that it gives.

    Parameters
    ----------
    eager
        Probability, in each cycle, that a layer is offered, that the weights of a pass are loaded, that a pass
        under way comes to its end, and that a report is taken.
    """

    def __init__(self, layers: list[dict[str, Any]], eager: float, seed: int) -> None:
        self.sequencer = Sequencer(CONFIG)
        self._layers, self._eager, self._rng, self._seed = list(layers), eager, random.Random(seed), seed
        self._to_load = sum(layer["passes_last"] + 1 for layer in layers if not moves(layer["operation"]))
        self._held = self._base = self._parity = 0
        self._layer: dict[str, Any] | None = None
        self._offered = self._running = self._idle = self._waiting = self._waited = False
        self._pass = 0
        self._report: dict[str, int] = {}

    def _chance(self) -> bool:
        return self._rng.random() < self._eager

    async def __call__(self, ctx: Any) -> None:
        sequencer = self.sequencer
        watched = {
            "layer_ready": sequencer.layers.ready,
            "report_valid": sequencer.reports.valid,
            "report": Value.cast(sequencer.reports.payload),
            **{name: getattr(sequencer, name) for name in ("busy", "start", "release", "released_words")},
            **{name: getattr(sequencer, name) for name in PASS_OUTPUTS},
            "layer": Value.cast(sequencer.layer),
        }
        while self._layers or self._layer:
            given = self._choose()
            for signal, value in (
                (sequencer.layers.valid, self._offered),
                (Value.cast(sequencer.layers.payload), self._pack(self._layers[0]) if self._layers else 0),
                (sequencer.loaded, given["loaded"]),
                (sequencer.idle, self._idle or not self._running),
                (sequencer.issued, given["issued"]),
                (sequencer.groups.offered, given["offered"]),
                (sequencer.groups.taken, given["taken"]),
                (sequencer.reports.ready, given["report_ready"]),
            ):
                ctx.set(signal, value)
            _, _, *values = await ctx.tick().sample(*watched.values())
            self._check(given, dict(zip(watched, values, strict=True)))

    def _pack(self, layer: dict[str, Any]) -> int:
        return pack(self.sequencer.layer.shape(), layer)

    def _choose(self) -> dict[str, int]:
        """The inputs of a cycle. What has been offered stays, and a pass that is over stays over."""
        self._offered = bool(self._layers) and (self._offered or self._chance())
        self._idle = self._running and (self._idle or self._chance())
        loaded = self._to_load > 0 and self._held < 2 and self._chance()
        self._to_load -= loaded
        offered, taken, issued = 0, 0, 0
        if self._running and not self._idle:
            offered, taken, issued = (self._rng.getrandbits(CONFIG.groups) for _ in range(3))
        return {
            "loaded": loaded,
            "offered": offered,
            "taken": offered & taken,
            "issued": offered & taken & issued,
            "report_ready": self._chance(),
        }

    def _check(self, given: dict[str, int], seen: dict[str, int]) -> None:
        assert seen["busy"] == (self._layer is not None or self._waited), self._where()
        # A layer is taken in the second cycle in which it is offered.
        assert seen["layer_ready"] == (self._layer is None and self._waited), self._where()
        if seen["start"]:
            self._check_start(seen)
        if seen["report_valid"]:
            assert self._layer and self._pass == self._layer["passes_last"] + 1, self._where()
            assert unpack(self.sequencer.reports.payload.shape(), seen["report"]) == self._report, self._where()
        elif self._layer:
            self._count(given, running=self._running and not (seen["start"] or self._idle))
        if seen["release"]:
            self._check_release(seen)
        elif self._layer and moves(self._layer["operation"]) and self._running and self._idle:
            self._end_pass()
        self._held += given["loaded"]
        if not self._layer:
            self._waited = self._offered and not self._waited
        if seen["layer_ready"]:
            self._layer, self._pass, self._offered = self._layers.pop(0), 0, False
            self._report = dict.fromkeys(LayerReport().members, 0) | {"cycles": 1}
            self._waiting = True
        elif seen["report_valid"] and given["report_ready"]:
            self._layer = None

    def _count(self, given: dict[str, int], *, running: bool) -> None:
        offered, taken = given["offered"], given["taken"]
        for name, count in (
            ("cycles", 1),
            ("operations", given["issued"].bit_count()),
            ("busy", taken.bit_count()),
            ("post", (offered & ~taken).bit_count()),
            ("activations", running * (CONFIG.groups - offered.bit_count())),
            ("weights", self._waiting),
        ):
            self._report[name] += count

    def _check_start(self, seen: dict[str, int]) -> None:
        layer = self._layer
        assert layer and not self._running, self._where()
        operation, source, target = layer["operation"], layer["input"], layer["output"]
        assert self._held or moves(operation), self._where()
        loads = operation == Operation.LOAD or (operation == Operation.CONVOLVE and source["streamed"])
        stores = operation == Operation.STORE or target["streamed"]
        final = self._pass == layer["passes_last"]
        expected = {
            "weights_base": self._base,
            "parity": self._parity,
            "first_channel": target["first_channel"] + self._pass * target["pass_channels"],
            "final": int(final),
            "blocks_last": layer["weights"]["final_blocks_last" if final else "blocks_last"],
            "final_beats_last": layer["post"]["final_beats_last"] if final else CONFIG.post_beats - 1,
            "convolve": int(operation == Operation.CONVOLVE),
            "compute": int(operation in (Operation.ADD, Operation.SUM, Operation.MAXIMUM)),
            "load": int(loads and (self._pass == 0 or not source["resident"])),
            "present": int(not loads),
            "store": int(bool(stores) and (final or not target["merged"])),
        }
        assert {name: seen[name] for name in PASS_OUTPUTS} == expected, self._where()
        assert seen["layer"] == self._pack(layer), self._where()
        self._running, self._waiting, self._idle = True, False, False

    def _check_release(self, seen: dict[str, int]) -> None:
        layer = self._layer
        assert layer and self._running and self._idle, self._where()
        assert seen["released_words"] == layer["weights"]["pass_words"], self._where()
        self._base = (self._base + layer["weights"]["pass_words"]) % CONFIG.weight_depth
        self._parity ^= 1
        self._held -= 1
        self._end_pass()

    def _end_pass(self) -> None:
        self._pass += 1
        self._running = False
        assert self._layer
        self._waiting = self._pass <= self._layer["passes_last"]

    def _where(self) -> str:
        return f"pass {self._pass} of {self._layer}, seed {self._seed}"


@pytest.mark.parametrize("eager", [0.05, 0.5, 1])
@pytest.mark.parametrize("seed", range(4))
def test_random_layers(seed, eager):
    rng = random.Random(seed)
    bench = Bench([random_layer(rng) for _ in range(12)], eager, seed)
    simulate(bench.sequencer, bench, deadline=20_000)


def test_between_two_passes_are_three_cycles():
    """If the weights of the second are there: release, look, start."""
    layer = random_layer(random.Random(1)) | {"passes_last": 1}
    sequencer = Sequencer(CONFIG)
    events: list[tuple[int, ...]] = []

    async def bench(ctx: Any) -> None:
        for _ in range(2):
            ctx.set(sequencer.loaded, 1)
            await ctx.tick()
        ctx.set(sequencer.loaded, 0)
        await stream_put(ctx, sequencer.layers, layer)
        ctx.set(sequencer.idle, 1)
        for _ in range(8):
            _, _, *event = await ctx.tick().sample(sequencer.start, sequencer.release, sequencer.reports.valid)
            events.append(tuple(event))

    simulate(sequencer, bench)
    nothing, start, release, report = (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)
    assert events == [nothing, start, release, nothing, start, release, report, report]
