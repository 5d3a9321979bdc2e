"""Models as objects that the engine asks: `LLM` and its kin, their configuration and lists."""
