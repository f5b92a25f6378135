"""CrossLink-NX evaluation board with an LIFCL-40: 2 x 4 lanes.

The serial port of its USB bridge takes two jumpers of 0 ohms, R15 and R17, which are not fitted as delivered. Its clock
is the board's oscillator as it is.
"""

from amaranth.build import Attrs, Clock, Connector, Pins, Resource
from amaranth.vendor import LatticePlatform
from amaranth_boards.resources import LEDResources, UARTResource

from boards.platform.board import Board
from boards.platform.clocking import Oscillator
from boards.platform.family import NEXUS
from hw.config import AcceleratorConfig, CoreConfig


class _Platform(LatticePlatform):
    device = "LIFCL-40"
    speed = "9"
    package = "BG400"
    grade = "C"
    default_clk = "clk12"
    resources = [
        Resource("clk12", 0, Pins("L13", dir="i"), Clock(12e6), Attrs(IO_TYPE="LVCMOS33")),
        UARTResource(0, rx="F16", tx="F18", attrs=Attrs(IO_TYPE="LVCMOS33")),
        *LEDResources(pins="E17 F13 G13 F14", attrs=Attrs(IO_TYPE="LVCMOS33")),
    ]
    connectors: list[Connector] = []


def _platform() -> LatticePlatform:
    return _Platform(toolchain="Oxide")


BOARD = Board(
    name="crosslink_nx_evn",
    title="Lattice CrossLink-NX evaluation board",
    part="Lattice CrossLink-NX LIFCL-40-9BG400C",
    platform=_platform,
    family=NEXUS,
    device=("--device", "LIFCL-40-9BG400C"),
    # 72 KiB of program memory and 1,024 words of activations hold a LeNet-5.
    accelerator=AcceleratorConfig(
        CoreConfig(
            groups=2,
            lanes=4,
            post_lanes=2,
            post_dsps=3,
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
    oscillator=("clk12", 12.0),
    clocking=Oscillator,
    frequency=12.0,
    baud_rate=3_000_000,
    uart=("uart", 0),
    leds=(("led", 0), ("led", 1), ("led", 2)),
    program_in_bitstream=True,
    loader=("--board", "crosslinknx_evn"),
)
