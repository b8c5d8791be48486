"""One report.json, its words, its renderings.

A line of code here may touch numbers that are there; it runs nothing and chooses nothing.

    units    numbers as text, the same words in every rendering
    needs    what files for devices need of memories and time
    content  what report.json holds
    words    what every rendering says, before it becomes a table, a line or a drawing
    render   terminal, Markdown, page, charts
    gate     limits on a report, for continuous integration
"""
