"""Inputs of a program as a user has them, real or quantised, and as its network takes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from compiler.compiled import CompiledProgram
from models.golden.elementwise import dequantise, quantise_real
from models.inputs import InputError, InputForm

SOFTMAX_SCALE, SOFTMAX_ZERO_POINT = 1 / 256, -128
"""Of the output of a softmax: the only ones that the reference kernel has."""


def input_form(program: CompiledProgram, name: str) -> InputForm:
    """What the program's network takes as that input."""
    for step in program.before:
        if step.input == name:
            scale, zero_point = step.parameters["scale"], int(step.parameters["zero_point"])
            return InputForm(program.network, step.shape, np.dtype(np.float32), scale, zero_point)
    tensor = program.tensor(name)
    return InputForm(program.network, tensor.shape, np.dtype(np.int8), tensor.scale, tensor.zero_point)


def as_taken(program: CompiledProgram, values: npt.NDArray | Mapping[str, npt.NDArray]) -> dict[str, npt.NDArray]:
    """All inputs of a program as its network takes them; an array alone is its only input.

    Args:
        values: of each input quantised values (int8) or real ones, with the batch of 1 or without.

    Raises:
        InputError: an input is missing, unknown, of another shape or type, or not finite.
    """
    if not isinstance(values, Mapping):
        if len(program.takes) != 1:
            names = ", ".join(program.takes)
            raise InputError(f"{program.network} has {len(program.takes)} inputs: give an array for each of {names}")
        values = {program.takes[0]: values}
    if set(values) != set(program.takes):
        raise InputError(
            f"{program.network}: inputs {', '.join(values) or 'none'} were given; it takes {', '.join(program.takes)}"
        )
    return {name: _taken(input_form(program, name), name, np.asarray(values[name])) for name in program.takes}


def _taken(form: InputForm, name: str, values: npt.NDArray) -> npt.NDArray:
    where = f"{form.network}: input {name!r}"
    if values.shape not in (form.shape, form.shape[1:]):
        raise InputError(f"{where} has the shape {list(values.shape)}, but must have {list(form.shape)}")
    values = values.reshape(form.shape)
    if values.dtype == np.int8:
        return values if form.dtype == np.int8 else dequantise(values, form.scale, form.zero_point)
    if values.dtype.kind != "f":
        raise InputError(f"{where} is of type {values.dtype}: give int8 (quantised values) or real numbers")
    if not np.isfinite(values).all():
        raise InputError(f"{where} has an element that is not a finite number")
    real = values.astype(np.float32)
    return real if form.dtype == np.float32 else quantise_real(real, form.scale, form.zero_point)


def as_real(program: CompiledProgram, name: str, values: npt.NDArray) -> npt.NDArray[np.float32]:
    """The real values of an output of a program, from those that a run gave."""
    if values.dtype != np.int8:
        return values
    steps = {step.output: step for step in program.after}
    while name in steps and steps[name].op == "reshape":
        name = steps[name].input
    if name in steps:
        return dequantise(values, SOFTMAX_SCALE, SOFTMAX_ZERO_POINT)
    tensor = program.tensor(name)
    return dequantise(values, tensor.scale, tensor.zero_point)


def gives_probabilities(program: CompiledProgram) -> bool:
    """Whether the last thing that a program's network computes is softmax."""
    steps = [step.op for step in program.after if step.op not in ("reshape", "dequantize")]
    return bool(steps) and steps[-1] == "softmax"
