"""The driver's link against the Verilog of its other end, on a line that fails."""

import random

import numpy as np
import pytest

import host.link
from host.link import BusAccessError, Link
from hw.bus.host_bus import BusError
from sim.harness import toolchain
from sim.tests.link_faults import FAULTS, FaultyTransport
from sim.tests.link_model import LinkModel
from sim.tests.link_target import LINK_WORDS, SUM_WORDS, Place

pytestmark = pytest.mark.skipif(toolchain.missing("verilator") is not None, reason="needs Verilator")

FRAMES = 10_000


class Traffic:
    """Random transfers over a link, each held against what the target must have seen: everything once."""

    def __init__(self, link: Link, generator: random.Random) -> None:
        self._link = link
        self._random = generator
        self._sums = np.zeros(SUM_WORDS, np.uint64)
        self._tickets = 0
        self._writes = 0
        self.transfers = 0

    def step(self) -> None:
        """One transfer."""
        kinds = [self._add, self._look, self._take_tickets, self._count, self._run_into_nothing, self._write_to_tickets]
        self.transfers += 1
        (kind,) = self._random.choices(kinds, [10, 6, 6, 3, 1, 1])
        kind()
        if self._random.random() < 0.01:
            self._link.sync()

    def _span(self) -> tuple[int, int]:
        """First word and number of words, often more than a frame's, sometimes none."""
        count = self._random.choice([0, 1, 2, LINK_WORDS, self._random.randint(1, 3 * LINK_WORDS)])
        return self._random.randint(0, SUM_WORDS - count), count

    def _add(self) -> None:
        first, count = self._span()
        words = np.array(
            self._random.choices([0x7E7E7E7E, 0x7D5E7D5D, self._random.getrandbits(32)], k=count), np.uint32
        )
        self._link.write(Place.SUMS.base + 4 * first, words)
        self._sums[first : first + count] += words
        self._writes += count

    def _look(self) -> None:
        first, count = self._span()
        found = self._link.read(Place.SUMS.base + 4 * first, count)
        np.testing.assert_array_equal(found, (self._sums[first : first + count] % (1 << 32)).astype(np.uint32))

    def _take_tickets(self) -> None:
        _, count = self._span()
        expected = np.arange(self._tickets, self._tickets + count)
        np.testing.assert_array_equal(self._link.read(Place.TICKETS.base, count), expected)
        self._tickets += count

    def _count(self) -> None:
        assert self._link.read(Place.WRITES.base, 1).tolist() == [self._writes]

    def _run_into_nothing(self) -> None:
        """Read over the end of the counter of writes, which the bus has at 1,024 addresses."""
        start, good = Place.NOTHING.base, self._random.randint(0, 2 * LINK_WORDS)
        with pytest.raises(BusAccessError) as caught:
            self._link.read(start - 4 * good, good + self._random.randint(1, LINK_WORDS))
        assert (caught.value.address, caught.value.code) == (start, BusError.ADDRESS)

    def _write_to_tickets(self) -> None:
        with pytest.raises(BusAccessError) as caught:
            self._link.write(Place.TICKETS.base, [1, 2, 3])
        assert (caught.value.address, caught.value.code) == (Place.TICKETS.base, BusError.DIRECTION)

    def check(self) -> None:
        """That the target has seen everything once."""
        self._count()
        assert self._link.read(Place.SUMS.base, SUM_WORDS).tolist() == (self._sums % (1 << 32)).tolist()
        assert self._link.read(Place.TICKETS.base, 1).tolist() == [self._tickets]
        self._tickets += 1


@pytest.mark.parametrize("rate, frames", [(0.0, 500), (0.01, FRAMES), (0.1, 2_000)])
def test_every_transfer_is_right_and_nothing_is_done_twice(monkeypatch, rate, frames):
    """At 1 % as it might be; at 10 % so that faults meet faults."""
    seed = int(rate * 1000)
    generator = random.Random(seed)
    monkeypatch.setattr(host.link.secrets, "randbelow", generator.randrange)
    with LinkModel(seed) as model:
        transport = FaultyTransport(model, generator, rate)
        link = Link(transport, attempts=20)
        traffic = Traffic(link, generator)
        while transport.frames < frames:
            traffic.step()
        traffic.check()
    told = f"seed {seed}: {transport.frames} frames, {link.repeats} sent again, {dict(transport.faults)}"
    assert (link.repeats > 0) == (rate > 0), told
    if rate:
        assert transport.faults.keys() == {
            f"{name} {way}" for name in [*FAULTS, "noise"] for way in ("there", "back")
        }, told
    assert traffic.transfers > frames // 4, told
