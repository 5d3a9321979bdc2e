"""How figures, times and texts are written for people: each kind once, for every room above.

The lowest room: it imports nothing of llmnb, and what it returns depends on its arguments only
(moments, on the time zone of the process as well).

- `numbers`: counts, sums of tokens, sizes, limits, percent
- `money`: dollars
- `durations`: how long, how long ago, how long still
- `moments`: times of day and dates
- `texts`: a text cut, a number with its noun
- `escape`: text in which nothing hides, for terminals, HTML and Markdown
- `aligned`: aligned columns and dotted lines of text
- `html_fragments`, `palette`: boxes, lines, bars and tables without script or style sheet
"""
