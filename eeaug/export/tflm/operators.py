"""Operators of int8 files, as TensorFlow Lite for Microcontrollers registers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eeaug.errors import ConversionError

__all__ = ["METHODS", "check_operators"]

# operators of TensorFlow's schema → methods of MicroMutableOpResolver that register them
METHODS: Mapping[str, str] = {
    name: "Add" + method
    for name, method in (
        line.split()
        for line in """
        ABS Abs
        ADD Add
        ADD_N AddN
        AVERAGE_POOL_2D AveragePool2D
        BATCH_MATMUL BatchMatMul
        BATCH_TO_SPACE_ND BatchToSpaceNd
        CAST Cast
        CONCATENATION Concatenation
        CONV_2D Conv2D
        DEPTHWISE_CONV_2D DepthwiseConv2D
        DEPTH_TO_SPACE DepthToSpace
        DEQUANTIZE Dequantize
        DIV Div
        ELU Elu
        EQUAL Equal
        EXP Exp
        EXPAND_DIMS ExpandDims
        FULLY_CONNECTED FullyConnected
        GATHER Gather
        GREATER Greater
        GREATER_EQUAL GreaterEqual
        HARD_SWISH HardSwish
        L2_NORMALIZATION L2Normalization
        LEAKY_RELU LeakyRelu
        LESS Less
        LESS_EQUAL LessEqual
        LOG Log
        LOGICAL_AND LogicalAnd
        LOGICAL_NOT LogicalNot
        LOGICAL_OR LogicalOr
        LOGISTIC Logistic
        LOG_SOFTMAX LogSoftmax
        MAXIMUM Maximum
        MAX_POOL_2D MaxPool2D
        MEAN Mean
        MINIMUM Minimum
        MIRROR_PAD MirrorPad
        MUL Mul
        NEG Neg
        NOT_EQUAL NotEqual
        PACK Pack
        PAD Pad
        PADV2 PadV2
        PRELU Prelu
        QUANTIZE Quantize
        REDUCE_MAX ReduceMax
        RELU Relu
        RELU6 Relu6
        RESHAPE Reshape
        RESIZE_BILINEAR ResizeBilinear
        RESIZE_NEAREST_NEIGHBOR ResizeNearestNeighbor
        RSQRT Rsqrt
        SELECT_V2 SelectV2
        SHAPE Shape
        SLICE Slice
        SOFTMAX Softmax
        SPACE_TO_BATCH_ND SpaceToBatchNd
        SPACE_TO_DEPTH SpaceToDepth
        SPLIT Split
        SPLIT_V SplitV
        SQRT Sqrt
        SQUARE Square
        SQUARED_DIFFERENCE SquaredDifference
        SQUEEZE Squeeze
        STRIDED_SLICE StridedSlice
        SUB Sub
        SUM Sum
        TANH Tanh
        TRANSPOSE Transpose
        TRANSPOSE_CONV TransposeConv
        UNPACK Unpack
        """.strip().splitlines()
    )
}


def check_operators(names: Sequence[str]) -> None:
    """Raises ConversionError where TFLM has none of these."""
    lacking = [name for name in names if name not in METHODS]
    if lacking:
        raise ConversionError(f"TFLM has no operator {', '.join(lacking)}")
