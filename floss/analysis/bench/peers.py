"""The packages that `floss bench` measures beside, where they are installed."""

import contextlib
import importlib
from collections.abc import Iterable
from importlib import metadata

from floss.analysis.bench import jax_peer

PEERS = {"jax": ("jax", "jaxlib"), "clvlib": ("clvlib", "scipy"), "lyapax": ("lyapax", "jax", "jaxlib")}
"""The packages that each peer is made of; its own name first. JAX comes first: it has threads to set (`jax_peer`)."""


def load(engine: str) -> None:
    """Import what an engine is made of besides torch.

    Raises:
        ImportError: it is not installed.
    """
    for package in PEERS.get(engine, ()):
        jax_peer.load() if package == "jax" else importlib.import_module(package)


def installed() -> list[str]:
    """The peers that can be imported here."""
    peers = []
    for peer in PEERS:
        with contextlib.suppress(ImportError):
            load(peer)
            peers.append(peer)
    return peers


def missing_line(peers: Iterable[str]) -> str:
    """The line for a person where not all of the peers are installed; empty where they are."""
    missing = [peer for peer in PEERS if peer not in peers]
    verb = "is" if len(missing) == 1 else "are"
    names = " and ".join(filter(None, [", ".join(missing[:-1]), *missing[-1:]]))
    return f"floss bench: {names} {verb} not installed; pip install 'floss[bench]' adds them" if missing else ""


def versions(peers: Iterable[str]) -> dict[str, str]:
    """Versions of all packages of some peers."""
    return {package: metadata.version(package) for peer in peers for package in PEERS[peer]}
