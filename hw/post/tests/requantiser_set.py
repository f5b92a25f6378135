"""Requantisers side by side behind one stream, for long runs in a compiled simulator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from amaranth import signed
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.post.layouts import MapParameters
from hw.post.requantise import Requantiser
from hw.post.tests.samples import Samples
from hw.stream.delay import delay
from sim.harness.bench import BenchModel
from sim.harness.bench_run import run_bench
from sim.harness.payload import unpack

_BOUND = signed(17)
_PARAMETERS = data.Layout.cast(MapParameters)
_SAMPLE = data.StructLayout({"accumulator": signed(32), "parameters": _PARAMETERS})


class RequantiserSet(wiring.Component):
    """Gives each sample to every requantiser; their values come out together.

    Ports: `samples` In stream {accumulator, parameters}, `values` Out stream of one signed(17) a requantiser
    (never to be stalled), `offset`, `lower` and `upper`.
    """

    def __init__(self, requantisers: Sequence[Requantiser]) -> None:
        self._requantisers = requantisers
        super().__init__(
            {
                "samples": In(stream.Signature(_SAMPLE)),
                "values": Out(stream.Signature(data.ArrayLayout(_BOUND, len(requantisers)))),
                "offset": In(_BOUND),
                "lower": In(_BOUND),
                "upper": In(_BOUND),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        latency = max(requantiser.latency for requantiser in self._requantisers)
        valid = delay(m, self.samples.valid, latency, name="valid", reset_less=False)
        m.d.comb += [self.samples.ready.eq(1), self.values.valid.eq(valid)]
        for number, requantiser in enumerate(self._requantisers):
            m.submodules[f"requantiser_{number}"] = requantiser
            m.d.comb += [
                requantiser.accumulator.eq(self.samples.payload.accumulator),
                requantiser.parameters.eq(self.samples.payload.parameters),
                requantiser.offset.eq(self.offset),
                requantiser.lower.eq(self.lower),
                requantiser.upper.eq(self.upper),
            ]
            value = delay(m, requantiser.value, latency - requantiser.latency, name=f"value_{number}")
            m.d.comb += self.values.payload[number].eq(value)
        return m


def check(
    bench: BenchModel,
    requantisers: Sequence[Requantiser],
    samples: Samples,
    bounds: tuple[int, int],
    seed: int,
    offset: int = 0,
) -> None:
    """Each requantiser gives what the golden model gives, for the shifts within its configuration's limit."""
    mask = (1 << _BOUND.width) - 1
    settings = {"offset": offset & mask, "lower": bounds[0] & mask, "upper": bounds[1] & mask}
    beats = {"samples": _beats(samples)}
    result = run_bench(bench, beats, expect={"values": len(samples)}, settings=settings, seed=seed)
    layout = data.ArrayLayout(_BOUND, len(requantisers))
    got = np.array([unpack(layout, beat) for beat in result.beats("values")])
    expected = samples.requantised(*bounds, offset=offset)
    for values, requantiser in zip(got.T, requantisers, strict=True):
        within = samples.shift <= requantiser.config.max_left_shift
        wrong = np.flatnonzero(within & (values != expected))
        assert not len(wrong), (
            f"{len(wrong)} wrong with {requantiser.config}: {samples[wrong[0]]}, offset {offset} gives "
            f"{values[wrong[0]]}, expected {expected[wrong[0]]}; seed {seed}"
        )


def _beats(samples: Samples) -> list[int]:
    """The samples packed as `_SAMPLE`."""
    parameters = _SAMPLE["parameters"].offset
    places = {name: (field.offset + parameters, field.width) for name, field in _PARAMETERS}
    places["accumulator"] = (_SAMPLE["accumulator"].offset, _SAMPLE["accumulator"].width)
    beats = np.zeros(len(samples), object)
    for name, (offset, width) in places.items():
        beats |= (getattr(samples, name) & ((1 << width) - 1)).astype(object) << offset
    return list(beats)
