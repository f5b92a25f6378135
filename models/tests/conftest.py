import numpy as np
import pytest

from models import zoo
from models.network import Network


@pytest.fixture(scope="session")
def networks() -> dict[str, Network]:
    """The networks of the zoo, fetched if they are not cached."""
    return {name: zoo.load(name) for name in zoo.names()}


@pytest.fixture(scope="session")
def resnet8(networks) -> Network:
    return networks["resnet8"]


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """200 inputs of ResNet-8 made from the images that ship: shifted, mirrored and dimmed."""
    rng = np.random.default_rng(0)
    samples = zoo.sample_inputs("resnet8")
    images = []
    for index in range(200):
        image = samples[index % len(samples)][:, :: rng.choice([-1, 1])]
        shifted = np.roll(image, rng.integers(-6, 7, 2), axis=(0, 1)).astype(np.int16)
        images.append(((shifted + 128) * rng.uniform(0.5, 1) - 128).astype(np.int8))
    return np.stack(images)
