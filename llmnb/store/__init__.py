"""A project's answers: what is kept, under which key, and what clearing takes away."""
