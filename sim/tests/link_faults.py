"""A transport that fails: frames are damaged, lost and repeated on both ways, and noise comes in between."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable

from hw.bus.protocol import ESCAPE, FLAG
from sim.tests.link_model import LinkModel

_FRAME = re.compile(bytes([FLAG]) + b"[^~]+" + bytes([FLAG]))
_MOST_NOISE = 60


def _flipped(frame: bytes, generator: random.Random) -> bytes:
    damaged = bytearray(frame)
    for _ in range(generator.randint(1, 3)):
        damaged[generator.randrange(len(frame))] ^= 1 << generator.randrange(8)
    return bytes(damaged)


def _thinned(frame: bytes, generator: random.Random) -> bytes:
    """Without a byte, which may be a flag."""
    place = generator.randrange(len(frame))
    return frame[:place] + frame[place + 1 :]


def _cut(frame: bytes, generator: random.Random) -> bytes:
    """The beginning only: the next frame follows without a flag of this one's end."""
    return frame[: generator.randrange(1, len(frame))]


FAULTS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flipped": _flipped,
    "thinned": _thinned,
    "cut": _cut,
    "lost": lambda frame, generator: b"",
    "repeated": lambda frame, generator: frame * generator.randint(2, 3),
}


class FaultyTransport:
    """The way to a `LinkModel`, as `host.transport.Transport` has it. Silence takes no time.

    Parameters
    ----------
    model
        The other end.
    generator
        Of the faults.
    rate
        Chance that a frame meets a fault, on each way, and chance that noise comes before it.

    Attributes
    ----------
    frames : int
        Frames that the host has sent.
    faults : Counter
        How many of each have happened, by their names and the way: "lost there", "noise back".
    """

    def __init__(self, model: LinkModel, generator: random.Random, rate: float) -> None:
        self._model = model
        self._generator = generator
        self._rate = rate
        self._waiting = b""
        self.frames = 0
        self.faults: Counter[str] = Counter()

    def __str__(self) -> str:
        return "faulty line"

    def write(self, data: bytes) -> None:
        """One frame to the model, and its answer back."""
        self.frames += 1
        answer = self._model.exchange(self._meddled(data, "there"))
        pieces = _FRAME.findall(answer)
        assert b"".join(pieces) == answer, "the link sends something that is no frame"
        self._waiting += b"".join(self._meddled(piece, "back") for piece in pieces)

    def read(self, timeout: float) -> bytes:
        """Some of what waits."""
        count = self._generator.randint(1, 100)
        data, self._waiting = self._waiting[:count], self._waiting[count:]
        return data

    def close(self) -> None:
        """Nothing to do."""

    def _meddled(self, frame: bytes, way: str) -> bytes:
        noise = b""
        if self._happens():
            self.faults[f"noise {way}"] += 1
            choices = [FLAG, ESCAPE, *range(256)]
            noise = bytes(self._generator.choices(choices, k=self._generator.randint(1, _MOST_NOISE)))
        if self._happens():
            fault = self._generator.choice(list(FAULTS))
            self.faults[f"{fault} {way}"] += 1
            frame = FAULTS[fault](frame, self._generator)
        return noise + frame

    def _happens(self) -> bool:
        return self._generator.random() < self._rate
