"""What report.json holds.

From first to last:

    metrics    the figures of a design on one part of the data
    counted    times by the instructions of the written C files
    drops      bounds of accuracy drops from test samples, and classes that clearly lose
    specific   what exits for a target class bring it and cost the others
    shift      whether the parts of the data are of one kind
    rho_curve  the benefit curve of a single exit over its threshold
    idle       why processors run nothing
    latency_limit  the design that would be chosen without it
    target_facts  the target, as far as figures depend on it
    promise    what is promised, in figures and in words
    remote     what stages on servers mean
    streams    what a design comes to on streams, with memory and without
    streams_again  the same of a bundle, on streams that it has not seen
    verdict    the first sentences: what is better, what is worse, what is promised
    build      report.json, built once
    int8       the int8 cascade's part
"""
