"""What the scripts that train the zoo's networks share: the command line, and the way from a module to a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import onnx
import torch

from models.errors import SkipstoneError
from models.files import write_atomically
from models.training.loop import Images, observe
from models.training.module import Classifier
from models.training.onnx_file import to_onnx

_CALIBRATION_IMAGES = 500

Results = Iterable[tuple[str, onnx.ModelProto]]
"""Names and files, one after the other as they are trained."""


def quantised(module: Classifier, images: Images) -> onnx.ModelProto:
    """The int8 file of a trained network, calibrated on the first of some images."""
    observed = observe(module, images[:_CALIBRATION_IMAGES])
    return to_onnx(module.graph, module.parameters_by_name(), observed)


def run(
    script: str, description: str, trainings: Mapping[str, Callable[[], Results]], arguments: list[str] | None
) -> int:
    """Train the networks that are named on the command line, or all; returns the exit status.

    Args:
        script: its module in this package.
        description: of the script, in one line.
        trainings: by name; each is asked for its results once.
        arguments: of the command line; None takes the process's own.
    """
    parser = argparse.ArgumentParser(prog=f"python -m models.training.{script}", description=description)
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(trainings)}; all if none is named")
    parser.add_argument("--output", type=Path, default=Path("build/trained"), help="folder for the .onnx files")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums in one order: the same files on every run
    try:
        for name in given.networks:
            if name not in trainings:
                raise SkipstoneError(f"{name}: there is no training of it; there is of {', '.join(trainings)}")
        for name in given.networks or trainings:
            for result, model in trainings[name]():
                path = given.output / f"{result}.onnx"
                write_atomically(path, model.SerializeToString())
                print(f"wrote {path}", flush=True)
    except (SkipstoneError, OSError) as error:
        print(f"train-{script}: {error}", file=sys.stderr)
        return 2
    return 0
