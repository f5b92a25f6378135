"""Tang Nano 9K with a GW1NR-9: 4 lanes."""

from functools import partial

from amaranth.build import Platform
from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from boards.platform.board import Board
from boards.platform.clocking import GowinPll
from boards.platform.family import GW1N
from hw.config import AcceleratorConfig, CoreConfig

DEVICE = "GW1N-9C"


def _platform() -> Platform:
    return TangNano9kPlatform(toolchain="Apicula")


BOARD = Board(
    name="tang_nano_9k",
    title="Sipeed Tang Nano 9K",
    part="Gowin GW1NR-LV9QN88PC6/I5",
    platform=_platform,
    family=GW1N,
    device=("--device", TangNano9kPlatform.part, "--vopt", f"family={DEVICE}"),
    # Of 26 block RAMs, 12 hold the program, which is too little for a LeNet-5, and 8 the activations.
    accelerator=AcceleratorConfig(
        CoreConfig(
            groups=1,
            lanes=4,
            post_lanes=1,
            post_dsps=3,
            activation_banks=1,
            activation_depth=1024,
            weight_depth=512,
            stream_units=4,
            codec_elements=1,
            sparse_streams=False,
            fetch_depth=1,
            max_left_shift=0,
            max_size=63,
            max_channels=255,
            max_kernel=7,
            vector=False,
            csc=False,
        ),
        program_depth=6144,
        max_entries=32,
        link_words=64,
    ),
    oscillator=("clk27", 27.0),
    clocking=partial(GowinPll, device=DEVICE),
    frequency=27.0,
    baud_rate=3_000_000,
    uart=("uart", 0),
    leds=(("led", 0), ("led", 1), ("led", 2)),
    program_in_bitstream=True,
    loader=("--board", "tangnano9k"),
)
