"""Knows nothing of exits: files, words, progress, the cache.

A line of code here may touch files, streams and text; it knows nothing of exits, models and targets.

    spelling        the known name that is nearest to a given one
    printable       text from files as a terminal, a log or an XML file may have it
    quantities      values with units, as options take them
    regular         the one place that opens files that somebody else may have made
    places          the user's files and paths, and pipes
    strict_yaml     strict reading of YAML: all mistakes at once, each with its path
    json_file       strict reading of JSON, and comparison with a schema
    zip_file        zip files: how much is in one is known before memory is taken for it
    npy_file        the same of .npy files
    npz_file        arrays of a .npz of a bundle
    leftovers       what killed runs have left beside results, removed
    processes       what the end of a process by a signal means, and none that outlives its parent
    native_process  native code that may end its process, in a process of its own
    outputs         files that results go to: whole or not there, nothing overwritten unasked
    checksums       files of the cache that say by themselves whether they are what was written
    cache           what earlier runs have left, and the room that it may take
    sample_layout   the tensors of a sample, and the same as one row
    streams         whether stderr may be drawn on; what native code writes past Python
    pace            how long the rest of a step takes
    progress        how a run tells what it is doing
"""
