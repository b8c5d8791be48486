"""Decisions that remember the samples before: what they say along a sequence, cost, and come to; arrays only.

A line of code here may touch arrays: no model, no file, no framework. A further decision is a file beside
:mod:`eeaug.streams.difference` that holds the protocol of :mod:`eeaug.streams.rules`, and its place in the grid of
:mod:`eeaug.streams.kinds`.

    sequences   which samples follow which
    rules       what a decision with a state is: its state's fields, when a sample leaves, what is answered
    confidence  no state: a sample leaves where it is sure
    difference  the last answer stands while the first exit says about the same
    patience    an exit that says the same several times leaves with a lower threshold
    debounce    an answer changes only after m of n
    walk        a decision along sequences: where every sample leaves, and with which answer
    kinds       the decisions by name, and the grid of their parameters
    figures     what a decision comes to, by event and in the worst sequence
    missed      a limit on events: how many more may be missed
    choose      the decision that is best for an objective
"""
