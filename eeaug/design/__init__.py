"""From candidates to one design: exits, thresholds, processors, proof, points.

A line of code here may touch settings and numbers, never a file, never Keras.

    problem           from settings and costs to a search problem
    network           the model taken apart for one target
    refine            the search, then finer thresholds for the chosen architecture
    class_specific    exits for a target class, their choice and what they bring
    reuse             exits that use what earlier ones said
    cross_validation  the budget on choose that keeps the one asked for elsewhere
    certify           from that to a design whose drop is proven
    operating_points  threshold vectors to switch between
    design            the design, and all that was found out about it without running it
    material          what a design is chosen from and a bundle is written with
    choose            from candidates to the design, its proof and its points
"""
