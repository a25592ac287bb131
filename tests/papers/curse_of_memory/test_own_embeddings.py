"""`data=`: the figures on embeddings of the user's own, from reading the file to drawing, and what is no such file."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from command import inside
from safetensors.torch import save_file

from floss.errors import ConfigError
from floss.jobs.hashing import hashed_values
from floss.memory import Autocorrelation, surrogate_embeddings
from floss.papers.curse_of_memory import PAPER
from floss.papers.curse_of_memory.embeddings_jobs import input_sequences
from floss.papers.curse_of_memory.on_embeddings import TOKENS_OF_CLAIMS, on_embeddings
from floss.papers.curse_of_memory.own_embeddings import read_embeddings
from floss.papers.findings import Reproduction, paper_in, record_request

X = surrogate_embeddings(torch.tensor([3]), 5, 40, 6, law=Autocorrelation(0.3, 0.1, 0.9))[0].float()
ON_EMBEDDINGS = ("fig05", "fig12", "fig13", "fig14", "fig15")


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "own.npy"
    np.save(path, X.numpy())
    return path


def test_the_name_follows_from_the_numbers_alone(file, tmp_path):
    name = read_embeddings(str(file)).name
    np.save(tmp_path / "other.npy", X.numpy().astype(">f8"))
    save_file({"x": X}, tmp_path / "other.safetensors")
    torch.save(X, tmp_path / "other.pt")
    for kind in ("npy", "safetensors", "pt"):
        assert read_embeddings(str(tmp_path / f"other.{kind}")).name == name
    np.save(file, X.numpy() * 2)
    assert read_embeddings(str(file)).name != name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_small_floats_are_read(dtype, tmp_path):
    save_file({"x": X.to(dtype)}, tmp_path / "own.safetensors")
    read = read_embeddings(str(tmp_path / "own.safetensors")).x
    assert torch.equal(read, X.to(dtype).float())


def test_batches_are_the_sequences_in_order(file):
    found = read_embeddings(str(file))
    (job,) = on_embeddings(PAPER, found.record).experiment("fig05").scales["smoke"]["crnn"].jobs(
        "", data_file=str(file)
    )  # fmt: skip
    assert (job.sequences, job.steps, job.features, job.surrogate) == (2, 16, 6, None)
    batches = input_sequences(job, torch.tensor([0, 2]), 2)
    assert torch.equal(batches, X[[[0, 1], [4, 0]], :16].double())
    np.save(file, X.numpy() + 1)
    with pytest.raises(ConfigError, match="must not be changed meanwhile"):
        input_sequences(job, torch.tensor([0]), 2)


def test_jobs_of_the_surrogate_keep_their_hashes():
    """Whatever they were before there were these keys."""
    for figure in ON_EMBEDDINGS:
        for run in PAPER.experiment(figure).scales["paper"].values():
            (job,) = run.jobs("results")
            assert not {"data", "data_file"} & hashed_values(job).keys()


def test_claims_are_about_the_user_s_data(file):
    record = {**read_embeddings(str(file)).record, "shape": [16, TOKENS_OF_CLAIMS, 6]}
    claims = on_embeddings(PAPER, record).claims()
    assert {claim.figure for claim in claims} == {"fig05", "fig13", "fig14", "fig15"}
    for claim in claims:
        said = (claim.sentence, claim.statistic, claim.tried, claim.changed, claim.after_data, claim.control_says)
        assert record["name"] in claim.statistic
        assert not any(word in " ".join(said) for word in ("surrogate", "authors", "10⁻⁶", "10⁻⁷", "10⁵", "10¹⁰"))
        assert np.inf in (-claim.criterion.above, claim.criterion.below)  # no range about a number of the paper's
    assert not on_embeddings(PAPER, {**record, "shape": [16, 100, 6]}).claims()


@pytest.mark.parametrize(
    ("shape", "judged", "shared"),
    [([5, 40, 6], False, False), ([16, 512, 6], True, True), ([128, 512, 6], True, False)],
)
def test_the_page_says_what_it_judges(shape, judged, shared):
    lead = str(on_embeddings(PAPER, {"name": "embeddings-0", "file": "own.npy", "shape": shape}).lead)
    assert f"own.npy (embeddings-0), {shape[0]} × {shape[1]} × 6 sequences, tokens and features" in lead
    assert ("No claim is judged" in lead, "Left out are those on numbers" in lead) == (not judged, judged)
    assert ("networks share some" in lead) == shared


def test_fig_12_is_computed_drawn_found_again_and_reported(file, tmp_path):
    asked = ("reproduce", "paper=curse_of_memory", "fig=12", "scale=smoke", "data=own.npy")
    done = inside(tmp_path, *asked)
    assert (done.returncode, done.stderr) == (0, "")
    (root,) = (tmp_path / "results").iterdir()
    assert re.fullmatch(r"curse_of_memory-[0-9a-f]{10}", root.name)
    assert json.loads((root / "reproduction.json").read_text())["data"]["shape"] == [5, 40, 6]
    (folder,) = (root / "analyses").iterdir()
    texts = [path.read_text() for path in folder.glob("*.csv")]
    assert all(text.startswith("data,") and "surrogate" not in text for text in texts)
    with (folder / "fits.csv").open() as table:
        (fit,) = csv.DictReader(table)
    assert abs(float(fit["white"]) - 0.3) < 4 * float(fit["white_error"])
    assert "Embeddings of one's own" in (root / "figures/fig12.svg").read_text().replace("&#x27;", "'")
    file.rename(tmp_path / "moved here.npy")  # the numbers are the same
    again = inside(tmp_path, *asked[:-1], "data=moved here.npy")
    assert (again.stderr, "nothing to compute" in again.stdout) == ("", True)
    record = json.loads((root / "reproduction.json").read_text())
    assert record["data"]["file"] == "moved here.npy"
    nowhere = inside(tmp_path, "report", "paper=curse_of_memory")
    assert nowhere.stderr.endswith(f"; of paper=curse_of_memory there is {root.relative_to(tmp_path)}\n")
    assert Reproduction(root).findings("fig12") is not None
    assert inside(tmp_path, "figures", "paper=curse_of_memory", "fig=[1,12]").returncode == 0
    said = inside(tmp_path, "report", "paper=curse_of_memory", f"results={root}")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("no claim is judged on these data\n")
    assert "data=moved here.npy" in (root / "report.html").read_text()
    refused = inside(tmp_path, "reproduce", "paper=curse_of_memory", "fig=12", f"results={root}")
    assert (refused.returncode, "holds the figures of data=moved here.npy" in refused.stderr) == (2, True)


def test_a_damaged_record_of_the_data_is_said_and_mended(file, tmp_path):
    record = dict(read_embeddings(str(file)).record)
    paper = on_embeddings(PAPER, record)
    record_request(tmp_path, paper, ["fig12"], "smoke")
    whole = (tmp_path / "reproduction.json").read_text()
    for shape in (None, [1, 2], "5"):
        damaged = json.loads(whole)
        damaged["data"]["shape"] = shape
        (tmp_path / "reproduction.json").write_text(json.dumps(damaged))
        with pytest.raises(ConfigError, match=r"the record of data=own\.npy is damaged"):
            paper_in(tmp_path)
        record_request(tmp_path, paper, ["fig12"], "smoke")
        assert (tmp_path / "reproduction.json").read_text() == whole


def test_networks_take_the_data(file, tmp_path):
    done = inside(tmp_path, "reproduce", "paper=curse_of_memory", "fig=[14,15]", "scale=smoke", "data=own.npy")
    assert (done.returncode, done.stderr) == (0, "")
    name = read_embeddings(str(file)).name
    (means,) = (tmp_path / "results").rglob("means.csv")
    assert means.read_text().splitlines()[1].startswith(f"{name},gru,constant,")
    assert {path.name for path in (tmp_path / "results").rglob("*.png")} == {"fig14.png", "fig15.png"}
    tables = list((tmp_path / "results").rglob("*.csv"))
    assert tables
    assert all(table.read_text().startswith("data,") for table in tables)


HOLE, FLAT = X.numpy().copy(), X.numpy().copy()
HOLE[1, 2, 3] = np.nan
FLAT[:, :, 1] = 0.25


@pytest.mark.parametrize(
    ("array", "line"),
    [
        (X[0].numpy(), "must have the axes [sequence, token, feature], got the shape [40, 6]"),
        (HOLE, "must have finite numbers, got nan in sequence 1, token 2, feature 3"),
        (X[:, :19].numpy(), "must have sequences of at least 20 tokens, got 19"),
        (FLAT, "must have features that vary, got 0.25 everywhere in feature 1"),
        (np.ones((2, 30, 3), dtype=np.int64), "must have floating-point numbers, got int64"),
        (X.numpy() * 1e-8, "must have a root mean square from 1e-06 to 1e+06, got 6.58e-09"),
        (X.double().numpy() * 1e200, "must have a root mean square from 1e-06 to 1e+06, got inf"),
        (np.array([None]), "cannot be read as .npy: Object arrays cannot be loaded when allow_pickle=False"),
        (np.array(["a"]), "cannot be read as .npy: "),
    ],
)
def test_what_are_no_embeddings(array, line, tmp_path):
    np.save(tmp_path / "own.npy", array)
    answered(tmp_path, f"data=own.npy: {line}", "paper=curse_of_memory", "fig=12", "data=own.npy")
    (tmp_path / "own.npy").unlink()
    assert not list(tmp_path.iterdir())


def test_where_no_embeddings_are_taken(file, tmp_path):
    answered(
        tmp_path, "data=none.npy: must be a file that can be read: No such", "paper=curse_of_memory", "data=none.npy"
    )
    answered(tmp_path, "data=own.npy: must be null with paper=gradient_flossing", "fig=4", "data=own.npy")
    for name in ("1", "m5"):  # before the file is read, which is not there
        line = f"fig={name}: takes no data of one's own; with data= must be all, 5, 12, 13, 14, 15, or a list"
        answered(tmp_path, line, f"fig=[12,{name}]", "paper=curse_of_memory", "data=none.npy")
    file.rename(tmp_path / "own.csv")
    answered(tmp_path, "data=own.csv: must be a file .npy, .safetensors, .pt", "paper=curse_of_memory", "data=own.csv")
    torch.save({"a": X, "b": X}, tmp_path / "two.pt")
    torch.save(X.to_sparse(), tmp_path / "sparse.pt")
    torch.save(X.to("meta"), tmp_path / "meta.pt")
    for name, line in {"two": "one tensor", "sparse": "a dense tensor", "meta": "a dense tensor"}.items():
        line = f"data={name}.pt: cannot be read as .pt: must hold {line}"
        answered(tmp_path, line, "paper=curse_of_memory", f"data={name}.pt")
    assert not (tmp_path / "results").exists()


def answered(folder: Path, line: str, *arguments: str) -> None:
    done = inside(folder, "reproduce", "scale=smoke", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
