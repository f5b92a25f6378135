import numpy as np
import pytest

from models.training.batches import Augmentation, batches, to_input

AS_IT_IS = Augmentation(0, False)


def images(count):
    """Images whose every pixel tells image, row and column."""
    number, row, column = np.ogrid[:count, :4, :5]
    return (number * 20 + row * 5 + column).astype(np.uint8)[..., np.newaxis]


@pytest.mark.parametrize(("count", "size"), [(6, 2), (7, 3), (5, 5)])
def test_every_image_comes_once_with_its_label(count, size):
    source = images(count)
    seen = []
    for pixels, labels in batches(source, np.arange(count), size, AS_IT_IS, np.random.default_rng(0)):
        assert len(pixels) == len(labels) == size
        np.testing.assert_array_equal(pixels, source[labels])
        seen += labels.tolist()
    assert len(seen) == len(set(seen)) == count // size * size
    assert count < 6 or seen != sorted(seen)


def test_shifts_and_mirrors_are_all_there_is():
    source = images(3)
    wide = np.pad(source, ((0, 0), (1, 1), (1, 1), (0, 0)))
    possible: dict[tuple[int, bytes], tuple[int, int, bool]] = {}
    for row in range(3):
        for column in range(3):
            window = wide[:, row : row + 4, column : column + 5]
            for mirrored in (False, True):
                shown = window[:, :, ::-1] if mirrored else window
                possible |= {(number, shown[number].tobytes()): (row, column, mirrored) for number in range(3)}
    rng, seen = np.random.default_rng(1), set()
    for _ in range(150):
        for pixels, labels in batches(source, np.arange(3), 1, Augmentation(1, True), rng):
            seen.add(possible[int(labels[0]), pixels[0].tobytes()])
    assert len(seen) == 3 * 3 * 2


def test_inputs_have_their_channels_first():
    pixels = np.arange(2 * 3 * 4 * 2, dtype=np.uint8).reshape(2, 3, 4, 2)
    inputs = to_input(pixels, 0.5)
    assert inputs.shape == (2, 2, 3, 4) and inputs.dtype == np.float32
    assert inputs[1, 0, 2, 3] == pixels[1, 2, 3, 0] * 0.5
