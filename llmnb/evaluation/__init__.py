"""How right answers are: scores against truth, and shares that a few labels correct.

Everything here is pure: labels and numbers in, figures out. `frames/` brings the columns.
"""
