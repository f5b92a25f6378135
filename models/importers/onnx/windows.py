"""Sliding windows as ONNX states them: strides, dilations, and four ways to say the padding."""

from dataclasses import dataclass

from models.importers.onnx.reader import Node
from models.layers import Padding, Pair, window_output
from models.network import NetworkError

# Far beyond any network: what a damaged file asks for is refused before memory for it is taken.
_LARGEST_PADDING = 1 << 12


@dataclass(frozen=True)
class Window:
    """A window over height and width.

    Attributes:
        kernel, stride, dilation: (vertical, horizontal).
        scheme: ONNX's auto_pad.
        pads: (top, left, bottom, right), for the scheme NOTSET.
        ceil: the last window may reach beyond the padding.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    scheme: str
    pads: tuple[int, int, int, int]
    ceil: bool

    @classmethod
    def of(cls, node: Node, kernel: Pair) -> "Window":
        """The window that a node's attributes describe."""
        stride, dilation = node.integers("strides", (1, 1)), node.integers("dilations", (1, 1))
        pads = node.integers("pads", (0, 0, 0, 0))
        scheme = node.text("auto_pad", "NOTSET")
        if len(stride) != 2 or len(dilation) != 2 or len(pads) != 4 or len(kernel) != 2:
            raise NetworkError("its window is not two-dimensional, and only such are supported")
        if min(*stride, *dilation, *kernel) < 1 or min(pads) < 0:
            raise NetworkError("kernel, stride and dilation must be 1 or more, padding 0 or more")
        if max(pads) >= _LARGEST_PADDING:
            raise NetworkError(f"padding of {max(pads)} is not supported")
        if scheme not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
            raise NetworkError(f"auto_pad {scheme!r} is not supported")
        ceil = bool(node.integer("ceil_mode", 0))
        return cls(kernel, (stride[0], stride[1]), (dilation[0], dilation[1]), scheme, _four(pads), ceil)

    def padding(self, size: Pair) -> Padding:
        """Padding of an input of ``size``, as far as windows reach."""
        return self._pair(size, 0), self._pair(size, 1)

    def overhang(self, size: Pair) -> bool:
        """Whether a window reaches beyond the padding that is stated."""
        return any(self._pair(size, axis)[1] > self._stated(size, axis)[1] for axis in range(2))

    def output(self, size: Pair) -> Pair:
        """Height and width of the output; refuses a window that does not fit."""
        padding = self.padding(size)
        out = [
            window_output(size[axis], self.kernel[axis], self.stride[axis], self.dilation[axis], padding[axis])
            for axis in range(2)
        ]
        if min(out) < 1:
            raise NetworkError(f"a {self.kernel[0]}x{self.kernel[1]} window does not fit an input of {list(size)}")
        return out[0], out[1]

    def _reach(self, axis: int) -> int:
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def _stated(self, size: Pair, axis: int) -> Pair:
        if self.scheme == "NOTSET":
            return self.pads[axis], self.pads[axis + 2]
        if self.scheme == "VALID":
            return 0, 0
        stride = self.stride[axis]
        total = max(0, (-(-size[axis] // stride) - 1) * stride + self._reach(axis) - size[axis])
        less, more = total // 2, total - total // 2
        return (less, more) if self.scheme == "SAME_UPPER" else (more, less)

    def _pair(self, size: Pair, axis: int) -> Pair:
        before, after = self._stated(size, axis)
        left_over = (size[axis] + before + after - self._reach(axis)) % self.stride[axis]
        if not self.ceil or self.scheme != "NOTSET" or not left_over:
            return before, after
        # One window more, unless it would start in the padding after the input.
        extended = after + self.stride[axis] - left_over
        start = size[axis] + before + extended - self._reach(axis)
        return (before, extended) if start < size[axis] + before else (before, after)


def _four(pads: tuple[int, ...]) -> tuple[int, int, int, int]:
    top, left, bottom, right = pads
    return top, left, bottom, right
