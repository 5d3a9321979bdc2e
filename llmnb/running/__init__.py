"""Running: requests made into rows, planned or started as a run; the engine's one front door."""
