"""ONNX files as Keras models.

A line of code here may touch an ONNX file and Keras.

    atoms        values whose axes lie in another order in memory; reshaping and transposing move no numbers
    file         the file, read and checked
    constants    what is computed of constants alone
    fused        patterns of nodes that stand for one operation
    builder      layers as they are made: names, order in memory, scaling and shifting
    arithmetic   operators on every number by itself
    products     products of matrices
    windows      convolutions and pooling
    shaping      operators that move numbers about or pick some
    joining      operators that put values together, pad or reduce them
    normalising  normalisations
    recurrent    LSTM, GRU and RNN
    classical    operators of scikit-learn's exporters
    convert      a graph as a Keras model, and which layer stands for which value
"""
