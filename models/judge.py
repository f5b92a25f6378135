"""The independent judges, for tests and timings; they need not be installed.

LiteRT's reference kernels judge TensorFlow Lite files, ONNX Runtime judges ONNX files.
"""

from __future__ import annotations

from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

import numpy.typing as npt

from models.errors import SkipstoneError


class JudgeError(SkipstoneError):
    """A judge is missing, or refuses a file."""


def title(path: Path) -> str:
    """The name of the judge of a file."""
    return "ONNX Runtime" if _is_onnx(path) else "LiteRT reference kernels"


def available(path: Path | None = None) -> bool:
    """Whether the judge of a file is installed; LiteRT, if no file is given."""
    package = "onnxruntime" if path is not None and _is_onnx(path) else "ai_edge_litert"
    return find_spec(package) is not None


def of(path: Path) -> Judge | OnnxJudge:
    """The judge of a file; raises JudgeError if it is not installed, or does not accept the file."""
    return OnnxJudge(path) if _is_onnx(path) else Judge(path)


def _is_onnx(path: Path) -> bool:
    return path.suffix.lower() == ".onnx"


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


class OnnxJudge:
    """One ONNX network of one input under ONNX Runtime, on one thread and without optimisations, which round otherwise.

    Args:
        model: an .onnx file.

    Raises:
        JudgeError: ONNX Runtime is not installed, or does not accept the file.
    """

    def __init__(self, model: Path) -> None:
        if not available(model):
            raise JudgeError("ONNX Runtime is not installed: pip install 'skipstone[judge]'")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
        except Exception as error:  # it has exceptions of its own that share no base
            raise JudgeError(f"ONNX Runtime does not accept the file: {error}") from None
        (source,) = self._session.get_inputs()
        self._input = source.name

    def run(self, images: npt.NDArray) -> npt.NDArray:
        """The first output for inputs with their channels last, which the file has first."""
        values = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images
        (first, *_) = self._session.run(None, {self._input: values})
        return first
