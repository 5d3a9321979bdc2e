"""One file a dependency: the only places where the outside world is imported."""
