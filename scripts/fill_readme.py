#!/usr/bin/env python3
"""Writes the README's tables of figures and claims, from results/paper: `.venv/bin/python scripts/fill_readme.py`."""

import re
from pathlib import Path

from floss.papers.findings import Reproduction
from floss.papers.judge import judged
from floss.papers.report.tables import claims_markdown, figures_markdown

ROOT = Path(__file__).resolve().parent.parent


def filled(readme: str, reproduction: Reproduction) -> str:
    """The README with what stands between each pair of marks made anew."""
    for name, text in (
        ("figures", figures_markdown(reproduction)),
        ("claims", claims_markdown(judged(reproduction), reproduction.paper)),
    ):
        begin, end = f"<!-- {name}: made by scripts/fill_readme.py -->", f"<!-- end of {name} -->"
        found = re.findall(f"{re.escape(begin)}.*?{re.escape(end)}", readme, re.DOTALL)
        if len(found) != 1:
            raise SystemExit(f"README.md: must have the marks {begin} and {end} once")
        readme = readme.replace(found[0], f"{begin}\n\n{text}\n{end}")
    return readme


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(filled(path.read_text(encoding="utf-8"), Reproduction(ROOT / "results/paper")), encoding="utf-8")
