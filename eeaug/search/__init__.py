"""The choice of exits, processors and thresholds.

space      what may be chosen: architectures, placements, limits, pins
settle     all threshold configurations of given architectures on all placements
pareto     rows that no other row dominates
steps      what every step of a cascade adds, and what can come before
labels     Pareto labels: the independent front when architectures are too many to enumerate
solver     the search itself, and why nothing fits
"""
