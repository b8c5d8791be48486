"""``--format c``: the stages as C without a runtime, below ``c/`` of the bundle.

A line of code here may touch what is written below ``c/``; templates/ has all text of C that no number changes.

    onnx_source     an ONNX graph as C functions of emx-onnx-cgen, whose tensors have no place yet
    onnx_graph      a stage's ONNX graph as plain values
    channels_last   layers with channels second as kernels with channels last
    fusion          what kernels take in: factors, biases, activations, sums
    arena           where tensors live
    plan            in which order a processor's stages compute, and where every tensor lies
    text            names, numbers and templates of C
    stage_code      a stage's graph as calls of kernels and of generated functions
    decisions       what classifiers say as decisions, in C
    arithmetic      the numbers of a cascade
    sections        which calls are a head's
    stage_source    a stage's functions and weights
    stream_source   decisions that remember the samples before
    cascade_facts   what the cascade's source says
    cascade_source  <prefix>.h and .c: a function for each processor
    watch           leave counters on the device, and an alarm
    readme          README.md with a whole program; lists for Zephyr and CMSIS-Packs
    stream_check    whether streams are decided as in Python
    toolchain       compilers on this machine
    emulated        boards of QEMU
    counted         instructions of stages and heads
    common_files    what c/ and c-int8/ have in common
    linked          what the files take on their processors
    files           written, compiled, run, measured
"""

from eeaug.export.c.files import check, complete, write

__all__ = ["check", "complete", "write"]
