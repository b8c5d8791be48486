"""JSON Schemas (2020-12) of what a bundle says: strict objects, every field described, numbers with their unit.

words     what schemas are written with
settings  what a run was asked to do, as manifest.json and report.json both have it
manifest  manifest.json
design    what was chosen: metrics, segments, exits, operating points
int8      the int8 stages
report    report.json
"""
