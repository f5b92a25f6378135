"""The descriptor of a layer: everything that the hardware must know to run it.

The compiler packs with this very layout. Loop counts are stored as the index of the last iteration (`..._last`), word
strides are multiplied out by the compiler, and every circular address step is already reduced modulo its ring, so
that the hardware only adds and compares.
"""

from __future__ import annotations

from typing import Any

from amaranth import signed, unsigned
from amaranth.hdl import Value
from amaranth.lib import data, enum

from hw.config import CoreConfig
from hw.control.sparse_layout import SparseLayout


def coordinate(config: CoreConfig) -> object:
    """Shape of a row or column of the padded input: signed, since padding lies at negative coordinates."""
    return signed(range(2 * (config.max_size + 1)).stop.bit_length() + 1)


class Operation(enum.IntEnum, shape=unsigned(3)):  # type: ignore[call-arg]  # Amaranth's own
    """What a layer does.

    `CONVOLVE`: the array, fed by the dataflow. `ADD`, `SUM`, `MAXIMUM`: the vector unit, two feature maps element by
    element, or the elements of a window. `LOAD`: the input arrives by stream, and stays. `STORE`: the output, there
    already, leaves by stream. `HOLD`: the weights of a layer arrive, without parameters, for later runs.
    """

    CONVOLVE = 0
    ADD = 1
    SUM = 2
    MAXIMUM = 3
    LOAD = 4
    STORE = 5
    HOLD = 6


class Dataflow(enum.IntEnum, shape=unsigned(2)):  # type: ignore[call-arg]  # Amaranth's own
    """Which front end feeds the array in a `CONVOLVE` layer.

    `NULLHOP`: convolutions over all input channels, zero activations skipped. `CSC`: over any that need no index; see
    `EdgesLayout`. `RSNN`: convolutions over all input channels, zero weights skipped.
    """

    NULLHOP = 0
    CSC = 1
    RSNN = 2


def runs_on_vector_unit(operation: Any) -> Value:
    """Whether a layer of this operation runs on the vector unit."""
    return (operation == Operation.ADD) | (operation == Operation.SUM) | (operation == Operation.MAXIMUM)


def moves_only(operation: Any) -> Value:
    """Whether a layer of this operation moves a feature map: it has no weights and no parameters."""
    return (operation == Operation.LOAD) | (operation == Operation.STORE)


