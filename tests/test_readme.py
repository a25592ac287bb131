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
    lam = names["lam"]
    assert isinstance(lam, torch.Tensor)
    assert torch.isfinite(lam).all()
    if "backward()" not in code:
        return
    leaves = [value for value in names.values() if isinstance(value, torch.Tensor) and value.is_leaf]
    leaves += [p for value in names.values() if isinstance(value, torch.nn.Module) for p in value.parameters()]
    gradients = [leaf.grad for leaf in leaves if leaf.requires_grad]
    assert gradients
    for gradient in gradients:
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert gradient.norm() > 0


def test_named_paths_exist() -> None:
    named = re.findall(r"\]\(([^):#]+)\)", README) + re.findall(
        r"^((?:floss|conf|results|scripts)/\S*)", README, re.MULTILINE
    )
    assert len(named) > 10
    missing = [name for name in named if not (ROOT / name.rstrip(",")).exists()]
    assert missing == []
