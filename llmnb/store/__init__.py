"""A project's answers: what is kept, under which key, for how long, and what clearing takes away."""
