"""A board tells itself: what times the files of a bundle on their processors, and what its output means.

A line of code here may touch a bundle that is there and what it prints elsewhere; it changes neither.

    layers       the layers of a stage's C source, their MACs, and the source with a call behind each
    firmware     C files that time a bundle's C files on a core
    python_file  a Python file that times a bundle's models on Linux
    emulation    the same in QEMU, which counts its instructions
    readings     lines of CSV, read and held against the bundle
    rates        rates, overheads and cycles per instruction of these
"""