class WeightsLayout(data.StructLayout):
    """How a layer's weights arrive.

    `words` per block (kernel height x width x channels that a map reads; 0 on the vector unit, whose blocks are
    parameters only); `pass_words`: words that a pass holds in each group, which is more where a group has several
    blocks; `blocks_last` of a full pass and `final_blocks_last` of the last pass: index of the last block of `lanes`
    maps.

    `kept`: the words are there already, brought by a `HOLD`, from word `base` on, pass after pass, and only parameters
    arrive; a `HOLD` brings them there. Otherwise they go where the ring is free.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "words": range(config.weight_depth + 1),
                "pass_words": range(config.weight_depth + 1),
                "blocks_last": range(config.groups),
                "final_blocks_last": range(config.groups),
                "kept": 1,
                "base": unsigned(config.weight_address_bits),
            }
        )


class InputLayout(data.StructLayout):
    """The input feature map: its packets on the stream and its ring of rows in the activation memory.

    Rows arrive in order, each as one packet per channel block. All blocks but the last have `block_channels`
    channels, a multiple of 16. The ring starts at word `base`, holds rows `0..ring_rows_last` and is `ring_words`
    long. `streamed`: the map arrives by stream; otherwise the ring holds it already, whole. `resident`: the ring holds
    the whole map, which is then loaded once and not once a pass. `threshold`: the largest stored byte that means a
    positive distance from the zero point.
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
                "base": unsigned(config.activation_address_bits),
                "ring_rows_last": size,
                "ring_words": words,
                "streamed": 1,
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

    `streamed`: it leaves by stream; otherwise it stays, whole. `merged`: the ring holds the whole map with all
    channels, which leaves after the last pass, one packet a row. Otherwise each pass leaves as a map of its own, a
    channel block. `words`: from `base` to the end of the ring. `first_channel`: where the map begins in its pixels, if
    it is placed beside others there; a multiple of `post_lanes`. `pass_channels`: channels by which a pass moves on in
    a merged pixel, else 0. `store_words_last` and `store_tail`: index of a packet's last word in a pixel and
    the elements valid in it; `final_...` the same for the last pass.
    """

    def __init__(self, config: CoreConfig) -> None:
        size = range(config.max_size + 1)
        address = unsigned(config.activation_address_bits)
        pixel_words = range(config.max_channel_words + 1)
        tail = range(config.word_elements + 1)
        super().__init__(
            {
                "rows_last": size,
                "columns_last": size,
                "base": address,
                "pixel_words": pixel_words,
                "row_words": range(config.activation_words + 1),
                "ring_rows_last": size,
                "words": range(config.activation_words + 1),
                "streamed": 1,
                "merged": 1,
                "sparse": 1,
                "first_channel": range(config.max_channels + 1),
                "pass_channels": range(config.groups * config.lanes + 1),
                "store_words_last": pixel_words,
                "store_tail": tail,
                "final_store_words_last": pixel_words,
                "final_store_tail": tail,
            }
        )


class PostLayout(data.StructLayout):
    """The last steps of the post-processor, the same for all maps.

    `offset`: added to the requantised value. `lower`, `upper`: the clamp, relative to the zero point.
    `final_beats_last`: index of the last beat of the last block of maps.
    """

    def __init__(self, config: CoreConfig) -> None:
        value = signed(config.operand_bits)
        super().__init__(
            {"offset": value, "lower": value, "upper": value, "final_beats_last": range(config.post_beats)}
        )


class OperandLayout(data.StructLayout):
    """A feature map that the vector unit reads: its place in the activation memory, and what its zero point is.

    Pixel (row, column) begins at word `base` + row x `row_words` + column x `pixel_words`. `threshold`: as in
    `InputLayout`.
    """

    def __init__(self, config: CoreConfig) -> None:
        words = unsigned(config.activation_address_bits)
        super().__init__(
            {
                "base": words,
                "pixel_words": range(config.max_channel_words + 1),
                "row_words": words,
                "threshold": unsigned(config.activation_bits),
            }
        )


def add_left_shift(config: CoreConfig) -> int:
    """Places by which the operands of an addition are shifted left before they are scaled (TensorFlow Lite's)."""
    return {8: 20, 16: 15}[config.activation_bits]


class SlideLayout(data.StructLayout):
    """One axis of the vector unit's window.

    It begins at coordinate `start`, moves on by `step`, and has `taps_last` + 1 neighbouring positions, of which those
    outside 0..`input_last` take no part.
    """

    def __init__(self, config: CoreConfig) -> None:
        size = range(config.max_size + 1)
        super().__init__({"start": coordinate(config), "step": size, "taps_last": size, "input_last": size})


class VectorLayout(data.StructLayout):
    """What the vector unit computes: its operands and its window.

    `words_last`: index of the last word of a pixel. `beats_last`: index of the last beat of a pixel's last word, of
    `post_lanes` elements. `operands`: two for `ADD`, which has windows of one element (`start` 0, `step` 1, `taps_last`
    0); otherwise the first counts. `multiplier`, `right_shift`: for `ADD`, the factor multiplier x 2**-(31 +
    right_shift) that the second operand, shifted left by `add_left_shift`, is scaled by. The first has the larger
    scale, and its factor is 1/2 then: so TensorFlow Lite chooses them.
    `parameters_by_count`: the parameters of an output are entry n - 1, for n positions of its window inside the map;
    otherwise entry 0.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "operands": data.ArrayLayout(OperandLayout(config), 2),
                "multiplier": unsigned(31),
                "right_shift": unsigned(5),
                "rows": SlideLayout(config),
                "columns": SlideLayout(config),
                "words_last": range(config.max_channel_words),
                "beats_last": range(config.word_elements // config.post_lanes),
                "parameters_by_count": 1,
            }
        )


class RunLayout(data.StructLayout):
    """The runs of outputs side by side that the `csc` dataflow gives to one set of groups.

    `outputs_last`: outputs of all runs but the rest of a row, less one. From such a run to the next are `columns` of
    the input, `words` there, and `result_words` of the output.
    """

    def __init__(self, config: CoreConfig) -> None:
        words = unsigned(config.activation_address_bits + 1)
        super().__init__(
            {
                "outputs_last": range(config.longest_run),
                "columns": range(config.max_size + 1),
                "words": words,
                "result_words": words,
            }
        )


class EdgesLayout(data.StructLayout):
    """Which input channels a map reads under each tap, for the `csc` dataflow: no index, only counters.

    Edge j of the block of maps that a group works on has its channels from s + j x `dilation` on, modulo `nodes`: lane
    l the one l further, or with `broadcast` all lanes the same. `starts`: s of each group's first block, in the first
    pass. A group's next block in the same pass has it `round_step` further; the next pass does, after every
    `phases_last` + 1 passes, `pass_step` further. `last`: index of the last edge.

    Of each pixel `vectors_last` + 1 vectors of `lanes` channels are fetched; behind vector `vector_wrap` comes vector
    0. With `whole` that begins with vector 0, otherwise with the one of s, and s counts from its first channel.
    `crosses`: lanes that come to lie beyond the last node go on with channel 0, in an operation of their own; otherwise
    they go on in vector 0 if it was fetched behind the last one, and their results do not count if it was not.

    `packed`: a row of the map is one pixel, and its columns lie in the channels; along the columns' axis coordinates
    are channels then, and s is where an output's window begins.
    """

    def __init__(self, config: CoreConfig) -> None:
        channels = range(config.max_channels + 1)
        super().__init__(
            {
                "broadcast": 1,
                "whole": 1,
                "crosses": 1,
                "packed": 1,
                "last": range(config.max_channels),
                "dilation": channels,
                "nodes": channels,
                "starts": data.ArrayLayout(range(config.max_channels), config.groups),
                "round_step": channels,
                "pass_step": channels,
                "phases_last": range(config.max_passes),
                "vectors_last": range(config.max_vectors + 1),
                "vector_wrap": range(config.max_vectors),
            }
        )


class LayerDescriptor(data.StructLayout):
    """A layer.

    `dataflow`: of a core with several. `run` and `edges`, `sparse`: of a core with the `csc` or the `rsnn` dataflow.
    `split`: index into `CoreConfig.splits`; `passes_last`: index of the last pass over the input. Without a vector unit
    there is no `vector`.
    """

    def __init__(self, config: CoreConfig) -> None:
        members = {
            "operation": Operation,
            "passes_last": range(config.max_passes),
            "split": range(len(config.splits)),
            "weights": WeightsLayout(config),
            "input": InputLayout(config),
            "window": WindowLayout(config),
            "output": OutputLayout(config),
            "post": PostLayout(config),
        }
        if len(config.dataflows) > 1:
            members["dataflow"] = Dataflow
        if config.csc:
            members |= {"run": RunLayout(config), "edges": EdgesLayout(config)}
        if config.rsnn:
            members["sparse"] = SparseLayout(config)
        if config.vector:
            members["vector"] = VectorLayout(config)
        super().__init__(members)
