"""Which function imports which operator."""

from collections.abc import Callable

from models.importers.onnx import conversion, cyclic, elementwise, movement, pooling, weighted
from models.importers.onnx.context import Context
from models.importers.onnx.reader import MICROSOFT, SKIPSTONE
from models.importers.onnx.values import Value
from models.network import NetworkError

Importer = Callable[[Context], Value]

_STANDARD: dict[str, Importer] = {
    "Add": elementwise.add,
    "AveragePool": pooling.average_pool,
    "Clip": elementwise.clip,
    "Concat": movement.concat,
    "Conv": weighted.conv,
    "DequantizeLinear": conversion.dequantize_linear,
    "Dropout": movement.identity,
    "Flatten": movement.flatten,
    "Gemm": weighted.gemm,
    "GlobalAveragePool": pooling.global_average_pool,
    "GlobalMaxPool": pooling.global_max_pool,
    "Identity": movement.identity,
    "MatMul": weighted.matmul,
    "MaxPool": pooling.max_pool,
    "Pad": movement.pad,
    "QLinearConv": weighted.qlinear_conv,
    "QLinearMatMul": weighted.qlinear_matmul,
    "QuantizeLinear": conversion.quantize_linear,
    "ReduceMean": pooling.reduce_mean,
    "Relu": elementwise.relu,
    "Reshape": movement.reshape,
    "Softmax": elementwise.softmax,
    "Squeeze": movement.squeeze,
    "Transpose": movement.transpose,
    "Unsqueeze": movement.unsqueeze,
}
_CONTRIBUTED: dict[str, Importer] = {
    "DequantizeLinear": conversion.dequantize_linear,
    "QGemm": weighted.qgemm,
    "QLinearAdd": elementwise.qlinear_add,
    "QLinearAveragePool": pooling.qlinear_average_pool,
    "QLinearConcat": movement.qlinear_concat,
    "QLinearGlobalAveragePool": pooling.qlinear_global_average_pool,
    "QLinearSoftmax": elementwise.qlinear_softmax,
    "QuantizeLinear": conversion.quantize_linear,
}
_CYCLIC: dict[str, Importer] = {cyclic.OPERATOR: cyclic.cyclic_conv}
_DOMAINS = {"": _STANDARD, MICROSOFT: _CONTRIBUTED, SKIPSTONE: _CYCLIC}
# Operators of float networks that a quantiser should have folded or quantised: what to do about them.
_ADVICE = {
    "BatchNormalization": "fold it into the convolution before it quantises",
    "ConvInteger": "quantise statically, not dynamically",
    "DynamicQuantizeLinear": "quantise statically, not dynamically",
    "MatMulInteger": "quantise statically, not dynamically",
}


def build(context: Context) -> Value:
    """What the node computes; raises NetworkError with the reason if it is not supported."""
    node = context.node
    function = _DOMAINS.get(node.domain, {}).get(node.op)
    if function is None:
        where = f" of {node.domain}" if node.domain else ""
        advice = f": {_ADVICE[node.op]}" if node.op in _ADVICE else ""
        raise NetworkError(f"operator {node.op}{where} is not supported{advice}")
    return function(context)
