"""A board's top level in a simulator: its pins, its clock, its serial port, and a driver's transport to them.

    with SimulatedBoard(load_board("orangecrab_25f"), program=image) as simulated:
        accelerator = Accelerator.open(simulated.transport)

The Verilog is that of the circuit which goes into the bitstream, pin buffers included. On the bench the other end of
the serial line is a `Uart`, bit by bit. There is no reset pin, so what is seen is power-on. A cycle of the oscillator
stands for a cycle of the clock made of it: the models of the phase-locked loops pass it on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from boards.platform.board import Board
from boards.platform.top import LIGHTS, BoardTop, inverted, port_names
from boards.synthesis.flow import TOP
from hw.bus.uart import Uart
from hw.machine.program import ProgramImage
from sim.accelerator_sim import SimulatedAccelerator
from sim.cells import PIN_CELLS
from sim.harness.cache import cached_folder, described_by, digest
from sim.harness.live_bench import build_live_bench
from sim.harness.model import Build


class BoardOnBench(wiring.Component):
    """A board's top level with a serial adapter at its pins.

    Ports
    -----
    bytes_in, bytes_out
        In and Out streams of bytes: what the adapter sends to the board, and what it receives.
    busy, ready, failed
        Out: the LEDs; those that the board has not are low.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        super().__init__(
            {
                "bytes_in": In(stream.Signature(8)),
                "bytes_out": Out(stream.Signature(8)),
                **dict.fromkeys(LIGHTS, Out(1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.adapter = adapter = Uart(self._board.divisor())
        connect(m, producer=flipped(self.bytes_in), consumer=adapter.to_send)
        connect(m, producer=adapter.received, consumer=flipped(self.bytes_out))
        names = port_names(self._board)
        pins: dict[str, Any] = {
            f"i_{names.pop('clock')}": ClockSignal(),
            f"i_{names.pop('rx')}": adapter.tx,
            f"o_{names.pop('tx')}": adapter.rx,
        }
        for light, name in names.items():
            pins[f"o_{name}"] = level = Signal(name=f"pin_{light}")
            m.d.comb += getattr(self, light).eq(level ^ inverted(self._board, light))
        m.submodules.board = Instance(TOP, **pins)
        return m


def board_sources(board: Board, program: ProgramImage | None = None) -> list[Path]:
    """The Verilog of a board's top level, and of the cells at its pins."""

    def make(folder: Path) -> None:
        top = BoardTop(board, program=program)
        plan = board.platform().prepare(top, TOP, emit_src=False, debug_verilog=True)
        clock = port_names(board)["clock"]
        # Some families' buffers have pins for both ways; the bench drives this one from an input of its own.
        text = str(plan.files[f"{TOP}.debug.v"]).replace(f"inout {clock};", f"input {clock};")
        (folder / f"{TOP}.v").write_text(text)

    held = program.data.hex() if program else ""
    recipe = [board.name, repr(board.accelerator), str(board.frequency), str(board.baud_rate), held]
    described = [*recipe, *described_by("hw", "boards")]
    folder = cached_folder(f"board-{board.name}-{digest(described)}", make)
    return [folder / f"{TOP}.v", PIN_CELLS]


class SimulatedBoard(SimulatedAccelerator):
    """A board in a simulator, from power-on; a context manager, otherwise as `SimulatedAccelerator`.

    Parameters
    ----------
    board
        Which.
    program
        What its bitstream brings.
    """

    def __init__(self, board: Board, *, program: ProgramImage | None = None, **settings: Any) -> None:
        super().__init__(board.accelerator, **settings)
        self._board = board
        self._program = program
        self._name = board.name

    def _build(self, *, waves: bool) -> Build:
        return build_live_bench(
            BoardOnBench(self._board),
            name="board_bench",
            simulator=self._simulator,
            waves=waves,
            verilog_sources=board_sources(self._board, self._program),
        )
