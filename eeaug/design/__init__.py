"""From candidates to one design: exits, thresholds, processors, promise, points.

A line of code here may touch settings and numbers, never a file, never Keras.

    problem           from settings and costs to a search problem
    network           the model taken apart for one target
    refine            the search, then finer thresholds for the chosen architecture
    class_specific    exits for a target class, their choice and what they bring
    reuse             exits that use what earlier ones said
    promise           what is promised, and how far the path of thresholds may be opened for it
    screened          what screen fixes of a design before choose is looked at
    streamed          a decision with memory for a design, and what is promised of it
    serving           which exits serve memory, any number of them
    compared          which design it is to be, by a part of choose where that is large
    operating_points  threshold vectors to switch between
    again             thresholds sought again where stages say other things than were searched with
    streamed_again    a decision with memory sought again for int8 stages
    design            the design, and all that was found out about it without running it
    material          what a design is chosen from and a bundle is written with
    choose            from candidates to the design, its promise and its points
    reopened          a bundle's design with other thresholds of its path
"""
