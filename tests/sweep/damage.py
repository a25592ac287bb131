"""What may happen to a file: cut, changed, emptied, or replaced by one that runs code when it is loaded."""

import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path


class Malicious:
    """Pickles to a call that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    path.write_bytes(pickle.dumps({"training": Malicious(path.with_name("trace"))}, protocol=2))


def signed_foreign(path: Path) -> None:
    payload = pickle.dumps({"training": Malicious(path.with_name("trace"))}, protocol=2)
    path.write_bytes(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)


def append(extra: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with path.open("ab") as file:
            file.write(extra)

    return damage
