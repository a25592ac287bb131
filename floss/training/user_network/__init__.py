"""Flossing, watching and diagnosing a network in its user's own training loop, which nothing else here trains."""
