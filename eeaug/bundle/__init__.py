"""The directory: its manifest, its atomic exchange, its search/.

A line of code here may touch the files of a bundle: no framework, no figure.

    manifest_rules  what a manifest must be beyond its schema
    code_entry      what a manifest says of code that the bundle has not
    device_entries  what a manifest says of a stage's files for devices
    stage_entries   what a manifest says of a stage, as data classes
    stream_entry    what a manifest says of what decides streams
    entries         what a manifest says, as data classes
    manifest        a bundle that is there, read, and whether its files are still those
    directory       written beside its place, moved there when it is whole
    search_files    search/: what a later choice needs instead of data and training
"""
