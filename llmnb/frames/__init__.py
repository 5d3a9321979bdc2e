"""Tables: read, turned into questions, and written with their answers."""
