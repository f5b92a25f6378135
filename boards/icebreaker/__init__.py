"""iCEBreaker with an iCE40 UP5K: 4 lanes."""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from boards.platform.board import Board
from boards.platform.clocking import Oscillator
from boards.platform.family import ICE40
from boards.synthesis import targets
from hw.config import AcceleratorConfig

BOARD = Board(
    name="icebreaker",
    title="1BitSquared iCEBreaker",
    part="Lattice iCE40 UP5K-SG48",
    platform=ICEBreakerPlatform,
    family=ICE40,
    device=("--up5k", "--package", "sg48"),
    accelerator=AcceleratorConfig(
        targets.ICE40.config.with_changes(stream_units=4, sparse_streams=False),
        program_depth=1024,
        max_entries=16,
        link_words=16,
    ),
    oscillator=("clk12", 12.0),
    clocking=Oscillator,
    frequency=12.0,
    baud_rate=3_000_000,
    uart=("uart", 0),
    leds=(("led_g", 0), ("led_r", 0)),
    program_in_bitstream=False,
    loader=("--board", "ice40_generic"),
)
