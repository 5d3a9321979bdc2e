"""Which model answers: names turned into targets, and requests into rows of a run."""
