"""The second paper's figures on word embeddings of the user's own, in the place of the surrogate of the paper's.

Figs 5, 13, 14 and 15 take their inputs from them, Fig. 12 has their autocorrelation and the law that is fitted to it,
and the theory of Fig. 15 is that of this law. Sizes follow the data: all features, and no more tokens and sequences
than there are.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from floss.papers.claim import Claim, Criterion
from floss.papers.curse_of_memory.own_embeddings import read_embeddings
from floss.papers.experiments import Experiment
from floss.papers.kind import Run
from floss.papers.own_data import OwnData
from floss.papers.paper import Paper
from floss.papers.statement import Statement

_ON = {
    "fig05": (
        "Signals in deep recurrent stacks at initialisation",
        "Size of activity and gradients of deep stacks of four blocks at initialisation, against the memory of their"
        " cells; next-token prediction",
    ),
    "fig12": (
        "Autocorrelation",
        "Autocorrelation of parts of the sequences, and the law fitted to all of them",
    ),
    "fig13": (
        "Gradients of deep recurrent stacks, layer by layer",
        "Gradients of the stacks of Fig. 5, layer by layer; and of stacks of 1 to 8 blocks, t = 10",
    ),
    "fig14": (
        "Gated networks at initialisation",
        "Entries of ∂h_Δ/∂h_0 of a GRU at 20 lags, and of ∂c_Δ/∂c_0 of an LSTM; networks at initialisation",
    ),
    "fig15": (
        "States and sensitivities of gated neurons",
        "Squares of states and of their derivatives by biases, beside the theory of constant gates and of the law that"
        " is fitted to the embeddings; simplified GRU and LSTM, without tanh and output gates",
    ),
}
"""Title and caption of every figure that takes embeddings."""
TOKENS_OF_CLAIMS = 512
"""Length of the paper's sequences, of which its claims are: shorter data leave them without an answer."""
_ELSEWHERE: dict[str, tuple[str, Criterion] | None] = {
    "fig05.crnn_grows": (
        "Without normalised inputs activity grows with memory, by more than a decade in a cRNN's block 4.",
        Criterion(above=1),
    ),
    "fig05.crnn_explodes": (
        "In the cRNN gradients of the eigenvalues explode, by more than two decades.",
        Criterion(above=2),
    ),
    "fig05.norm_tames": ("With layer norms they grow by less than four decades.", Criterion(below=4)),
    "fig05.norm_values": None,
    "fig13.lru_values": None,
    "fig13.crnn_values": None,
    "fig14.off_diagonal": (
        "With gates that depend on input and state entries off the diagonal stay small.",
        Criterion(below=0.1),
    ),
    "fig14.breaks": (
        "With large recurrent weights, σ_h = 3, this breaks: entries off the diagonal are large.",
        Criterion(above=0.1),
    ),
}
"""Claims on numbers that were measured on the paper's embeddings: what is asked of others instead; None where nothing
is left."""
_ENOUGH = 128
"""Sequences of which no two networks of a figure need the same: eight batches of 16."""
_SURROGATE = re.compile(r"surrogate embeddings(, (independent|shared))?")


