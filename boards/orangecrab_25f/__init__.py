"""OrangeCrab r0.2 with an LFE5U-25F: 2 x 4 lanes.

The board has no USB-serial bridge: the link is on pins 0 (RX) and 1 (TX) of its header, for an adapter of 3.3 V.
"""

from amaranth.build import Attrs, Platform
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform
from amaranth_boards.resources import UARTResource

from boards.platform.board import Board
from boards.platform.clocking import Ecp5Pll
from boards.platform.family import ECP5
from hw.config import AcceleratorConfig, CoreConfig


def _platform() -> Platform:
    platform = OrangeCrabR0_2_25FPlatform()
    platform.add_resources([UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33"))])
    return platform


BOARD = Board(
    name="orangecrab_25f",
    title="OrangeCrab r0.2-25F",
    part="Lattice ECP5 LFE5U-25F-8",
    platform=_platform,
    family=ECP5,
    device=("--25k", "--package", "CSFBGA285", "--speed", "8"),
    # 72 KiB of program memory and 1,024 words of activations hold a LeNet-5.
    accelerator=AcceleratorConfig(
        CoreConfig(
            groups=2,
            lanes=4,
            post_lanes=2,
            post_dsps=2,
            activation_banks=2,
            activation_depth=512,
            weight_depth=512,
            stream_units=4,
            codec_elements=1,
            sparse_streams=False,
            fetch_depth=2,
            max_size=127,
            max_channels=511,
            max_kernel=15,
            csc=False,
        ),
        program_depth=18432,
        max_entries=32,
    ),
    oscillator=("clk", 48.0),
    clocking=Ecp5Pll,
    frequency=48.0,
    baud_rate=2_000_000,
    uart=("uart", 0),
    leds=(("rgb_led", 0, "g"), ("rgb_led", 0, "b"), ("rgb_led", 0, "r")),
    program_in_bitstream=True,
    loader=("--board", "orangecrab"),
)
