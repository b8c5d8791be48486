"""Exit heads before any is chosen: layers, families, training, screening.

A line of code here may touch features, weights and Keras, never a threshold or a processor.

    layers       what a head is made of, and what it costs
    families     which heads are tried at a location
    training     what training a head takes and gives
    candidates   trained heads with their outcomes, as found and as a bundle keeps them
    selection    which heads are worth training, and which of them going on with
    packing      which convolutional heads to train, by what they promise beside dense ones
    planning     all heads by location, before any is trained
    keras_head   a head as Keras layers, as it is deployed
    pooled       what dense heads read
    activations  what a dense layer makes of its sums, and the slopes
    descent      the optimum of a smooth function
    logistic     dense heads of one layer, trained to their optimum
    hidden       dense heads with hidden layers
    dense        dense heads: which of both trains them, and what they answer
    specific     heads that know some classes only
    supervision  what heads learn from: labels and the given model's answers
    moving       whether samples may move a little and stay what they are
    trainee      a convolutional head in training, as TensorFlow's operations
    maps         convolutional heads on whole maps, trained by TensorFlow
    store        trained heads that earlier runs have left
    judge        what screen says of heads
    calibrated   heads as stages have them
    together     heads of one location that train together, here or on a worker of a cluster
    train_all    from locations to trained heads with their outcomes
    ahead        what is still to be trained, and how long that takes
"""