@dataclass(frozen=True, eq=False, kw_only=True)
class OnEmbeddings(Paper):
    """The paper with those figures alone that take embeddings, on the user's."""

    @property
    def record(self) -> Mapping[str, Any]:
        """What is known of the embeddings."""
        assert self.data is not None
        return self.data

    @property
    def words(self) -> str:
        """What the input is, in words."""
        return f"embeddings of one's own, {self.record['file']} ({self.record['name']})"

    @functools.cache  # noqa: B019  # a paper lives as long as the process
    def figures(self) -> tuple[str, ...]:
        return tuple(_ON)

    @functools.cache  # noqa: B019
    def experiment(self, figure: str) -> Experiment:
        found, (title, caption) = super().experiment(figure), _ON[figure]
        scales: dict[str, dict[str, Run]] = {scale: {} for scale in found.scales}
        for name in next(iter(found.scales.values())):
            run_of: dict[tuple[str, ...], Run] = {}
            for scale, runs in found.scales.items():
                # Surrogates with a common slow part stand for what real embeddings have in common by themselves.
                run = runs.get(name.removesuffix("_shared"), runs[name])
                own = dataclasses.replace(
                    run, name=name, scale=scale, overrides=self._overrides(run), data=self.record["file"]
                )
                scales[scale][name] = run_of.setdefault(own.overrides, own)
        return dataclasses.replace(
            found, title=f"{title}, on {self.words}", caption=f"{caption}. Input: {self.words}.", scales=scales
        )

    def _overrides(self, run: Run) -> tuple[str, ...]:
        """The keys of a run, of the data instead of the surrogate, and of sizes that the data have."""
        sequences, tokens, features = self.record["shape"]
        if run.kind.command == "surrogate":  # which measures all of them
            sizes = {"seeds": 1, "sequences": sequences, "steps": tokens, "features": features}
            return (*(f"{name}={size}" for name, size in sizes.items()), f"data={self.record['name']}")
        keys = dict(override.split("=", 1) for override in run.overrides)
        keys |= {"features": str(features), "steps": str(min(int(keys["steps"]), tokens)), "surrogate": "null"}
        if "sequences" in keys:
            keys["sequences"] = str(min(int(keys["sequences"]), sequences))
        return (*(f"{name}={value}" for name, value in keys.items()), f"data={self.record['name']}")

    def claims(self) -> list[Claim]:
        """Those on networks; none where sequences are shorter than the paper's, nor on numbers of the paper's data."""
        if self.record["shape"][1] < TOKENS_OF_CLAIMS:
            return []
        claims = [claim for claim in super().claims() if _SURROGATE.search(claim.statistic)]
        asked = [(claim, _ELSEWHERE.get(claim.name, (claim.sentence, claim.criterion))) for claim in claims]
        return [self._own_claim(claim, *words) for claim, words in asked if words is not None]

    def _own_claim(self, claim: Claim, sentence: str, criterion: Criterion) -> Claim:
        """What was tried, changed and known before is of the surrogate."""
        own = f"embeddings of one's own ({self.record['name']})"
        changed = {"sentence": sentence, "criterion": criterion, "statistic": _SURROGATE.sub(own, claim.statistic)}
        return dataclasses.replace(claim, **changed, tried="", changed="", after_data="")

    @functools.cache  # noqa: B019
    def statements(self) -> tuple[Statement, ...]:
        """None: the list of all that the paper says is of the paper's own data."""
        return ()


def on_embeddings(paper: Paper, record: Mapping[str, Any]) -> Paper:
    """The paper on the embeddings of a record, with a folder of results of its own."""
    fields = {field.name: getattr(paper, field.name) for field in dataclasses.fields(paper)}
    changed = {
        "data": dict(record),
        "title": f"{paper.title}, on embeddings of one's own",
        "results": f"{paper.results_folder}-{record['name'].removeprefix('embeddings-')}",
        "lead": _lead(record),
    }
    return OnEmbeddings(**{**fields, **changed})


def _lead(record: Mapping[str, Any]) -> str:
    """What the page is of, and what it can say of the claims."""
    sequences, tokens, features = record["shape"]
    text = (
        f"Input of all networks and figures of this page: embeddings of one's own, {record['file']} ({record['name']}),"
        f" {sequences} × {tokens} × {features} sequences, tokens and features."
    )
    if tokens < TOKENS_OF_CLAIMS:
        return f"{text} No claim is judged: the paper's are of sequences of {TOKENS_OF_CLAIMS} tokens."
    text += (
        " Claims are what the paper says of its own data, asked of these. Left out are those on numbers that were"
        " measured on the paper's data; where a criterion was a range about such a number, it is a bound here."
    )
    if sequences < _ENOUGH:
        text += (
            f" With fewer than {_ENOUGH} sequences networks share some: intervals are over networks, and say less of"
            " how much depends on the sequences."
        )
    return text


OWN_EMBEDDINGS = OwnData(tuple(_ON), lambda file: read_embeddings(file).record, on_embeddings)
"""How the figures on embeddings take the user's."""
