"""Given a problem, its optimum: architectures, placements, thresholds.

A line of code here may touch a Problem: no settings, no file, no framework.

    thresholds  threshold grids; the threshold graph and Bellman-Ford
    space       the problem and the design: what may be chosen, what limits allow
    placing     architectures, and processors for their segments
    pareto      rows that no other row dominates
    settle      all threshold configurations of given architectures on every placement
    step_costs  what every step of a cascade adds
    labels      Pareto labels, where there are too many architectures to enumerate
    solver      the search: which exits, where, with which thresholds
"""
