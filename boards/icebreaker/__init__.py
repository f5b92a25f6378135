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
    # 64 KiB of program memory and 2,048 words of four activations hold a LeNet-5, each in two of the four large RAMs.
    accelerator=AcceleratorConfig(
        targets.ICE40.config.with_changes(
            word_elements=4,
            stream_units=4,
            sparse_streams=False,
            product_registers=False,
            packed_parameters=True,
            single_port=True,
            activation_depth=2048,
            max_size=31,
            max_channels=127,
        ),
        program_depth=16384,
        max_entries=16,
        link_words=16,
        activity_counters=False,
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
