"""What follows from the numbers of a run, as sentences: from its tables to a list of Markdown.

One file for each analysis: `main` has what matters most, `sentences` all of it, and functions whose
names begin with `alt` describe its figures. Nothing is claimed that the tables do not hold.
"""
