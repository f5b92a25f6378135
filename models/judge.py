"""The independent judge, LiteRT's reference kernels: for tests and timings, it need not be installed."""

from importlib.util import find_spec
from os import PathLike
from typing import Any

import numpy.typing as npt

from models.errors import SkipstoneError


class JudgeError(SkipstoneError):
    """LiteRT is missing, or refuses a file."""


def available() -> bool:
    """Whether LiteRT is installed."""
    return find_spec("ai_edge_litert") is not None


class Judge:
    """One network under LiteRT's reference kernels (never its default kernels, which round otherwise).

    Args:
        model: a .tflite file, or its bytes.
        keep_all: keep every tensor, not only the outputs.

    Raises:
        JudgeError: LiteRT is not installed, or does not accept the file.
    """

    def __init__(self, model: str | PathLike[str] | bytes, *, keep_all: bool = False) -> None:
        if not available():
            raise JudgeError("LiteRT is not installed: pip install 'skipstone[judge]'")
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        source = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
        try:
            self._interpreter: Any = Interpreter(
                **source,
                experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                experimental_preserve_all_tensors=keep_all,
            )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise JudgeError(f"LiteRT does not accept the file: {error}") from None
        self._details = self._interpreter.get_tensor_details()
        self._inputs = [detail["index"] for detail in self._interpreter.get_input_details()]

    def run(self, *inputs: npt.NDArray) -> None:
        """Run on one array an input, in the file's order, each for batch 1."""
        for index, array in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, array)
        self._interpreter.invoke()

    def tensors(self) -> dict[str, npt.NDArray]:
        """The values of the last run by tensor name; tensors that hold none are left out."""
        values = {}
        for detail in self._details:
            try:
                values[detail["name"]] = self._interpreter.get_tensor(detail["index"])
            except ValueError:  # optional and temporary tensors
                continue
        return values
