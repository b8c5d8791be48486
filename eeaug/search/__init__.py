"""The choice of exits, processors and thresholds.

space      what may be chosen: architectures, placements, limits, pins
settle     all threshold configurations of given architectures on all placements
labels     Pareto labels: the independent optimum when architectures are too many to enumerate
solver     the search itself, and why nothing fits
"""
