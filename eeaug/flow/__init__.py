"""The runs, each one readable list.

A line of code here may touch everybody, in order, and holds no formula.

    blank                  what a model that need not be a classifier gives, and which samples hold nothing
    streams                whether data and model can be streams, and which samples follow which
    prepare                everything before the first pass, and all that can be refused
    measure_in_background  a part of the data measured while files are written
    quantise               int8 thresholds sought, int8 files measured
    handover               hand-overs in fewer bits: thresholds and promise of what arrives
    kept                   limits, kept by the files that were written
    write_bundle           from the design to a written, verified bundle
    finetune               exits and backbone trained together, kept only if better
    outlook                what a search will look at
    remembered             what a run took, for a dry run of the same
    augment                the flow, from a model file to a bundle
    retarget               another bundle from an earlier one
    data_for_bundle        data that a bundle is run on
    certify                a budget proven on data of the field, with few labels
    expected               how long a run will take
    forecast               what a search would cost and could bring
    subprocess_run         a run in a process of its own
    from_memory            a model, data or target in memory as the files that a run reads
"""
