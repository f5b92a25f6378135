"""`skipstone accuracy`: top-1 accuracy over the CIFAR-10 test set, with the golden model."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
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
from models.zoo import cifar10

# Top-1 of the zoo's networks over all test images, under the reference kernels.
_EXPECTED = {"resnet8": 0.8707}
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
    judge_images_per_second: float | None


def accuracy(
    network: Annotated[str, typer.Argument(help="A network for CIFAR-10: of the zoo, or a file.")] = "resnet8",
    images: Annotated[int, typer.Option(min=1, max=cifar10.COUNT, help="How many test images.")] = cifar10.COUNT,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results to this file.")] = None,
) -> None:
    """Classify the CIFAR-10 test images with the golden model, and time it against the reference kernels.

    Exit status 1 if a network of known accuracy misses it over the whole test set.
    """
    loaded = load(network)
    _check(loaded)
    pixels, labels = cifar10.test_set()
    inputs = image_to_int8(pixels[:images])
    classes, seconds = _classify(loaded, inputs)
    correct = int((classes == labels[:images]).sum())
    result = _Result(
        network=loaded.name,
        images=images,
        correct=correct,
        accuracy=correct / images,
        expected=_EXPECTED.get(loaded.name) if images == cifar10.COUNT else None,
        images_per_second=images / seconds,
        judge_images_per_second=_time_judge(network, inputs[:_JUDGE_IMAGES]),
    )
    if json_file is not None:
        write_text(json_file, json.dumps(asdict(result), indent=2) + "\n")
    if not _report(result):
        raise typer.Exit(1)


def _check(network: Network) -> None:
    shapes = [network.tensors[name].shape for name in (*network.inputs, *network.outputs)]
    classes = len(cifar10.CLASSES)
    if shapes != [(1, cifar10.SIZE, cifar10.SIZE, 3), (1, classes)]:
        raise SkipstoneError(f"{network.name} takes and gives {shapes}: it does not classify CIFAR-10 images")
    if network.tensors[network.inputs[0]].dtype != np.int8:
        raise SkipstoneError(f"{network.name} does not take int8 images")


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
    """Images a second of LiteRT's reference kernels, or None if LiteRT is not installed."""
    if not judge.available():
        return None
    reference = judge.Judge(source_path(network))
    start = time.perf_counter()
    for image in inputs:
        reference.run(image[np.newaxis])
    return len(inputs) / (time.perf_counter() - start)


def _report(result: _Result) -> bool:
    """Print the result; whether the accuracy is the known one, where one is known."""
    typer.echo(f"{result.network}: top-1 {result.accuracy:.2%} ({result.correct} of {result.images} images)")
    typer.echo(f"golden model: {result.images_per_second:.0f} images/s")
    if result.judge_images_per_second is None:
        typer.echo("LiteRT reference kernels: not installed (pip install 'skipstone[judge]')")
    else:
        typer.echo(f"LiteRT reference kernels: {result.judge_images_per_second:.0f} images/s")
    if result.expected is None:
        return True
    reached = round(result.accuracy, 4) == result.expected
    typer.echo(f"expected {result.expected:.2%}: {'reached' if reached else 'NOT REACHED'}")
    return reached
