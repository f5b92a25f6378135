"""The streams of a component, found from its signature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In

from sim.harness.payload import width_of


@dataclass(frozen=True)
class StreamPort:
    """A stream of a component.

    Parameters
    ----------
    name
        As it begins the names of the stream's ports in the Verilog. Stream `i` of an array `x` is `x__i`.
    member
        The member of the component that it is, or belongs to.
    interface
        Its signals.
    is_input
        Whether the component reads it.
    """

    name: str
    member: str
    interface: Any
    is_input: bool

    @property
    def shape(self) -> Any:
        """Shape of the payload."""
        return self.interface.payload.shape()

    @property
    def width(self) -> int:
        """Bits of the payload."""
        return width_of(self.shape)

    @property
    def always_valid(self) -> bool:
        """Whether the writer cannot pause."""
        return bool(self.interface.signature.always_valid)

    @property
    def always_ready(self) -> bool:
        """Whether the reader cannot pause."""
        return bool(self.interface.signature.always_ready)


def streams_of(component: wiring.Component) -> list[StreamPort]:
    """Each member that is a `stream.Signature`, or an array of them, in the order of the signature."""
    ports = []
    for name, member in component.signature.members.items():
        if member.is_signature and isinstance(member.signature, stream.Signature):
            for flat, interface in _flatten(name, getattr(component, name), member.dimensions):
                ports.append(StreamPort(flat, name, interface, member.flow == In))
    return ports


def _flatten(name: str, item: Any, dimensions: Sequence[int]) -> Iterator[tuple[str, Any]]:
    if not dimensions:
        yield name, item
        return
    for index, inner in enumerate(item):
        yield from _flatten(f"{name}__{index}", inner, dimensions[1:])
