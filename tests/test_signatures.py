"""The checks of signatures: that they are made, and how often."""

import functools
import importlib
import math
import sys
from types import ModuleType

import jaxtyping
import pytest
import signatures
import torch
from signatures import FIRST, check_signatures, start_anew

from floss.random import Stream
from floss.tasks import TASKS

MODULE = """
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

Square = Float[Tensor, "n n"]

def plain(x: Square): return x

@dataclass
class Base:
    x: Square

    @property
    def corner(self) -> Float[Tensor, ""]: return self.x[0]

    @staticmethod
    def static(x: Square): return x

class Derived(Base):
    pass
"""
WRONG = torch.zeros(2, 3)


@pytest.fixture
def module(tmp_path, monkeypatch) -> ModuleType:
    (tmp_path / "made_up_signatures.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(signatures, "_checks", [*signatures._checks])
    monkeypatch.delitem(sys.modules, "made_up_signatures", raising=False)
    check_signatures(["made_up_signatures"], lambda: importlib.import_module("made_up_signatures"))
    return sys.modules.pop("made_up_signatures")


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.plain(WRONG),
        lambda m: m.Base(WRONG),
        lambda m: m.Derived(WRONG),
        lambda m: m.Base.static(WRONG),
        lambda m: m.Base(torch.zeros(2, 2)).corner,
    ],
)
def test_the_first_calls_are_checked(module, request, call):
    for _ in range(FIRST):
        with pytest.raises(jaxtyping.TypeCheckError):
            call(module)
    call(module)
    start_anew(request.node)
    with pytest.raises(jaxtyping.TypeCheckError):
        call(module)


def test_all_calls_of_a_slow_test_are_checked(module, request):
    request.node.add_marker(pytest.mark.slow)
    start_anew(request.node)
    assert {each.left for each in signatures._checks} == {math.inf}
    for _ in range(FIRST + 1):
        with pytest.raises(jaxtyping.TypeCheckError):
            module.plain(WRONG)


def test_the_core_is_checked():
    sample = functools.partial(TASKS["xor"].sample, steps=9, batch=2)
    with pytest.raises(jaxtyping.TypeCheckError):
        sample(torch.zeros(3), Stream.TRAINING, 0)
