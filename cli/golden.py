"""`skipstone golden`: every tensor of a network, bit for bit, into one file."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from models import golden as operators
from models.errors import SkipstoneError
from models.files import write_atomically
from models.importers import load
from models.inputs import read_input


def golden(
    network: Annotated[str, typer.Argument(help="A network of the zoo, or a .tflite or .onnx file.")],
    input: Annotated[
        Path | None,
        typer.Option(help="A .npy, .png or .jpg file; without it, a sample that ships, or random."),
    ] = None,
    output: Annotated[Path, typer.Option(help="The .npz file to write.")] = Path("golden.npz"),
    seed: Annotated[int, typer.Option(help="Picks the sample, or draws the random input.")] = 0,
) -> None:
    """Run NETWORK on one or more inputs and write every tensor, keyed by its name in the file."""
    if output.suffix != ".npz":
        raise SkipstoneError(f"{output}: the output is an .npz file; name it {output.with_suffix('.npz')}")
    loaded = load(network)
    values = read_input(loaded, input, seed, any_batch=True)
    tensors = {name: tensor.data for name, tensor in loaded.tensors.items() if tensor.data is not None}
    tensors |= operators.run(loaded, values)
    try:
        write_atomically(output, _archive(tensors))
    except OSError as error:
        raise SkipstoneError(f"{output}: cannot be written: {error.strerror}") from None
    typer.echo(f"{output}: {len(tensors)} tensors of {loaded.name}, {len(values)} input{'s' * (len(values) > 1)}")


def _archive(tensors: Mapping[str, npt.NDArray]) -> bytes:
    """The bytes of an .npz file.

    `numpy.savez` takes names as keywords, and so not every name that a network may use.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, tensor in tensors.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(tensor), allow_pickle=False)
    return buffer.getvalue()
