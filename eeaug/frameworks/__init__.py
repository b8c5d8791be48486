"""Converters, sessions and runners of the formats.

A line of code here may touch a converter or a runtime; it knows layers and tensors, not exits.

    keras_archive    Keras archives whose bytes depend on the model alone
    keras_to_onnx    Keras to ONNX, with names that depend on the graph alone
    onnx_session     ONNX Runtime sessions
    onnx_chain       stages as sessions of one optimised network
    onnx_agreement   a network that was converted from ONNX, compared with ONNX Runtime
    tflite_file      what is in a TFLite file, read and changed without running it
    tflite_graph     its graph: tensors, operators, constants
    tflite_session   LiteRT interpreters
    tflite_layers    layers as TFLite can express them
    keras_to_tflite  Keras to TFLite files whose bytes depend on the graph alone
    runners          a stage's file in its runtime
"""
