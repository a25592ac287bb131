#!/usr/bin/env python3
"""Fills the generated parts of the pages from the tables under results/: `.venv/bin/python scripts/fill_pages.py`.

A generated part stands between two marks, `<!-- NAME: made by scripts/fill_pages.py -->` and `<!-- end of NAME -->`.
Nothing is computed but the bootstrap intervals of the claims, whose random numbers are fixed.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportReturnType=false

import functools
import json
import re
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from floss.figures.schedules import SCHEDULES
from floss.papers.claim import REPRODUCED, Result
from floss.papers.curse_of_memory import PAPER as CURSE
from floss.papers.curse_of_memory.students import tuned
from floss.papers.curse_of_memory.study import MAGNITUDES, at, with_memory
from floss.papers.findings import Reproduction
from floss.papers.gradient_flossing import PAPER
from floss.papers.gradient_flossing.binary_xor import REACHED
from floss.papers.gradient_flossing.which_gradient import MEASURES, NORMS
from floss.papers.intervals import clopper_pearson
from floss.papers.judge import judged
from floss.papers.paper import Paper
from floss.papers.report.tables import (
    VERDICTS,
    changes_markdown,
    claims_markdown,
    counts,
    figures_markdown,
    overview,
    statements_markdown,
)
from floss.papers.report.typesetting import measured, plain_in_markdown, typeset
from floss.papers.summary import Stated, stated
from floss.training.ensemble import Protocol
from floss.training.schedule import FlossingRun

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"


@functools.cache
def reproduction(paper: Paper = PAPER) -> Reproduction:
    """The committed data of a paper's figures."""
    return Reproduction(ROOT / paper.results_folder)


@functools.cache
def results(paper: Paper = PAPER) -> tuple[Result, ...]:
    """Every claim of a paper beside the committed data."""
    return tuple(judged(reproduction(paper)))


def headline() -> str:
    """How many claims have each verdict, and the accuracy with each schedule where only flossing in training helps."""
    tally = ", ".join(f"{number} {verdict}" for verdict, number in counts(results()).items())
    lines = [
        f"{drawn()} Of {sum(counts(results()).values())} claims of the paper, each judged by a criterion, **{tally}**."
        " The main one, temporal XOR over d = 70 steps (seeds 0-9, on which the length of the flossing runs was chosen,"
        " are left out):",
        "",
        "| flossing | networks above 80 % accuracy | share [exact 95 % interval] |",
        "|---|---|---|",
    ]
    findings = {"fig04": "temporal", "fig14_more": "gaussian", "fig09": "gradient"}
    tables = [found[run].summary for figure, run in findings.items() if (found := reproduction().findings(figure))]
    table: Any = pd.concat(tables)
    table = table[(table["d"] == 70) & (table["seed"] >= 10)]
    for schedule, words in SCHEDULES.items():
        rows = table[table["flossing"] == schedule]
        if len(rows):
            many = int((rows["final_accuracy"] > REACHED).sum())
            low, high = clopper_pearson(many, len(rows))
            lines.append(f"| {words} | {many} of {len(rows)} | {many / len(rows):.2f} [{low:.2f}, {high:.2f}] |")
    return "\n".join(lines) + "\n"


def curse_headline() -> str:
    """How many claims of the second paper have each verdict, and how the sensitivity grows."""
    tally = ", ".join(f"{number} {verdict}" for verdict, number in counts(results(CURSE)).items())
    table = reproduction(CURSE).complete("fig01")["moments"].tables["moments"]
    rows = {rho: table[(table["rho"] == rho) & table["nines"].isin([3.0, 4.0])]["sensitivity"] for rho in (0.0, 1.0)}
    powers = [f"{np.log10(of.iloc[1] / of.iloc[0]):.2f}" for of in rows.values()]
    return (
        f"{drawn(CURSE)} Of {sum(counts(results(CURSE)).values())} claims of the paper **{tally}**. The main one: the"
        f" sensitivity of a linear neuron to its recurrent weight λ grows as 1 / (1 − λ) to the power {powers[0]} for"
        f" white input and {powers[1]} for a constant one, whatever its gradients do.\n"
    )


