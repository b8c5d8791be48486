"""The given classifier, whatever file it comes from.

A line of code here may touch a model file and Keras; it knows nothing of exits.

    packed                 zip and HDF5 files, looked through before they are read
    from_torch             files of PyTorch: exported programs as ONNX, and how to export others
    model_files            which files a model consists of: beside each other, or in a zip file
    losses                 what a model was trained with, as its file says
    keras2_operations      TensorFlow operations in Keras 2 files as Keras 3 operations
    keras2_config          Keras 2 configurations rewritten for Keras 3
    keras2_forms           older ways in which Keras 2 wrote the same
    keras1_forms           Keras 1 configurations in the words of Keras 2
    saved_model            what a SavedModel says of its model, read without TensorFlow
    saved_model_variables  the variables of a SavedModel given to a model of Keras 2
    keras_allowed          what a configuration may name, so that building the model runs nothing
    safe_names             names of layers and inputs in letters that every format takes
    from_onnx              ONNX files as Keras models, by an own mapping of operators
    custom_objects         layers, activations and models from code that the user names
    keras2_code            the user's code run once more with Keras 2
    stored_model           what a model file says of itself, and what is refused for it
    weights_files          the weights of a model as a file that a loader takes
    subclassed             a model of a class of its own as a graph of layers
    keras_files            any Keras model file as a Keras 3 model
    model_output           what a model's output is: probabilities, sigmoids or logits
    windows                what convolutions and pooling layers move over their input
    traced                 MACs of a layer, counted in the graph that TensorFlow makes of it
    calls                  the calls of layers that a flat model consists of
    model_inputs           the given model's inputs, and which of them its output needs
    answers                a model's outputs: the classifier among them, or all of a model that may be any
    model                  the given classifier as a flat list of layer calls
    settled                what its output means, once real samples, labels and the user have spoken
"""
