"""`skipstone accuracy`: top-1 accuracy over the test images of CIFAR-10 or MNIST, with the golden model."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models import golden, judge
from models.errors import SkipstoneError
from models.files import write_text
from models.importers import load, source_path
from models.inputs import image_to_int8
from models.network import Network
from models.tensor import Shape
from models.zoo import cifar10, mnist

_SETS: dict[Shape, ModuleType] = {
    (1, cifar10.SIZE, cifar10.SIZE, 3): cifar10,
    (1, mnist.SIZE, mnist.SIZE, 1): mnist,
}
"""The images that a network classifies, by the shape of its input."""

# Top-1 of the zoo's networks over all test images.
_EXPECTED = {
    "resnet8": 0.8707,
    "lenet300_csc12": 0.9814,
    "lenet300_csc21": 0.9777,
    "lenet300_csc46": 0.966,
    "cifar_csc3": 0.7686,
    "cifar_csc6": 0.7160,
    "resnet8_pruned50": 0.8656,
    "resnet8_pruned35": 0.8542,
    "resnet8_pruned25": 0.8414,
    "lenet5": 0.9923,
    "lenet5_pruned30": 0.9905,
    "lenet5_pruned10": 0.9752,
}
_COUNT = min(dataset.COUNT for dataset in _SETS.values())
_BATCH = 250
_JUDGE_IMAGES = 200


@dataclass(frozen=True)
class _Result:
    network: str
    images: int
    correct: int
    accuracy: float
    expected: float | None
    images_per_second: float
    judge: str
    judge_images_per_second: float | None


def accuracy(
    network: Annotated[str, typer.Argument(help="A network for CIFAR-10 or MNIST: of the zoo, or a file.")] = "resnet8",
    images: Annotated[int, typer.Option(min=1, max=_COUNT, help="How many test images.")] = _COUNT,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results to this file.")] = None,
) -> None:
    """Classify the test images of CIFAR-10 or MNIST with the golden model, and time it against the reference.

    The reference: LiteRT's reference kernels for a .tflite file, ONNX Runtime for an .onnx file.

    Exit status 1 if a network of known accuracy misses it over the whole test set.
    """
    loaded = load(network)
    pixels, labels = _test_set(loaded)
    inputs = image_to_int8(pixels[:images])
    classes, seconds = _classify(loaded, inputs)
    correct = int((classes == labels[:images]).sum())
    result = _Result(
        network=loaded.name,
        images=images,
        correct=correct,
        accuracy=correct / images,
        expected=_EXPECTED.get(network) if images == _COUNT else None,
        images_per_second=images / seconds,
        judge=judge.title(source_path(network)),
        judge_images_per_second=_time_judge(network, inputs[:_JUDGE_IMAGES]),
    )
    if json_file is not None:
        write_text(json_file, json.dumps(asdict(result), indent=2) + "\n")
    if not _report(result):
        raise typer.Exit(1)


def _test_set(network: Network) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The images that the network classifies, and their classes."""
    shapes = [network.tensors[name].shape for name in (*network.inputs, *network.outputs)]
    dataset = _SETS.get(shapes[0])
    if dataset is None or shapes[1:] != [(1, len(dataset.CLASSES))]:
        raise SkipstoneError(f"{network.name} takes and gives {shapes}: it does not classify CIFAR-10 or MNIST images")
    if network.tensors[network.inputs[0]].dtype != np.int8:
        raise SkipstoneError(f"{network.name} does not take int8 images")
    return dataset.test_set()


def _classify(network: Network, inputs: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int64], float]:
    """The class of each input, and the seconds it took."""
    (output,) = network.outputs
    last = [network.layers[-1].name]
    classes = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    start = time.perf_counter()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(network.name, total=len(inputs))
        for first in range(0, len(inputs), _BATCH):
            batch = inputs[first : first + _BATCH]
            classes.append(golden.run(network, batch, layers=last)[output].argmax(axis=1))
            progress.advance(task, len(batch))
    return np.concatenate(classes), time.perf_counter() - start


def _time_judge(network: str, inputs: npt.NDArray[np.int8]) -> float | None:
    """Images a second of the reference, or None if it is not installed."""
    path = source_path(network)
    if not judge.available(path):
        return None
    reference = judge.of(path)
    start = time.perf_counter()
    for image in inputs:
        reference.run(image[np.newaxis])
    return len(inputs) / (time.perf_counter() - start)


def _report(result: _Result) -> bool:
    """Print the result; whether the accuracy is the known one, where one is known."""
    typer.echo(f"{result.network}: top-1 {result.accuracy:.2%} ({result.correct} of {result.images} images)")
    typer.echo(f"golden model: {result.images_per_second:.0f} images/s")
    if result.judge_images_per_second is None:
        typer.echo(f"{result.judge}: not installed (pip install 'skipstone[judge]')")
    else:
        typer.echo(f"{result.judge}: {result.judge_images_per_second:.0f} images/s")
    if result.expected is None:
        return True
    reached = round(result.accuracy, 4) == result.expected
    typer.echo(f"expected {result.expected:.2%}: {'reached' if reached else 'NOT REACHED'}")
    return reached
