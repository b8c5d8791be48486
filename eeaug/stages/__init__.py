"""The network cut for processors.

A line of code here may touch Keras graphs, trained heads and names of processors: no file, no sample.

    partition   the augmented network cut into stages, and as a whole
    early_view  the final classifier assisted by an exit's convolution
"""
