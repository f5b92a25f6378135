"""Writes small TensorFlow Lite files, valid or deliberately not, with the generated builders of `tflite`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import tflite

_TYPES = {
    np.dtype(np.float32): tflite.TensorType.FLOAT32,
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.uint8): tflite.TensorType.UINT8,
    np.dtype(np.int16): tflite.TensorType.INT16,
    np.dtype(np.int32): tflite.TensorType.INT32,
    np.dtype(np.int64): tflite.TensorType.INT64,
}


@dataclass
class TensorSpec:
    name: str
    shape: Sequence[int]
    dtype: npt.DTypeLike = np.int8
    scales: Sequence[float] = ()
    zero_points: Sequence[int] = ()
    axis: int = 0
    data: npt.NDArray | bytes | None = None
    signature: Sequence[int] | None = None


@dataclass
class OperatorSpec:
    opcode: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


class ModelWriter:
    """Collects tensors and operators, and writes the file: `tensor` and `operator` in order, then `write`."""

    def __init__(self) -> None:
        self.tensors: list[TensorSpec] = []
        self.operators: list[OperatorSpec] = []
        self._builder: Any = None

    def tensor(self, name: str, shape: Sequence[int], dtype: npt.DTypeLike = np.int8, **settings: Any) -> int:
        self.tensors.append(TensorSpec(name, shape, dtype, **settings))
        return len(self.tensors) - 1

    def activation(self, name: str, shape: Sequence[int], scale: float, zero_point: int, **settings: Any) -> int:
        return self.tensor(name, shape, scales=[scale], zero_points=[zero_point], **settings)

    def constant(self, name: str, data: npt.NDArray, scales: Sequence[float] = (), axis: int = 0) -> int:
        zero_points = [0] * len(scales)
        shape = data.shape
        return self.tensor(name, shape, data.dtype, scales=scales, zero_points=zero_points, axis=axis, data=data)

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: str | None = None,
        **fields: Any,
    ) -> None:
        """An operator by the format's name ("CONV_2D"), with fields ("StrideH") of its options."""
        opcode = getattr(tflite.BuiltinOperator, name)
        self.operators.append(OperatorSpec(opcode, inputs, outputs, options, fields))

    def write(self, inputs: Sequence[int], outputs: Sequence[int], version: int = 3) -> bytes:
        self._builder = flatbuffers.Builder(1024)
        buffers = [self._table("Buffer")] + [self._buffer(spec) for spec in self.tensors]
        tensors = [self._tensor(index, spec) for index, spec in enumerate(self.tensors)]
        opcodes = sorted({spec.opcode for spec in self.operators})
        graph = self._table(
            "SubGraph",
            Tensors=self._offsets(tensors),
            Inputs=self._numbers(inputs, np.int32),
            Outputs=self._numbers(outputs, np.int32),
            Operators=self._offsets([self._operator(spec, opcodes) for spec in self.operators]),
        )
        codes = [self._code(opcode) for opcode in opcodes]
        model = self._table(
            "Model",
            Version=version,
            OperatorCodes=self._offsets(codes),
            Subgraphs=self._offsets([graph]),
            Buffers=self._offsets(buffers),
        )
        self._builder.Finish(model, b"TFL3")
        return bytes(self._builder.Output())

    def _table(self, kind: str, **fields: Any) -> int:
        getattr(tflite, f"{kind}Start")(self._builder)
        for name, value in fields.items():
            if value is not None:
                getattr(tflite, f"{kind}Add{name}")(self._builder, value)
        end: Callable[[Any], int] = getattr(tflite, f"{kind}End")
        return end(self._builder)

    def _numbers(self, values: Sequence[float] | npt.NDArray, dtype: npt.DTypeLike) -> int | None:
        return self._builder.CreateNumpyVector(np.array(values, dtype)) if len(values) else None

    def _offsets(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _buffer(self, spec: TensorSpec) -> int:
        if spec.data is None:
            return self._table("Buffer")
        data = spec.data if isinstance(spec.data, bytes) else spec.data.tobytes()
        return self._table("Buffer", Data=self._numbers(np.frombuffer(data, np.uint8), np.uint8))

    def _tensor(self, index: int, spec: TensorSpec) -> int:
        quantisation = self._table(
            "QuantizationParameters",
            Scale=self._numbers(spec.scales, np.float32),
            ZeroPoint=self._numbers(spec.zero_points, np.int64),
            QuantizedDimension=spec.axis,
        )
        return self._table(
            "Tensor",
            Shape=self._numbers(spec.shape, np.int32),
            Type=_TYPES[np.dtype(spec.dtype)],
            Buffer=index + 1,
            Name=self._builder.CreateString(spec.name),
            Quantization=quantisation,
            ShapeSignature=None if spec.signature is None else self._numbers(spec.signature, np.int32),
        )

    def _operator(self, spec: OperatorSpec, opcodes: Sequence[int]) -> int:
        options = None if spec.options is None else self._table(spec.options, **spec.fields)
        return self._table(
            "Operator",
            OpcodeIndex=opcodes.index(spec.opcode),
            Inputs=self._numbers(spec.inputs, np.int32),
            Outputs=self._numbers(spec.outputs, np.int32),
            BuiltinOptionsType=0 if spec.options is None else getattr(tflite.BuiltinOptions, spec.options),
            BuiltinOptions=options,
        )

    def _code(self, opcode: int) -> int:
        return self._table("OperatorCode", DeprecatedBuiltinCode=min(opcode, 127), Version=1, BuiltinCode=opcode)
