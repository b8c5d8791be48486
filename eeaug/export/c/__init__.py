"""``--format c``: the stages as C without a runtime, below ``c/`` of the bundle.

onnx_source     a stage's ONNX graph as C functions and a list of calls (emx-onnx-cgen)
arena           offsets of buffers with known lives
plan            in which order a processor computes, and where every tensor lies
stage_source    stage_<n>.c and .h
decisions       confidences and classes in C
cascade_source  cascade.c and .h
toolchain       compilers on this machine: run here, measured for the target
files           all of it, written, run and measured

    onnx_source     a stage's ONNX graph as C functions, whose tensors have no place yet
    arena           where tensors live
    plan            in which order a processor's stages compute, and where every tensor lies
    decisions       what classifiers say as decisions, in C
    stage_source    a stage's functions and weights
    cascade_source  cascade.h and .c: a function for each processor
    toolchain       compilers on this machine
    files           written, compiled, run, measured
"""

from eeaug.export.c.files import check, write

__all__ = ["check", "write"]
