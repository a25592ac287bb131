"""The hash of a configuration, which names the folder of its results: equal for everything that computes the same."""

import dataclasses
import hashlib
import json
from typing import Any

SCHEMA = 1
"""Increment when the same configuration computes something else than before."""


def config_hash(job: Any, **further: Any) -> str:
    """Ten hexadecimal digits of the hash over every key that the numbers depend on, and over `further` values."""
    content = json.dumps({**hashed_values(job), **further}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:10]


def hashed_values(job: Any) -> dict[str, Any]:
    """Every key that the numbers depend on with its value, and the version of what they mean."""

    def hashed(config: Any) -> dict[str, Any]:
        out = {}
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if dataclasses.is_dataclass(value):
                out[field.name] = hashed(value)
            elif field.metadata["hashed"] and value != field.metadata["added"]:
                out[field.name] = value
        return out

    return {"schema": SCHEMA, **hashed(job)}
