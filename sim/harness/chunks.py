"""Streams of bytes that a test gives and takes in chunks while the simulation runs (`verilog/`), as components."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

_FOLDER = Path(__file__).parent / "verilog"

VERILOG = tuple(_FOLDER / f"{name}.v" for name in ("chunk_player", "chunk_recorder"))
"""The sources that a model with either of these needs."""

CHUNK_BYTES = 1024
"""Most bytes of a chunk: a test wakes once for so many."""


class ChunkPlayer(wiring.Component):
    """Plays chunks of bytes into a stream: see `verilog/chunk_player.v`.

    Parameters
    ----------
    name
        Begins the plusargs.

    Members
    -------
    stream : Out(stream)
    chunk : In(8 * CHUNK_BYTES), length : In(32), turn : In(1)
        The test sets the first two, and then flips the third.
    empty : Out(1)
        Every byte given has been taken.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__(
            {
                "stream": Out(stream.Signature(8)),
                "chunk": In(8 * CHUNK_BYTES),
                "length": In(32),
                "turn": In(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.player = Instance(
            "chunk_player",
            p_BYTES=CHUNK_BYTES,
            p_ID=self._name,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_chunk=self.chunk,
            i_length=self.length,
            i_turn=self.turn,
            o_payload=self.stream.payload,
            o_valid=self.stream.valid,
            i_ready=self.stream.ready,
            o_empty=self.empty,
        )
        return m


class ChunkRecorder(wiring.Component):
    """Collects a stream of bytes in chunks: see `verilog/chunk_recorder.v`.

    Parameters
    ----------
    name
        Begins the plusargs.

    Members
    -------
    stream : In(stream)
    chunk : Out(8 * CHUNK_BYTES), length : Out(32), turn : In(1)
        The test takes the first two, and then flips the third.
    waiting : Out(1)
        There is a chunk to take.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__(
            {
                "stream": In(stream.Signature(8)),
                "chunk": Out(8 * CHUNK_BYTES),
                "length": Out(32),
                "turn": In(1),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.recorder = Instance(
            "chunk_recorder",
            p_BYTES=CHUNK_BYTES,
            p_ID=self._name,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_payload=self.stream.payload,
            i_valid=self.stream.valid,
            o_ready=self.stream.ready,
            o_chunk=self.chunk,
            o_length=self.length,
            i_turn=self.turn,
            o_waiting=self.waiting,
        )
        return m
