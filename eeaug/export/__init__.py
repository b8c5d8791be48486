"""The bundle: stages as files, read back and compared, written whole or not at all.

keras_file  Keras archives with equal bytes for equal models
stage_files a stage in every format
formats     what else stages are written in, and where that is done
tflite      LiteRT files
c           C files without a runtime
verify      the files run as a cascade, against the model in memory
bundle      the directory, its manifest, and how it takes its place
"""
