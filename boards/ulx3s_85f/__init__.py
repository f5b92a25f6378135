"""ULX3S with an LFE5U-85F: 128 lanes, and the program of a whole network in block RAM."""

from amaranth_boards.ulx3s import ULX3S_85F_Platform

from boards.platform.board import Board
from boards.platform.clocking import Ecp5Pll
from boards.platform.family import ECP5
from boards.synthesis import targets
from hw.config import AcceleratorConfig

BOARD = Board(
    name="ulx3s_85f",
    title="Radiona ULX3S-85F",
    part="Lattice ECP5 LFE5U-85F-6",
    platform=ULX3S_85F_Platform,
    family=ECP5,
    device=("--85k", "--package", "CABGA381", "--speed", "6"),
    # 96 KiB of program memory hold ResNet-8. Two outputs a cycle are as many as can be routed with 128 lanes beside the
    # machine; maps, channels and kernels are as large as those of MLPerf Tiny's networks.
    accelerator=AcceleratorConfig(
        targets.ECP5.config.with_changes(
            sparse_streams=False,
            codec_elements=1,
            post_lanes=2,
            packed_parameters=True,
            max_size=127,
            max_channels=1023,
            max_kernel=15,
        ),
        program_depth=6144,
    ),
    oscillator=("clk25", 25.0),
    clocking=Ecp5Pll,
    frequency=50.0,
    baud_rate=2_000_000,
    uart=("uart", 0),
    leds=(("led", 0), ("led", 1), ("led", 2)),
    program_in_bitstream=True,
    loader=("--board", "ulx3s"),
    floorplan=targets.ECP5.floorplan,
)
