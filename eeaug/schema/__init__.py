"""JSON Schemas of what a bundle says.

A line of code here may touch schemas: strict objects, every field described, numbers with their unit.

    words     what schemas are written with
    figures   what every table of figures has
    settings  what a run was asked to do
    exits     search/exits.json
    design    what was chosen: metrics, segments, exits, operating points
    remote    stages on servers
    c_files   files in C
    npu       what Vela says of a stage
    int8      the int8 stages
    streams   decisions that remember the samples before
    manifest  manifest.json
    report    report.json
"""
