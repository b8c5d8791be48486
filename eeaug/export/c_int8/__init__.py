"""``--format c-int8``: the int8 stages as C99 without a runtime, below ``c-int8/`` of the bundle.

From first to last:

    fixed_point    real factors as int32 multipliers, and LiteRT's arithmetic with them
    constants      arrays and structs in C
    stage_builder  a stage on its way to C
    weighted       convolutions, depthwise and dense layers
    elementwise    operators on each element, or on pairs
    windows        pooling, means, softmax
    copies         operators that move elements
    operators      a stage's operators as calls of kernels
    third_party    CMSIS-NN, as it is carried along
    kernels        kernels.c and .h
    stage_source   stage_<n>.c and .h
    decisions      what int8 classifiers say as decisions, in integers
    files          all of it, written, run and measured
"""

from eeaug.export.c_int8.files import check, complete, refuse_decision, write

__all__ = ["check", "complete", "refuse_decision", "write"]
