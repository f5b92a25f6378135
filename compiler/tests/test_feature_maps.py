"""Maps in buffers: views, parts, and what can be read by itself."""

import numpy as np
import pytest

from compiler.feature_maps import Buffer, FeatureMap, map_shape


def filling(rows: int, columns: int, channels: int) -> FeatureMap:
    return FeatureMap.filling(Buffer("x", rows * columns, channels), (rows, columns, channels), 0)


def addresses(map: FeatureMap) -> np.ndarray:
    """Word and element of each element of the map, in its order."""
    pixel = map.offset + map.row_words * np.arange(map.rows)[:, None] + map.pixel_words * np.arange(map.columns)
    channel = map.first_channel + np.arange(map.channels)
    return ((pixel[..., None] + channel // 16) * 16 + channel % 16).ravel()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1,), (1, 1, 1)),
        ((1, 7), (1, 1, 7)),
        ((1, 5, 7), (1, 5, 7)),
        ((1, 3, 5, 7), (3, 5, 7)),
        ((1, 2, 3, 5, 7), (6, 5, 7)),
    ],
)
def test_the_last_dimensions_are_columns_and_channels(shape, expected):
    assert map_shape(shape) == expected


@pytest.mark.parametrize(
    ("channels", "shape", "lies"),
    [
        (5, (4, 6, 5), True),
        (5, (1, 24, 5), True),
        (32, (1, 1, 768), True),
        (32, (2, 3, 128), True),
        (32, (6, 8, 16), True),
        (20, (1, 1, 480), False),
        (48, (48, 3, 8), False),
    ],
)
def test_a_view_has_the_elements_in_the_same_order(channels, shape, lies):
    map = filling(6, 4, channels)
    view = map.viewed(shape)
    assert (view is not None) == lies
    if view is not None:
        assert view.shape == shape
        np.testing.assert_array_equal(addresses(view), addresses(map))


@pytest.mark.parametrize(("rows", "columns", "channels"), [(5, 7, 3), (4, 4, 16), (8, 9, 32), (1, 1, 5), (1, 20, 1)])
def test_every_flattened_view_has_the_elements_in_the_same_order(rows, columns, channels):
    map = filling(rows, columns, channels)
    views = list(map.flattened(15))
    assert views
    pixels = [view.rows * view.columns for view in views]
    assert pixels == sorted(pixels)
    for view in views:
        assert max(view.rows, view.columns) <= 15
        np.testing.assert_array_equal(addresses(view), addresses(map))
    if channels % 16 == 0 or rows * columns == 1:
        assert pixels[0] == 1


def test_a_map_longer_than_any_kernel_has_no_flattened_view():
    assert not list(filling(1, 17, 3).flattened(15))
    assert list(filling(2, 17, 3).flattened(17))


def test_parts_lie_one_after_another():
    whole = filling(4, 3, 48)
    parts = [
        whole.part(f"p{first}", (4, 3, size), first_pixel=0, first_channel=first) for first, size in ((0, 8), (8, 40))
    ]
    joined = np.concatenate([addresses(part).reshape(12, -1) for part in parts], axis=1)
    np.testing.assert_array_equal(joined.ravel(), addresses(whole))
    rows = [whole.part("r", (size, 3, 48), first_pixel=first * 3, first_channel=0) for first, size in ((0, 1), (1, 3))]
    np.testing.assert_array_equal(np.concatenate([addresses(part) for part in rows]), addresses(whole))
    inner = rows[1].part("q", (1, 3, 16), first_pixel=3, first_channel=16)
    np.testing.assert_array_equal(addresses(inner), addresses(whole).reshape(4, 3, 48)[2, :, 16:32].ravel())


@pytest.mark.parametrize(
    ("total", "first", "channels", "readable"),
    [
        (40, 0, 40, True),
        (40, 0, 16, True),
        (40, 0, 8, False),
        (40, 8, 32, False),
        (40, 16, 24, True),
        (48, 16, 8, False),
    ],
)
def test_a_part_can_be_read_alone_if_its_words_are_its_own(total, first, channels, readable):
    part = filling(2, 2, total).part("p", (2, 2, channels), first_pixel=0, first_channel=first)
    assert part.readable == readable
    assert part.viewed((1, 4, channels)) is not None
    assert part.viewed((1, 1, 4 * channels)) is None
