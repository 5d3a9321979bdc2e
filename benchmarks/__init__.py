"""What llmnb costs, as ratios to bare aiohttp (and to `import pandas`) in one run."""
