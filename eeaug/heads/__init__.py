"""Exit heads: what they look like, how they are trained on the frozen backbone.

design     which heads are worth trying at a location, their cost; knows no framework
selection  which of them go on
training   what training takes and gives
dense      heads on pooled values: numpy, all locations side by side
maps       convolutional heads on whole maps: TensorFlow, a location after the other
store      what earlier runs have left
keras_head a trained head as Keras layers
"""
