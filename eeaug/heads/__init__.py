"""Exit heads: what they look like, how they are trained on the frozen backbone.

design     which heads are worth trying at a location, their cost; knows no framework
selection  which of them go on
training   pooled features → all dense heads at once; whole maps → convolutional heads
keras_head a trained head as Keras layers
"""
