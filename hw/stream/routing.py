"""Self-routing butterflies: values between spread-out places and a run of neighbouring ones.

The places that a mask marks, in order, correspond to a run of addresses that counts up, modulo a power of
two. A butterfly of two-way switches brings each marked place to its address: level k gives bit k of the place
the value of bit k of the address. Two never meet: before level k+1, two places with the same upper bits are
less than 2**(k+1) apart, so their addresses differ by less than 2**(k+1) too, and by at least 1: in their
lower k+1 bits. One network so does a rotation and a compaction in one go, or, run backwards, a rotation and
an expansion. (The permutations are those of parallel extract and deposit: Hilewitz and Lee, "Fast bit
compression and expansion with parallel extract and parallel deposit instructions", ASAP 2006.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value


class Routes:
    """The switches of a butterfly for requests at its places.

    Parameters
    ----------
    m
        Where the logic goes.
    valid
        For each place (a power of two of them) whether it takes part.
    addresses
        For each place its address, at least `levels` bits. The addresses of valid places count up by 1,
        modulo a power of two of at least 2**levels.
    levels
        Levels of switches; the lower 2**levels addresses are told apart.

    Attributes
    ----------
    valid : list of Value
        For each place after the last level whether a request has arrived there.
    upper : list of Value
        For each place after the last level the bits of the address that arrived, from bit `levels` up.
    """

    def __init__(self, m: Module, valid: Sequence[Value], addresses: Sequence[Value], levels: int) -> None:
        self._goes_across: list[list[Value]] = []  # by level, for a request at that place
        self._comes_across: list[list[Value]] = []  # by level, for the request that arrives at that place
        self.valid, self.upper = list(valid), list(addresses)
        for level in range(levels):
            self._add_level(m, level)

    def _add_level(self, m: Module, level: int) -> None:
        places = range(len(self.valid))
        goes = [self.upper[place][0] ^ (place >> level & 1) for place in places]
        stays = [self.valid[place] & ~goes[place] for place in places]
        other = [place ^ (1 << level) for place in places]
        valid, upper = [], []
        for place in places:
            arrived = Signal(name=f"arrived_{level}_{place}")
            rest = Signal(len(self.upper[place]) - 1, name=f"address_{level}_{place}")
            m.d.comb += [
                arrived.eq(stays[place] | self.valid[other[place]] & goes[other[place]]),
                rest.eq(Mux(stays[place], self.upper[place], self.upper[other[place]])[1:]),
            ]
            valid.append(arrived)
            upper.append(rest)
        self._goes_across.append(goes)
        self._comes_across.append([~stay for stay in stays])
        self.valid, self.upper = valid, upper

    def forward(self, values: Sequence[Any]) -> list[Any]:
        """The values of the places, each brought to its address. Where none arrives is an arbitrary value."""
        for level, across in enumerate(self._comes_across):
            values = [Mux(across[place], values[place ^ (1 << level)], value) for place, value in enumerate(values)]
        return list(values)

    def backward(self, values: Sequence[Any]) -> list[Any]:
        """For each place the value at its address. Places that take no part get an arbitrary value."""
        for level, across in reversed(list(enumerate(self._goes_across))):
            values = [Mux(across[place], values[place ^ (1 << level)], value) for place, value in enumerate(values)]
        return list(values)
