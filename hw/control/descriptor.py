"""The descriptor of a layer: everything that the hardware must know to run it.

The compiler packs with this very layout. Loop counts are stored as the index of the last iteration (`..._last`), word
strides are multiplied out by the compiler, and every circular address step is already reduced modulo its ring, so
that the hardware only adds and compares.
"""

from __future__ import annotations

from amaranth import signed, unsigned
from amaranth.lib import data

from hw.config import WORD_ELEMENTS, CoreConfig


def coordinate(config: CoreConfig) -> object:
    """Shape of a row or column of the padded input: signed, since padding lies at negative coordinates."""
    return signed(range(2 * (config.max_size + 1)).stop.bit_length() + 1)


class WeightsLayout(data.StructLayout):
    """How a layer's weights arrive.

    `words` per block and pass (kernel height x width x input channels); `blocks_last` of a full pass and
    `final_blocks_last` of the last pass: index of the last block of `lanes` maps.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "words": range(config.weight_depth + 1),
                "blocks_last": range(config.groups),
                "final_blocks_last": range(config.groups),
            }
        )


class InputLayout(data.StructLayout):
    """The input feature map: its packets on the stream and its ring of rows in the activation memory.

    Rows arrive in order, each as one packet per channel block. All blocks but the last have `block_channels`
    channels, a multiple of 16. The ring starts at word 0, holds rows `0..ring_rows_last` and is `ring_words` long.
    `resident`: the ring holds the whole map, which is then loaded once and not once a pass. `threshold`: the largest
    stored byte that means a positive distance from the zero point.
    """

    def __init__(self, config: CoreConfig) -> None:
        size = range(config.max_size + 1)
        words = range(config.activation_words + 1)
        channels = range(config.max_channels + 1)
        super().__init__(
            {
                "rows_last": size,
                "columns": size,
                "blocks_last": range(config.max_channel_words),
                "block_channels": channels,
                "final_block_channels": channels,
                "block_words": range(config.max_channel_words + 1),
                "pixel_words": range(config.max_channel_words + 1),
                "row_words": words,
                "ring_rows_last": size,
                "ring_words": words,
                "resident": 1,
                "sparse": 1,
                "threshold": unsigned(config.activation_bits),
            }
        )


class AxisLayout(data.StructLayout):
    """One axis (rows or columns) of the loop nest: output units, pooling window, kernel taps.

    `start` is the coordinate and `start_words` the word offset of the first unit's first tap (negative coordinates are
    padding). Each level has the index of its last iteration, its step as a coordinate and its step in words. The units'
    index is in `OutputLayout`.
    """

    def __init__(self, config: CoreConfig) -> None:
        size = range(config.max_size + 1)
        words = unsigned(config.activation_address_bits + 1)
        super().__init__(
            {
                "start": coordinate(config),
                "start_words": words,
                "unit_step": size,
                "unit_words": words,
                "pool_last": range(config.max_kernel),
                "pool_step": size,
                "pool_words": words,
                "tap_last": range(config.max_kernel),
                "tap_step": size,
                "tap_words": words,
            }
        )


class WindowLayout(data.StructLayout):
    """The window that an output gathers: both axes, the reach of a unit in rows, and the weights' strides.

    `reach`: coordinate of the last row that a unit touches, relative to its first. `channels`: weight words of a tap.
    `row_weights`: weight words of a row of taps.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "rows": AxisLayout(config),
                "columns": AxisLayout(config),
                "reach": range(config.max_size + 1),
                "channels": range(config.max_channels + 1),
                "row_weights": unsigned(config.weight_address_bits),
            }
        )


class OutputLayout(data.StructLayout):
    """The output feature map: its ring of rows in the activation memory and its packets on the stream.

    `merged`: the ring holds the whole map with all channels, which leaves after the last pass, one packet a row.
    Otherwise each pass leaves as a map of its own, a channel block. `pass_channels`: channels by which a pass moves
    on in a merged pixel, else 0. `store_words_last` and `store_tail`: index of a packet's last word in a pixel and
    the elements valid in it; `final_...` the same for the last pass.
    """

    def __init__(self, config: CoreConfig) -> None:
        size = range(config.max_size + 1)
        address = unsigned(config.activation_address_bits)
        pixel_words = range(config.max_channel_words + 1)
        tail = range(WORD_ELEMENTS + 1)
        super().__init__(
            {
                "rows_last": size,
                "columns_last": size,
                "base": address,
                "pixel_words": pixel_words,
                "row_words": range(config.activation_words + 1),
                "ring_rows_last": size,
                "merged": 1,
                "sparse": 1,
                "pass_channels": range(config.groups * config.lanes + 1),
                "store_words_last": pixel_words,
                "store_tail": tail,
                "final_store_words_last": pixel_words,
                "final_store_tail": tail,
            }
        )


class PostLayout(data.StructLayout):
    """The clamp of the post-processor, relative to the zero point, and the beats of the last block of maps."""

    def __init__(self, config: CoreConfig) -> None:
        clamp = signed(config.operand_bits)
        super().__init__({"lower": clamp, "upper": clamp, "final_beats_last": range(config.post_beats)})


class LayerDescriptor(data.StructLayout):
    """A layer. `split`: index into `CoreConfig.splits`; `passes_last`: index of the last pass over the input."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "passes_last": range(-(-config.max_channels // config.lanes)),
                "split": range(len(config.splits)),
                "weights": WeightsLayout(config),
                "input": InputLayout(config),
                "window": WindowLayout(config),
                "output": OutputLayout(config),
                "post": PostLayout(config),
            }
        )
