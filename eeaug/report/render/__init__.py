"""report.json as text, Markdown, a page and its charts.

From first to last:

    charts         plots as SVG
    block_picture  the block graph as a picture
    console        a console for text that comes from files
    terminal       for a terminal
    markdown       for a comment on a pull request
    page           one HTML page
"""
