"""report.json as text, Markdown, a page and its charts.

From first to last:

    strip          one recording, sample by sample
    plot           a plot as SVG
    charts         those of report.json
    glossary       terms and their definitions
    block_picture  the block graph as a picture
    console        a console for text that comes from files
    tables         the one style of tables
    terminal       for a terminal
    markdown       for a comment on a pull request
    page           one HTML page
"""
