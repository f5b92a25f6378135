"""The layers of a network: parameters, shapes and cost. Their arithmetic is `models.golden`."""

from models.layers.base import (
    Layer,
    Padding,
    Pair,
    Requantisation,
    Rounding,
    UnaryLayer,
    WindowLayer,
    window_output,
)
from models.layers.cyclic import CyclicConv2D
from models.layers.elementwise import Add, Clip, Dequantize, Quantize, Relu, Relu6, Requantize, Softmax, TableSoftmax
from models.layers.movement import Concatenation, Pad, Reshape
from models.layers.reduction import AveragePool2D, MaxPool2D, Mean, Pool2D, RescaledAveragePool2D
from models.layers.weighted import Conv2D, Convolution, DepthwiseConv2D, FullyConnected, WeightedLayer

__all__ = [
    "Add",
    "AveragePool2D",
    "Clip",
    "Concatenation",
    "Conv2D",
    "Convolution",
    "CyclicConv2D",
    "DepthwiseConv2D",
    "Dequantize",
    "FullyConnected",
    "Layer",
    "MaxPool2D",
    "Mean",
    "Pad",
    "Padding",
    "Pair",
    "Pool2D",
    "Quantize",
    "Relu",
    "Relu6",
    "Requantisation",
    "Requantize",
    "RescaledAveragePool2D",
    "Reshape",
    "Rounding",
    "Softmax",
    "TableSoftmax",
    "UnaryLayer",
    "WeightedLayer",
    "WindowLayer",
    "window_output",
]