def targets() -> str:
    """Final losses of linear students against the target of flossing, and the least of each column in bold."""
    m1, m2 = (reproduction(CURSE).complete(figure) for figure in ("m1", "m2"))
    columns = [(m1[f"none{word}"].summary, m1[f"pre{word}"].summary) for word in ("_short", "")]
    for student in ("lru", "diagonal"):
        pair = [m2[f"{student}{word}"].summary for word in ("_none", "")]
        columns += [(with_memory(pair[0], longest), with_memory(pair[1], longest)) for longest in (False, True)]
    rows = []
    for target in (None, *MAGNITUDES):
        tables = [none if target is None else at(pre, [target]) for none, pre in columns]
        rows.append([tuned(table).losses.median() if len(table) else np.nan for table in tables])
    least = np.nanmin(rows, axis=0)
    lines = ["| flossed to | dense, ν₀ = 0.9 | 0.99 | LRU, 0.9 | 0.99 | complex diagonal, 0.9 | 0.99 |"]
    lines.append("|---|---|---|---|---|---|---|")
    names = ["not flossed", *(f"log {word}" if word != "1" else "0" for word in MAGNITUDES.values())]
    for name, losses in zip(names, rows, strict=True):
        texts = ["–" if np.isnan(loss) else typeset(f"{loss:.2g}") for loss in losses]
        cells = [f"**{text}**" if loss == best else text for text, loss, best in zip(texts, losses, least, strict=True)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def drawn(paper: Paper = PAPER) -> str:
    """How many figures there are, and which of them have fewer networks than the paper."""
    findings = {figure: reproduction(paper).findings(figure) for figure in paper.figures()}
    missing = [paper.label(figure) for figure, found in findings.items() if found is None]
    scales = {figure: {each.scale for each in found.values()} for figure, found in findings.items() if found}
    small = [paper.label(figure) for figure, of_runs in scales.items() if of_runs != {"paper"}]
    text = f"{len(findings) - len(missing)} figures{' and tables' if paper is PAPER else ''}"
    text += f" at the paper's own grid, but for {', '.join(small)}" if small else " at the paper's own grid"
    return f"{text}; not yet complete: {', '.join(missing)}." if missing else f"{text}."


def claims(paper: Paper = PAPER) -> str:
    """All claims as one table."""
    return claims_markdown(results(paper), paper)


@functools.cache
def statements(paper: Paper = PAPER) -> tuple[Stated, ...]:
    """Every statement of the paper beside the claims that measure it."""
    return tuple(stated(paper.statements(), results(paper)))


def first_lines(paper: Paper = PAPER) -> str:
    """How much of what the paper says is measured, and on how many networks that do not overlap."""
    return f"{overview(statements(paper), results(paper))}\n"


def statement_list(paper: Paper = PAPER) -> str:
    """The statements as one table."""
    return statements_markdown(statements(paper))


def questions(paper: Paper = PAPER) -> str:
    """The claims that are ours as one table."""
    return claims_markdown(results(paper), paper, ours=True)


def changes(paper: Paper = PAPER) -> str:
    """The claims whose statistic or criterion was changed, or that were added when data were known."""
    return changes_markdown(results(paper), paper)


def pictures_of(paper: Paper) -> str:
    """Where the pictures are, as seen from the page that lists them."""
    return "paper/figures" if paper is PAPER else f"../{paper.results_folder}/figures"


def figure_list(paper: Paper = PAPER) -> str:
    """The figures, what they show, and how many networks they are of."""
    return figures_markdown(reproduction(paper), pictures=pictures_of(paper))


def gallery(paper: Paper = PAPER) -> str:
    """Every figure with its title; of one that was never drawn, the command that computes it."""
    parts = []
    for figure in paper.figures():
        title, name = paper.experiment(figure).title, paper.label(figure)
        shown = f"![{name}: {title}](../{paper.results_folder}/figures/{figure}.png)"
        if not (reproduction(paper).results / "figures" / f"{figure}.png").exists():
            of = "" if paper is PAPER else f"paper={paper.name} "
            shown = f"Not computed yet: `floss reproduce {of}fig={figure} scale=small`"
        parts.append(f"## {name}\n\n{title}.\n\n{shown}\n")
    return "\n".join(parts)


def tried(paper: Paper = PAPER) -> str:
    """The claims that did not come out, or not yet, with what else was tried."""
    lines = []
    for result in results(paper):
        if result.verdict == REPRODUCED or not result.claim.tried:
            continue
        mark = VERDICTS[result.verdict][0]
        claim = f"{result.claim.sentence} Measured: {typeset(measured(result))}, criterion"
        criterion = typeset(str(result.claim.criterion))
        text = plain_in_markdown(f"{claim} {criterion}. {result.claim.tried}")
        lines.append(f"- {mark} **{paper.label(result.claim.figure)}**: {text}")
    return "\n".join(lines) + "\n"


def gradients() -> str:
    """What Fig. 8 measures, of each of the three numbers that ‖dL/dh0‖ may mean."""
    findings = reproduction().findings_for("fig08", ("fig09",))
    if findings is None:
        return "Not computed yet.\n"
    lines = [f"| measure | paper | {' | '.join(NORMS.values())} |", f"|---|---|{'---|' * len(NORMS)}"]
    for words, (says, measure) in MEASURES.items():
        with np.errstate(divide="ignore"):  # the logarithm of an underflow
            several = [measure(findings, column) for column in NORMS]
        values = [typeset(f"{sample.statistic(sample.rows):.2g}") for sample in several]
        lines.append(f"| {plain_in_markdown(words)} | {plain_in_markdown(typeset(says))} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def flossing_lengths() -> str:
    """Final accuracies on temporal XOR over 70 steps, by schedule and length T_f of the flossing runs."""
    rows = []
    for folder in sorted((RESULTS / "xor_d70").glob("xor-*")):
        config = OmegaConf.load(folder / "config.yaml")
        steps = FlossingRun.for_delay(config.d, config.flossing.steps).length
        episodes, schedule = list(config.flossing.at), config.flossing.name
        accuracies = sorted(pd.read_csv(folder / "summary.csv")["final_accuracy"])
        rows.append((steps if episodes else None, episodes, schedule, accuracies))
    rows.sort(key=lambda row: (-(row[0] or 1000), len(row[1])))
    lines = ["| flossing | episodes before epoch | T_f | accuracy of the networks, sorted | median | above 0.9 |"]
    lines.append("|---|---|---|---|---|---|")
    for steps, episodes, schedule, accuracies in rows:
        shown = " ".join(f"{accuracy:.3f}".lstrip("0") for accuracy in accuracies)
        solved = f"{sum(accuracy > 0.9 for accuracy in accuracies)} of {len(accuracies)}"
        cells = [f"`{schedule}`", ", ".join(map(str, episodes)) or "–", str(steps or "–"), shown]
        lines.append(f"| {' | '.join([*cells, f'{statistics.median(accuracies):.2f}', solved])} |")
    return "\n".join(lines) + "\n"


@functools.cache
def machine() -> Mapping[str, Any]:
    """The machine of the committed timings."""
    return json.loads((RESULTS / "bench/environment.json").read_text(encoding="utf-8"))


@functools.cache
def bench() -> pd.DataFrame:
    """The committed timings of that machine at the sizes of the reference protocol, without the scans over sizes."""
    table = pd.read_csv(RESULTS / "bench/bench.csv")
    if "arch" not in table:  # of before gated cells were measured
        table["arch"] = "vanilla"
    return table[table["peak_mb"].notna() & (table["device"] == machine()["device"])]


def milliseconds(engine: str, loop: str, networks: int, arch: str = "vanilla", **sizes: int) -> float:
    """Median time of one network and epoch."""
    table = bench()
    batch = 16 if loop == "train" else 1
    reference = {} if loop == "spectrum" else {"n": Protocol().n}
    wanted = {"engine": engine, "loop": loop, "networks": networks, "batch": batch, "arch": arch, **reference, **sizes}
    for column, value in wanted.items():
        table = table[table[column] == value]
    (value,) = table["ms_per_network_epoch"]
    return float(value)


def digits(value: float) -> str:
    """Three significant digits of a large number, two of a small one."""
    return f"{value:.1f}" if value >= 1.2 else f"{value:.2f}"


def speed() -> str:
    """How much faster the native engine is than what a user would write."""

    def faster(loop: str, peer: str, networks: int) -> float:
        return milliseconds(peer, loop, networks) / milliseconds("native", loop, 32)

    plain = [f"{faster(loop, 'torch-single', 1):.0f}" for loop in ("train", "floss")]
    jax = [f"{faster(loop, 'jax', 32):.1f}" for loop in ("train", "floss")]
    cores = f"{machine()['threads']} {machine()['device']} cores"
    return (
        f"On {cores}, with 32 networks stacked, the native engine trains tanh networks {plain[0]} times as fast as a"
        f" plain PyTorch loop and {jax[0]} times as fast as JAX, and flosses them {plain[1]} and {jax[1]} times as"
        " fast.\n"
    )


def loops() -> str:
    """Both hot loops with every engine."""
    tanh = bench()[bench()["arch"] == "vanilla"]
    sizes = sorted(tanh.loc[tanh["engine"] == "native", "networks"].unique())
    lines = [f"| engine | loop | {' | '.join(f'R = {size}' for size in sizes)} |", f"|---|---|{'---|' * len(sizes)}"]
    names = {"torch-single": "plain PyTorch loop", "jax": "JAX", "torch": "`engine=torch`", "native": "`engine=native`"}
    for loop, words in (("train", "training"), ("floss", "flossing")):
        for engine, name in names.items():
            measured_sizes = sizes[:1] if engine == "torch-single" else sizes
            cells = [digits(milliseconds(engine, loop, size)) for size in measured_sizes]
            cells += ["–"] * (len(sizes) - len(cells))
            lines.append(f"| {name} | {words} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


_CELLS = {"lstm": ("LSTM", "`torch.nn.LSTM`"), "gru": ("GRU", "`torch.nn.GRU`"), "lru": ("LRU", "plain loop")}
"""Names of gated cells in the order of their rows, and of what a user of torch would write."""


def cells() -> str:
    """Gated cells beside modules of torch and JAX: native medians, and how many times as long others take."""
    native = bench()[bench()["arch"].isin(_CELLS) & (bench()["engine"] == "native")]
    if native.empty:
        return "Not measured yet: `floss bench`.\n"
    (networks,) = native["networks"].unique()
    head = ["cell", "loop", f"`engine=native`, R = {networks}: ms per network and epoch"]
    head += ["peer / native", "JAX / native", "`engine=torch` / native"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for loop, words in (("train", "training"), ("floss", "flossing")):
        for arch, (name, peer) in _CELLS.items():
            several = [_times(engine, loop, networks, arch) for engine in ("jax", "torch")]
            by_peer = _times("torch-single", loop, 1, arch)
            ours = f"{spent:.2f}" if (spent := milliseconds("native", loop, networks, arch)) > 0.01 else "< 0.01"
            lines.append(f"| {' | '.join([name, words, ours, by_peer and f'{peer} {by_peer}', *several])} |")
    return "\n".join(lines) + "\n"


def _times(engine: str, loop: str, networks: int, arch: str) -> str:
    """How many times the native engine's time an engine or peer takes; empty where it was not measured."""
    table = bench()
    if (engine, loop, arch) not in set(table[["engine", "loop", "arch"]].itertuples(index=False, name=None)):
        return ""
    several = int(table.loc[(table["engine"] == "native") & (table["arch"] == arch), "networks"].iloc[0])
    return digits(milliseconds(engine, loop, networks, arch) / milliseconds("native", loop, several, arch))


def large_networks() -> str:
    """One large network by the native engine: times, their share of torch's product rate, flossing beside training."""
    table = bench()[(bench()["engine"] == "native") & (bench()["n"] > Protocol().n)]
    if table.empty:
        return "Not measured yet: `floss bench`.\n"
    lines = ["| N | loop | ms per epoch | spread | share of torch's product rate | flossing / training epoch |"]
    lines.append("|---|---|---|---|---|---|")
    for n, of in table.groupby("n"):
        train, floss = (of[of["loop"] == loop].iloc[0] for loop in ("train", "floss"))
        ratio = floss["ms_per_network_epoch"] / train["ms_per_network_epoch"]
        for row, words, beside in ((train, "training", ""), (floss, "flossing", digits(ratio))):
            share = f"{row['share_of_matmul_rate']:.0%}"
            cells = [str(n), words, f"{row['ms_per_network_epoch']:.0f}", f"{row['spread']:.0f}", share, beside]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spectra() -> str:
    """Lyapunov spectra beside other packages."""
    lines = ["| N, k | networks | clvlib | lyapax | `floss` | clvlib / `floss` | lyapax / `floss` |"]
    lines.append("|---|---|---|---|---|---|---|")
    table = bench()[bench()["loop"] == "spectrum"]
    for n, k, networks in table[["n", "k", "networks"]].drop_duplicates().itertuples(index=False):
        sizes = {"n": n, "k": k}
        ours, lyapax = (milliseconds(engine, "spectrum", networks, **sizes) for engine in ("floss", "lyapax"))
        clvlib = milliseconds("clvlib", "spectrum", networks, **sizes) if networks == 1 else None
        cells = [f"{n}, {k}", str(networks), "–" if clvlib is None else f"{clvlib:.1f}", f"{lyapax:.1f}", f"{ours:.1f}"]
        cells += ["–" if clvlib is None else f"{digits(clvlib / ours)}×", f"{digits(lyapax / ours)}×"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


PAGES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"headline": headline, "curse": curse_headline, "speed": speed},
    "results/README.md": {
        "figures": figure_list,
        "overview": first_lines,
        "claims": claims,
        "statements": statement_list,
        "questions": questions,
        "changes": changes,
        "tried": tried,
        "gradients": gradients,
        "flossing lengths": flossing_lengths,
    },
    "docs/curse_of_memory.md": {
        name: functools.partial(make, CURSE)
        for name, make in {
            "overview": first_lines,
            "figures": figure_list,
            "claims": claims,
            "statements": statement_list,
            "questions": questions,
            "changes": changes,
            "tried": tried,
        }.items()
    }
    | {"targets": targets},
    "docs/gallery.md": {"gallery": gallery, "curse": functools.partial(gallery, CURSE)},
    "docs/speed.md": {"loops": loops, "cells": cells, "large": large_networks, "spectra": spectra},
}
"""The generated parts of each page, by the name in their marks."""


def filled(page: str, text: str) -> str:
    """A page with what stands between each pair of marks made anew."""
    for name, make in PAGES[page].items():
        begin, end = f"<!-- {name}: made by scripts/fill_pages.py -->", f"<!-- end of {name} -->"
        parts = re.findall(f"{re.escape(begin)}.*?{re.escape(end)}", text, re.DOTALL)
        if len(parts) != 1:
            raise SystemExit(f"{page}: must have the marks {begin} and {end} once")
        text = text.replace(parts[0], f"{begin}\n\n{make()}\n{end}")
    return text


if __name__ == "__main__":
    for page in PAGES:
        path = ROOT / page
        path.write_text(filled(page, path.read_text(encoding="utf-8")), encoding="utf-8")
