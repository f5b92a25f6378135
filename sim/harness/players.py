"""The Verilog player, recorder and checker of streams (`verilog/`), as Amaranth components."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sim.harness.payload import width_of

_FOLDER = Path(__file__).parent / "verilog"

VERILOG = tuple(_FOLDER / f"{name}.v" for name in ("stream_player", "stream_recorder", "stream_checker"))
"""The sources that a model with any of these needs."""


def _common(shape: Any, name: str) -> dict[str, Any]:
    """Connections that all three have."""
    width = width_of(shape)
    if width == 0:
        raise ValueError(f"stream {name} has an empty payload, which Verilog cannot express")
    return {
        "p_WIDTH": width,
        "p_ID": name,
        "i_clk": ClockSignal(),
        "i_rst": ResetSignal(),
    }


class StreamPlayer(wiring.Component):
    """Plays beats from a file into a stream, with stalls of its own; the file and the stalls are plusargs.

    Parameters
    ----------
    shape
        Of the payload.
    name
        Begins the plusargs: see `verilog/stream_player.v`.

    Members
    -------
    stream : Out(stream)
    done : Out(1)
        Every beat has been taken.
    fault : Out(1)
        The file cannot be read.
    count : Out(32)
        Beats taken.
    """

    def __init__(self, shape: Any, name: str) -> None:
        self._shape = shape
        self._name = name
        super().__init__({"stream": Out(stream.Signature(shape)), "done": Out(1), "fault": Out(1), "count": Out(32)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.player = Instance(
            "stream_player",
            **_common(self._shape, self._name),
            o_payload=Value.cast(self.stream.payload),
            o_valid=self.stream.valid,
            i_ready=self.stream.ready,
            o_done=self.done,
            o_fault=self.fault,
            o_count=self.count,
        )
        return m


class StreamRecorder(wiring.Component):
    """Writes the beats of a stream to a file, with stalls of its own; the file and the stalls are plusargs.

    Parameters
    ----------
    shape
        Of the payload.
    name
        Begins the plusargs: see `verilog/stream_recorder.v`.

    Members
    -------
    stream : In(stream)
    complete : Out(1)
        As many beats as expected have come.
    fault : Out(1)
        The file cannot be written.
    count : Out(32)
        Beats taken.
    """

    def __init__(self, shape: Any, name: str) -> None:
        self._shape = shape
        self._name = name
        super().__init__({"stream": In(stream.Signature(shape)), "complete": Out(1), "fault": Out(1), "count": Out(32)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.recorder = Instance(
            "stream_recorder",
            **_common(self._shape, self._name),
            i_payload=Value.cast(self.stream.payload),
            i_valid=self.stream.valid,
            o_ready=self.stream.ready,
            o_complete=self.complete,
            o_fault=self.fault,
            o_count=self.count,
        )
        return m


class StreamChecker(wiring.Component):
    """Watches a stream from aside; a broken rule is printed and sets `fault` for good.

    Parameters
    ----------
    shape
        Of the payload.
    name
        What the message calls the stream.

    Members
    -------
    payload : In(shape)
    valid, ready : In(1)
    fault : Out(1)
    """

    def __init__(self, shape: Any, name: str) -> None:
        self._shape = shape
        self._name = name
        super().__init__({"payload": In(shape), "valid": In(1), "ready": In(1), "fault": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.checker = Instance(
            "stream_checker",
            **_common(self._shape, self._name),
            i_payload=Value.cast(self.payload),
            i_valid=self.valid,
            i_ready=self.ready,
            o_fault=self.fault,
        )
        return m
