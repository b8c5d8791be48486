"""The backbone taken apart: graphs, locations, costs of a segment.

A line of code here may touch layers, shapes and a target: no framework, no sample, no weight.

    macs          multiply-accumulate operations of a layer
    schedule      an order of computing that needs little memory
    graph         layer graph and block graph
    locations     where an exit can stand, and why not elsewhere
    costs         MACs, seconds, joules and bytes of a segment on a processor
    measurements  measured latencies, read from a file
"""
