"""The part of a layer's descriptor that is of the rsnn dataflow alone."""

from __future__ import annotations

from compiler.convolution import Convolution
from compiler.mapping import Mapping, ceil_div
from hw.config import CoreConfig


def sparse_fields(
    conv: Convolution, mapping: Mapping, pixel_words: int, row_words: int, modulus: int, config: CoreConfig
) -> dict[str, int]:
    """What the rsnn dataflow walks over, the fields of `SparseLayout`.

    A step that never comes, since there is one of something, is 0.

    Args:
        pixel_words, row_words: of the input, from a pixel and from a row to the next; modulus: of word offsets.
    """
    assert mapping.sparse is not None
    shape, slots = mapping.sparse.shape, mapping.sparse.slots
    rows, segments = shape.segments
    columns = shape.pixels * conv.stride[1] if segments > 1 else 0
    down = shape.folds * conv.stride[0] if rows > 1 else 0
    block = shape.banks * conv.stride[1] if shape.blocks > 1 else 0
    beats = ceil_div(config.lanes if shape.shared else shape.pixels, config.post_lanes)
    final_maps = mapping.maps_of_pass(mapping.passes - 1, conv.maps)
    return {
        "pixels_last": shape.pixels - 1,
        "line_last": (shape.outputs if shape.folds > 1 else shape.size[1]) - 1,
        "lines_last": 0 if shape.folds > 1 else shape.size[0] - 1,
        "segments_last": segments - 1,
        "segment_rows_last": rows - 1,
        "segment_columns": columns,
        "segment_column_words": columns * pixel_words % modulus,
        "segment_rows": down,
        "segment_row_words": down * row_words % modulus,
        "folds_last": shape.folds - 1,
        "columns_last": shape.columns - 1,
        "planes_last": shape.planes - 1,
        "blocks_last": shape.blocks - 1,
        "block_columns": block,
        "block_words": block * pixel_words % modulus,
        "channels": shape.plane_vectors,
        "final_channels": shape.final_vectors,
        "plane_vectors": shape.plane_vectors,
        "final_plane_vectors": shape.final_plane_vectors,
        "tiles_last": shape.tiles - 1,
        "tile_vectors": shape.tile_vectors(0),
        "final_tile_vectors": shape.tile_vectors(shape.tiles - 1),
        "slots_last": slots - 1,
        "slices_last": config.groups * slots * beats - 1,
        "slice_beats_last": beats - 1,
        "map_beats_last": ceil_div(min(mapping.pass_maps, conv.maps), config.post_lanes) - 1,
        "final_map_beats_last": ceil_div(final_maps, config.post_lanes) - 1,
        "shared": shape.shared,
    }
