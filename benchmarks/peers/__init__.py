"""The same work done by llmnb and by its peers, each in a process of its own: one table."""
