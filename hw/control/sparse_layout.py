"""The part of a layer's descriptor that is of the rsnn dataflow alone."""

from __future__ import annotations

from amaranth import unsigned
from amaranth.lib import data

from hw.config import WORD_ELEMENTS, CoreConfig


def map_beats(config: CoreConfig) -> int:
    """Beats of the post-processor for a pixel of a pass with the most maps, in the `rsnn` dataflow."""
    of_group = max(config.accumulators, config.lanes if config.shares_lanes else 1)
    return -(-config.groups * of_group // config.post_lanes)


class SparseLayout(data.StructLayout):
    """How the `rsnn` dataflow walks over a layer; terms are those of `docs/rsnn.md`.

    Segments: `pixels_last` (of all but the last of a line, less one), `line_last` (pixels of a line), `lines_last`;
    `segments_last` (of a row of segments) and `segment_rows_last`; from one to the next `segment_columns`,
    `segment_column_words`, `segment_rows`, `segment_row_words`. Vectors: `folds_last` (rows in a vector),
    `columns_last` (columns of each). Planes of a kernel row: `planes_last`; their blocks: `blocks_last`,
    `block_columns`, `block_words`. Of a word `channels` count (`final_channels` of a pixel's last), and a plane has
    `plane_vectors` (`final_plane_vectors`) places in the scratchpad. Tiles: `tiles_last`, `tile_vectors`,
    `final_tile_vectors`. `slots_last`: kernels of a group; `slices_last`: slices of a segment that the collector
    gets, `slice_beats_last` of each result. `map_beats_last`: beats of the maps of a pixel in a pass,
    `final_map_beats_last` in the last pass. `shared`: a layer of one pixel; lanes are neighbouring maps that share
    their entries, a vector is a word.
    """

    def __init__(self, config: CoreConfig) -> None:
        size, lanes = range(config.max_size + 1), range(config.lanes)
        words = unsigned(config.activation_address_bits + 1)
        channels, vectors = range(WORD_ELEMENTS + 1), range(config.scratchpad_depth + 1)
        beats = config.post_beats
        super().__init__(
            {
                "pixels_last": lanes,
                "line_last": range((config.max_size + 1) ** 2),
                "lines_last": size,
                "segments_last": size,
                "segment_rows_last": size,
                "segment_columns": size,
                "segment_column_words": words,
                "segment_rows": size,
                "segment_row_words": words,
                "folds_last": lanes,
                "columns_last": range(config.window_banks),
                "planes_last": range(config.max_kernel),
                "blocks_last": range(config.max_size + 1),
                "block_columns": size,
                "block_words": words,
                "channels": channels,
                "final_channels": channels,
                "plane_vectors": channels,
                "final_plane_vectors": channels,
                "tiles_last": range(config.max_channel_words),
                "tile_vectors": vectors,
                "final_tile_vectors": vectors,
                "slots_last": range(config.accumulators),
                "slices_last": range(config.groups * config.accumulators * beats),
                "slice_beats_last": range(beats),
                "map_beats_last": range(map_beats(config)),
                "final_map_beats_last": range(map_beats(config)),
                "shared": 1,
            }
        )
