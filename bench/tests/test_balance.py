import pytest

from bench.balance import utilisation
from bench.vgg_shapes import VGG16
from models.sparsity.balance import Dealing


def test_vgg16_has_its_published_size():
    assert sum(layer.macs for layer in VGG16) == 15_346_630_656
    share = sum(layer.macs * layer.density for layer in VGG16) / sum(layer.macs for layer in VGG16)
    assert share == pytest.approx(0.33, abs=0.005)


@pytest.mark.parametrize(
    ("dealing", "expected"),
    [
        (Dealing.IN_ORDER, (0.81, 0.67, 0.46)),
        (Dealing.SORTED, (0.96, 0.92, 0.83)),
        (Dealing.MERGED, (0.99, 0.98, 0.95)),
    ],
)
def test_dealing_kernels_regains_what_the_model_says(dealing, expected):
    """Within two hundredths of the figures of an earlier model, of which the sampling is not known."""
    for spread, figure in zip((0.1, 0.2, 0.4), expected, strict=True):
        assert utilisation(VGG16, spread, dealing, seeds=(0, 1, 2)) == pytest.approx(figure, abs=0.02), spread
