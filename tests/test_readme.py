"""The README's Python example runs, and the paths it names exist."""

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_python_examples_run(code: str) -> None:
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102
    W = names["W"]
    assert isinstance(W, torch.Tensor)
    assert W.grad is not None
    assert torch.isfinite(W.grad).all()
    assert W.grad.norm() > 0


def test_named_paths_exist() -> None:
    named = re.findall(r"\]\(([^):#]+)\)", README) + re.findall(
        r"^((?:floss|conf|results|scripts)/\S*)", README, re.MULTILINE
    )
    assert len(named) > 10
    missing = [name for name in named if not (ROOT / name.rstrip(",")).exists()]
    assert missing == []
