"""A model of the accelerator in numpy, which knows a program by the bits of its image alone.

It does what each field of the descriptors says, on a memory that begins with noise: what a program forgets to write,
or reads in the wrong place, shows.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from compiler.tests.csc_interpreter import block_starts, block_sums
from compiler.tests.sparse_interpreter import raster, sparse_pass, windows_of
from hw.config import PARAMETER_PLANES, AcceleratorConfig
from hw.control.descriptor import Dataflow, Operation, add_left_shift
from hw.machine.program import ENTRY_MARK, ProgramEntry, ProgramImage, entry_words
from hw.post.layouts import MapParameters
from models.golden.fixed_point import multiply_by_quantised_multiplier, multiply_rounding_once, wrap_int32
from sim.harness.payload import unpack

Ints = npt.NDArray[np.int64]
WORD = 16


class Interpreter:
    """Runs the entries of an image, one by one."""

    def __init__(self, image: ProgramImage, config: AcceleratorConfig, seed: int = 0) -> None:
        self.config, self.core = config, config.core
        self.program = np.frombuffer(image.data, np.uint8).reshape(-1, config.core.lanes)
        self.entries = image.entries
        self.entry_words = entry_words(config.core, config.program_depth)
        self.layout = ProgramEntry(config.core, config.program_depth)
        self.entry = cache(self._entry)
        rng = np.random.default_rng(seed)
        self.memory = rng.integers(0, 256, (config.core.activation_words, WORD)).astype(np.uint8)
        self.address_range = 1 << (self.core.activation_address_bits + 1)

    def _entry(self, index: int) -> dict[str, Any]:
        """The fields of an entry."""
        words = self.entry_words
        raw = self.program[index * words : (index + 1) * words].tobytes()
        fields = unpack(self.layout, int.from_bytes(raw, "little") & ((1 << self.layout.size) - 1))
        assert fields["mark"] == ENTRY_MARK and index < self.entries
        return fields

    def run(self, index: int, packets: bytes = b"") -> bytes:
        """Run an entry with what it loads; returns what it stores."""
        fields = self.entry(index)
        layer, operation = fields["layer"], fields["layer"]["operation"]
        weights = self.program[fields["weights_start"] :][: fields["weights_words"]]
        ends = [
            layer["input"]["base"] + layer["input"]["ring_words"],
            layer["output"]["base"] + layer["output"]["words"],
        ]
        assert max(ends) <= self.core.activation_words
        if operation == Operation.LOAD:
            self._load(layer["input"], fields["packet_beats"], packets)
        elif operation == Operation.STORE:
            return self._store(layer["output"])
        elif operation == Operation.CONVOLVE:
            self._convolve(layer, weights)
        else:
            self._compute(layer, weights)
        return b""

    def _load(self, source: dict[str, Any], beats: int, packets: bytes) -> None:
        assert source["streamed"] and not source["sparse"]
        rows = np.frombuffer(packets, np.uint8).reshape(source["rows_last"] + 1, beats * self.core.stream_units)
        assert source["ring_rows_last"] == source["rows_last"]
        channels, words = source["final_block_channels"], source["block_words"]
        for row, values in enumerate(rows):
            pixels = values[: source["columns"] * channels].reshape(source["columns"], channels)
            padded = np.pad(pixels, ((0, 0), (0, words * WORD - channels))).reshape(source["columns"], words, WORD)
            for column, pixel in enumerate(padded):
                at = source["base"] + row * source["row_words"] + column * source["pixel_words"]
                self.memory[at : at + words] = pixel

    def _store(self, target: dict[str, Any]) -> bytes:
        assert target["streamed"] and target["merged"] and not target["sparse"]
        assert target["ring_rows_last"] == target["rows_last"]
        words = target["final_store_words_last"] + 1
        count = (words - 1) * WORD + target["final_store_tail"]
        packets = []
        for row in range(target["rows_last"] + 1):
            at = target["base"] + row * target["row_words"]
            starts = at + target["pixel_words"] * np.arange(target["columns_last"] + 1)
            pixels = self.memory[starts[:, None] + np.arange(words)].reshape(len(starts), -1)[:, :count].ravel()
            packets.append(np.pad(pixels, (0, -len(pixels) % self.core.stream_units)).tobytes())
        return b"".join(packets)

    def _signed(self, stored: npt.NDArray, threshold: int) -> Ints:
        wide = stored.astype(np.int64)
        return np.where(wide > threshold, wide - 256, wide)

    def _parameters(self, planes: npt.NDArray) -> list[dict[str, int]]:
        """One a lane, from the byte planes of a beat."""
        lanes = planes[:, : self.core.post_lanes].T
        return [unpack(MapParameters, int.from_bytes(lane.tobytes(), "little")) for lane in lanes]

    def _scaled(self, sums: Ints, parameters: dict[str, int], post: dict[str, int]) -> Ints:
        """What the post-processor makes of a lane's accumulators."""
        accumulator = wrap_int32(sums + parameters["bias"])
        multiply = multiply_rounding_once if parameters["single_rounding"] else multiply_by_quantised_multiplier
        assert -31 <= parameters["shift"] <= self.core.max_left_shift
        scaled = multiply(accumulator, parameters["multiplier"], parameters["shift"])
        return np.clip(scaled + post["offset"], post["lower"], post["upper"])

    def _starts(self, target: dict[str, Any]) -> Ints:
        """The word of channel 0 of each output pixel: [rows, columns]."""
        assert not target["streamed"] and target["merged"] and target["ring_rows_last"] == target["rows_last"]
        rows = target["row_words"] * np.arange(target["rows_last"] + 1)
        return target["base"] + rows[:, None] + target["pixel_words"] * np.arange(target["columns_last"] + 1)

    def _write(self, starts: Ints, channel: int, values: Ints) -> None:
        """Put one channel of all pixels in its place."""
        self.memory[starts + channel // WORD, channel % WORD] = (values & 0xFF).astype(np.uint8)

    @staticmethod
    def _axis(axis: dict[str, int], units: int, ring: int) -> tuple[Ints, Ints]:
        """Coordinates and word offsets [units, pool, taps], by additions modulo the ring."""
        at = np.empty((units, axis["pool_last"] + 1, axis["tap_last"] + 1), np.int64)
        words = np.empty_like(at)
        for unit, pool, tap in np.ndindex(at.shape):
            at[unit, pool, tap] = (
                axis["start"] + unit * axis["unit_step"] + pool * axis["pool_step"] + tap * axis["tap_step"]
            )
            words[unit, pool, tap] = (
                axis["start_words"] + unit * axis["unit_words"] + pool * axis["pool_words"] + tap * axis["tap_words"]
            ) % ring
        return at, words

    def _dataflow(self, layer: dict[str, Any]) -> int:
        """Of the layer; a core with a single one has no field for it."""
        (only, *others) = self.core.dataflows
        return int(layer["dataflow"] if others else Dataflow.__members__[only.upper()])

    def _convolve(self, layer: dict[str, Any], stream: npt.NDArray) -> None:
        source, window, target, core = layer["input"], layer["window"], layer["output"], self.core
        channel_groups, _ = core.splits[layer["split"]]
        assert not source["streamed"] and source["resident"]
        if self._dataflow(layer) == Dataflow.CSC:
            self._convolve_csc(layer, stream)
            return
        if self._dataflow(layer) == Dataflow.RSNN:
            self._sparse(layer, stream)
            return
        assert all(0 <= window[axis][name] < source["ring_words"] for axis in ("rows",) for name in ROW_WORDS)
        rows = self._axis(window["rows"], target["rows_last"] + 1, source["ring_words"])
        columns = self._axis(window["columns"], target["columns_last"] + 1, self.address_range)
        assert (rows[0][:, :, -1].max(axis=1) - rows[0][:, 0, 0]).max() <= window["reach"]
        patches = self._patches(source, rows, columns)  # [rows, columns, pool, taps, elements]
        before = self.memory.copy()
        per_tap = window["channels"]
        taps = patches.shape[3]
        assert window["row_weights"] == (window["columns"]["tap_last"] + 1) * per_tap % core.weight_depth
        words = layer["weights"]["words"]
        assert words == taps * per_tap <= core.weight_depth
        at = 0
        for index in range(layer["passes_last"] + 1):
            final = index == layer["passes_last"]
            blocks = layer["weights"]["final_blocks_last" if final else "blocks_last"] + 1
            assert blocks <= channel_groups
            for block in range(blocks):
                length = core.post_beats * PARAMETER_PLANES
                planes = stream[at : at + length].reshape(core.post_beats, PARAMETER_PLANES, core.lanes)
                weights, at = self._weights(stream, at + length, words)
                # What lies behind a tap's weights belongs to the next one: an element that should not be there counts.
                beyond = np.pad(weights, ((0, WORD * source["pixel_words"]), (0, 0)), constant_values=99)
                operand = np.stack([beyond[tap * per_tap :][: patches.shape[4]] for tap in range(taps)])
                sums = np.tensordot(patches, operand, axes=((3, 4), (0, 1)))  # [rows, columns, pool, lanes]
                last_beat = layer["post"]["final_beats_last"] if final and block == blocks - 1 else core.post_beats - 1
                channel = target["first_channel"] + index * target["pass_channels"] + block * core.lanes
                self._finish(layer, planes[: last_beat + 1], sums, channel)
        assert at == len(stream)
        changed = np.flatnonzero((self.memory != before).any(axis=1))
        assert not np.isin(changed, self.read).any(), "the array reads a map while it is written"

    def _sparse(self, layer: dict[str, Any], stream: npt.NDArray) -> None:
        """The rsnn dataflow: each weight meets the pixels of a segment."""
        target, core = layer["output"], self.core
        windows, read = windows_of(self.memory, layer, core, layer["input"]["threshold"])
        before, at = self.memory.copy(), 0
        for index in range(layer["passes_last"] + 1):
            planes, sums, taken = sparse_pass(windows, layer, stream[at:], core)
            at += taken
            final = index == layer["passes_last"]
            beats = layer["sparse"]["final_map_beats_last" if final else "map_beats_last"] + 1
            shape = (target["rows_last"] + 1, target["columns_last"] + 1)
            first = target["first_channel"] + index * target["pass_channels"]
            for beat in range(beats):
                for lane, parameters in enumerate(self._parameters(planes[beat])):
                    number = beat * core.post_lanes + lane
                    if number in sums:
                        values = self._scaled(raster(sums[number], layer), parameters, layer["post"])
                        self._write(self._starts(target), first + number, values.reshape(shape))
        assert at == len(stream)
        changed = np.flatnonzero((self.memory != before).any(axis=1))
        assert not np.isin(changed, read).any(), "the array reads a map while it is written"

    def _convolve_csc(self, layer: dict[str, Any], stream: npt.NDArray) -> None:
        """The csc dataflow: edges in the order of their channels; weights column of taps by column."""
        source, window, target, core = layer["input"], layer["window"], layer["output"], self.core
        channel_groups, _ = core.splits[layer["split"]]
        layer = layer | {"lanes": core.lanes}
        rows = self._axis(window["rows"], target["rows_last"] + 1, self.address_range)
        columns = self._axis(window["columns"], target["columns_last"] + 1, self.address_range)
        self._check_runs(layer, columns)
        if layer["edges"]["packed"]:
            columns = (np.zeros_like(columns[0]), columns[1])
        patches = self._patches(source, rows, columns)  # [rows, columns, 1, taps, elements]
        before = self.memory.copy()
        taps = (window["rows"]["tap_last"] + 1, window["columns"]["tap_last"] + 1)
        by_column = np.arange(taps[0] * taps[1]).reshape(taps).T.ravel()
        pixels = patches[:, :, 0, by_column]
        fan, words = layer["edges"]["last"] + 1, layer["weights"]["words"]
        assert words == taps[0] * taps[1] * fan and window["channels"] == fan
        assert window["row_weights"] == taps[0] * fan % core.weight_depth
        assert words <= layer["weights"]["pass_words"] <= core.weight_depth
        length = core.post_beats * PARAMETER_PLANES
        at = 0
        for index, places in enumerate(block_starts(layer, channel_groups)):
            rounds = -(-len(places) // channel_groups)
            assert rounds * words <= layer["weights"]["pass_words"] and len(places) <= core.groups
            for block, place in enumerate(places):
                planes = stream[at : at + length].reshape(core.post_beats, PARAMETER_PLANES, core.lanes)
                weights, at = self._weights(stream, at + length, words)
                sums = block_sums(layer, pixels, place, weights)[:, :, np.newaxis]
                channel = target["first_channel"] + index * target["pass_channels"] + block * core.lanes
                final = index == layer["passes_last"] and block == len(places) - 1
                last_beat = layer["post"]["final_beats_last"] if final else core.post_beats - 1
                self._finish(layer, planes[: last_beat + 1], sums, channel)
        assert at == len(stream)
        changed = np.flatnonzero((self.memory != before).any(axis=1))
        assert not np.isin(changed, self.read).any(), "the array reads a map while it is written"

    def _weights(self, stream: npt.NDArray, at: int, words: int) -> tuple[Ints, int]:
        """Weight words [words, lanes] that begin with a beat, and where the next beat is."""
        bits, lanes = self.core.weight_bits, self.core.lanes
        end = at - (-words * bits // 8)
        flat = np.unpackbits(stream[at:end].ravel(), bitorder="little")[: words * lanes * bits].astype(np.int64)
        values = (flat.reshape(words, lanes, bits) << np.arange(bits)).sum(axis=2)
        return np.where(values >> (bits - 1), values - (1 << bits), values), end

    def _check_runs(self, layer: dict[str, Any], columns: tuple[Ints, Ints]) -> None:
        """What a run needs to know of its neighbours follows from the steps of single outputs."""
        run, axis, target = layer["run"], layer["window"]["columns"], layer["output"]
        length, outputs = run["outputs_last"] + 1, target["columns_last"] + 1
        if length < outputs:
            assert run["columns"] == length * axis["unit_step"]
            assert run["words"] == length * axis["unit_words"] % self.address_range
            assert run["result_words"] == length * target["pixel_words"]
        if length > 1:
            # Neighbours share columns: taps lie side by side, and the window of the next begins among them.
            assert axis["tap_step"] == 1 and axis["unit_step"] <= axis["tap_last"] + 1
            assert axis["unit_words"] == axis["unit_step"] * axis["tap_words"]
            taps = (layer["window"]["rows"]["tap_last"] + 1) * (axis["tap_last"] + 1)
            assert taps * (layer["edges"]["vectors_last"] + 1) <= self.core.window_depth
        assert layer["post"]["offset"] == 0 and axis["pool_last"] == layer["window"]["rows"]["pool_last"] == 0

    def _patches(self, source: dict[str, Any], rows: tuple[Ints, Ints], columns: tuple[Ints, Ints]) -> Ints:
        """The signed elements under each tap of each window: [rows, columns, pool, taps, elements]."""
        pools = rows[0].shape[1] * columns[0].shape[1]
        shape = (len(rows[0]), len(columns[0]), pools, rows[0].shape[2] * columns[0].shape[2])

        def spread(row: Ints, column: Ints) -> tuple[Ints, Ints]:
            full = (row[:, None, :, None, :, None], column[None, :, None, :, None, :])
            return tuple(part.reshape(shape) for part in np.broadcast_arrays(*full))  # type: ignore[return-value]

        row_at, column_at = spread(rows[0], columns[0])
        row_words, column_words = spread(rows[1], columns[1])
        inside = (row_at >= 0) & (row_at <= source["rows_last"]) & (column_at >= 0) & (column_at < source["columns"])
        address = (row_words + column_words) % (self.address_range // 2)
        self.read = np.unique(address[inside][:, None] + np.arange(source["pixel_words"]))
        found = self.memory[
            np.where(inside, address, 0)[..., None] + np.arange(source["pixel_words"]) * inside[..., None]
        ]
        values = self._signed(found, source["threshold"]).reshape(*shape, -1)
        return np.where(inside[..., None], values, 0)

    def _finish(self, layer: dict[str, Any], planes: npt.NDArray, sums: Ints, channel: int) -> None:
        starts = self._starts(layer["output"])
        for beat, beat_planes in enumerate(planes):
            for lane, parameters in enumerate(self._parameters(beat_planes)):
                offset = beat * self.core.post_lanes + lane
                values = self._scaled(sums[..., offset], parameters, layer["post"]).max(axis=2)
                self._write(starts, channel + offset, values)

    def _compute(self, layer: dict[str, Any], stream: npt.NDArray) -> None:
        vector, target, core = layer["vector"], layer["output"], self.core
        planes = stream.reshape(-1, PARAMETER_PLANES, core.parameter_chunks * core.lanes)
        assert layer["weights"]["words"] == 0 and layer["passes_last"] == 0
        assert len(planes) == (layer["weights"]["final_blocks_last"] + 1) * core.post_beats
        entries = [self._parameters(beat) for beat in planes]
        assert all(lane == lanes[0] for lanes in entries for lane in lanes)
        starts = self._starts(target)
        elements = vector["words_last"] * WORD + (vector["beats_last"] + 1) * core.post_lanes
        sums, counts = self._gather(layer, vector, starts.shape, elements)
        for order, (row, column) in enumerate(np.ndindex(starts.shape)):
            entry = entries[counts[row, column] - 1 if vector["parameters_by_count"] else 0][0]
            values = self._scaled(sums[row, column], entry, layer["post"])
            for element, value in enumerate(values):
                channel = target["first_channel"] + element
                address = starts[row, column] + channel // WORD
                # The unit reads ahead: a word may be written only when nothing after it is read from there.
                assert self.last_read.get(address, (-1,)) <= (order, element // WORD)
                self._write(starts[row, column], channel, value)

    def _gather(
        self, layer: dict[str, Any], vector: dict[str, Any], shape: tuple[int, ...], elements: int
    ) -> tuple[Ints, Ints]:
        """The sums or maxima of each output pixel [rows, columns, elements], and the positions that they are of."""
        sums = np.zeros((*shape, elements), np.int64)
        counts = np.zeros(shape, np.int64)
        self.last_read: dict[int, tuple[int, ...]] = {}
        for order, (row, column) in enumerate(np.ndindex(shape)):
            if layer["operation"] == Operation.ADD:
                pixels = [self._pixel(operand, row, column, order, elements) for operand in vector["operands"]]
                terms = self._terms(pixels[0], pixels[1], vector)
                sums[row, column], counts[row, column] = wrap_int32(sum(terms)), 1
                continue
            window = [
                self._pixel(vector["operands"][0], at_row, at_column, order, elements)
                for at_row in self._positions(vector["rows"], row)
                for at_column in self._positions(vector["columns"], column)
            ]
            counts[row, column] = len(window)
            assert window, "the vector unit needs a position inside the map"
            pick = np.sum if layer["operation"] == Operation.SUM else np.max
            sums[row, column] = pick(window, axis=0)
        return sums, counts

    def _terms(self, first: Ints, second: Ints, vector: dict[str, int]) -> list[Ints]:
        places = add_left_shift(self.core)
        scaled = multiply_by_quantised_multiplier(second << places, vector["multiplier"], -vector["right_shift"])
        return [first << (places - 1), scaled]

    @staticmethod
    def _positions(slide: dict[str, int], output: int) -> list[int]:
        first = slide["start"] + output * slide["step"]
        return [at for at in range(first, first + slide["taps_last"] + 1) if 0 <= at <= slide["input_last"]]

    def _pixel(self, operand: dict[str, int], row: int, column: int, order: int, elements: int) -> Ints:
        """The elements of a pixel, read for output pixel `order`."""
        at = operand["base"] + row * operand["row_words"] + column * operand["pixel_words"]
        words = -(-elements // WORD)
        self.last_read |= {at + word: (order, word) for word in range(words)}
        return self._signed(self.memory[at : at + words].ravel()[:elements], operand["threshold"])


ROW_WORDS = ("start_words", "unit_words", "pool_words", "tap_words")
