"""The hash of a configuration, which names the folder of its results: equal for everything that computes the same."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from floss.jobs import extensions

SCHEMA = 1
"""Increment when the same configuration computes something else than before."""


def config_hash(job: Any, **further: Any) -> str:
    """Ten hexadecimal digits of the hash over every key that the numbers depend on, and over `further` values."""
    content = json.dumps({**hashed_values(job), **further}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:10]


def hashed_values(job: Any) -> dict[str, Any]:
    """Every key that the numbers depend on with its value, and the version of what they mean.

    With an architecture or a task of another package, also the package's name and version.
    """

    def hashed(config: Any) -> dict[str, Any]:
        out = {}
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if dataclasses.is_dataclass(value):
                out[field.name] = hashed(value)
            elif field.metadata["hashed"] and value != field.metadata["added"]:
                out[field.name] = _renewed(value, field.metadata["renewed"])
        return out

    return {"schema": SCHEMA, **hashed(job), **packages(job)}


def _renewed(value: Any, words: Mapping[str, str]) -> Any:
    """A value, or each of a list, with what stands for the words that do not mean what they once did."""
    if isinstance(value, tuple):
        return tuple(_renewed(each, words) for each in value)
    return words.get(value, value) if isinstance(value, str) else value


def packages(job: Any) -> dict[str, Any]:
    """`{"packages": {"arch": "my-package 1.0"}}`: whose architecture and task a job has, where they are not floss's."""
    chosen = {key: getattr(job, key).name for key in extensions.GROUPS if hasattr(job, key)}
    others = extensions.packages(chosen)
    return {"packages": others} if others else {}
