"""A module or folder per format, and the check of every file.

A line of code here may touch the bundle that is being written and its stages; it chooses no design.

    formats      the one table of formats
    names        what names in C and C++ files begin with
    feeds        where the inputs of a stage lie in C and C++
    leave_table  the alarm on leave rates, as C and C++ have it
    keras_onnx   a stage in the formats that are always there, and its entry in the manifest
    verify       every file, read back and run as a cascade
    tflite       float LiteRT files
    int8         int8 LiteRT files, a cascade of their own
    c            C without a runtime
    tflm         C++ for TensorFlow Lite for Microcontrollers
    c_int8       the int8 stages as C without a runtime
    triton       a model repository for inference servers
    onnx_one     the cascade as one ONNX file
    vela         the int8 stages compiled for an NPU
    measure      a board tells itself: what times a bundle's files, and what is printed then
    layerwise    which layer of a model it is that a format cannot express
    rehearsal    every format, written from the untrained network before any training
"""
