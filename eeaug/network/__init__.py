"""The backbone taken apart: graphs, locations, costs of a segment.

A line of code here may touch layers, shapes and a target: no framework, no sample, no weight.

    macs          multiply-accumulate operations of a layer
    kernels       layers as calls of kernels in C
    schedule      an order of computing that needs little memory
    late_inputs   where a network of several inputs can be cut
    graph         layer graph and block graph
    locations     where an exit can stand, and why not elsewhere
    times         what layers take on a processor, by counted kernels or by rates
    segments      costs of the segments of architectures
    costs         MACs, seconds, joules and bytes of a segment on a processor
    measurements  measured latencies, read from a file
"""
