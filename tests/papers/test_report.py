"""The report: one page that needs nothing else, whatever is there and whatever is missing; and the same as text."""

import base64
import html
import itertools
import math
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from floss.papers.claim import NOT_ENOUGH, NOT_REPRODUCED, REPRODUCED, Claim, Criterion, Result, Sample
from floss.papers.finding import Finding, Findings
from floss.papers.findings import Reproduction
from floss.papers.gradient_flossing import PAPER
from floss.papers.report.embedding import LARGEST_SVG
from floss.papers.report.page import page
from floss.papers.report.provenance import anonymous, dates, lost, machines
from floss.papers.report.ruler import drawn_ruler
from floss.papers.report.tables import WIDTH, claims_markdown, counts, table
from floss.papers.report.typesetting import measured, prose, typeset

experiment, figures = PAPER.experiment, PAPER.figures

CHROMIUM = shutil.which("chromium")
EVIL = "<script>alert(1)</script> & \"both\" 'quotes' | bar"
VOID = {"meta", "img", "path", "rect", "circle", "br"}
ENVIRONMENT = {
    "floss": "0.1.0",
    "commit": "0123456789abcdef0123456789abcdef01234567+",
    "date": "2026-11-21",
    "command": "floss reproduce fig=4 results=/home/somebody/secret/runs",
    "device": "Some & <Processor>",
    "threads": 2,
    "python": "3.11.7",
    "system": "Linux x86_64",
    "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
    "engine": "native",
}
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="720pt" height="216pt"><g id="a"/></svg>\n'


def no_sample(_: Findings) -> Sample:
    raise AssertionError("a report measures nothing")


def claim(name: str = "fig04.one", **different: Any) -> Claim:
    values = {
        "figure": "fig04",
        "place": "Sec. 5, Fig. 4A",
        "sentence": "Networks learn d = 70.",
        "statistic": "median accuracy",
        "criterion": Criterion(above=0.8),
        "sample": no_sample,
    }
    return Claim(name, **{**values, **different})


def result(one: Claim, value: float, low: float, high: float, **different: Any) -> Result:
    return Result(one, value, low, high, **{"networks": 20, "units": 20, "scales": ("paper",), **different})


def finding(figure: str, name: str, scale: str, folder: Path, environment: dict[str, Any] | None = None) -> Finding:
    return Finding(
        name=name,
        scale=scale,
        command=experiment(figure).scales[scale][name].line,
        summary=pd.DataFrame({"seed": range(480)}),
        environments=(ENVIRONMENT if environment is None else environment,),
        folders=(folder / "ensembles" / f"{name}-0123456789",),
    )


class Some(Reproduction):
    """A folder in which a few figures are complete."""

    def findings(self, figure: str) -> Findings | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        at = {"fig02": "smoke", "fig03": "small", "fig04": "paper"}.get(figure)
        if at is None:
            return {} if figure == "fig15" else None
        names = list(experiment(figure).scales[at])
        bare = {} if figure == "fig03" else None
        found = {name: finding(figure, name, at, self.results, bare) for name in names}
        if figure == "fig04":
            other = {**ENVIRONMENT, "device": "Some accelerator", "date": "2027-01-02", "packages": None}
            found[names[-1]] = finding(figure, names[-1], "small", self.results, other)
        return found


RESULTS = [
    Result(claim("fig01.none", figure="fig01", sentence="Nothing is there.")),
    result(claim("fig02.smoke", figure="fig02"), 0.9, 0.85, 0.95, scales=("smoke",)),
    result(claim("fig03.few", figure="fig03"), 0.9, 0.85, 0.95, units=3, networks=480),
    result(claim("fig03.nan", figure="fig03"), 0.9, math.nan, math.nan),
    result(claim("fig04.yes"), 0.98, 0.95, 0.99),
    result(claim("fig04.no", tried="Another <learning> rate."), 0.5, 0.49, 0.51, commands=("floss train d=1 x=<y>",)),
    result(claim("fig04.both", criterion=Criterion(above=0.4, below=0.6)), 0.5, 0.3, 0.7),
    result(claim("fig04.evil", sentence=EVIL, statistic=EVIL, place=EVIL, tried=EVIL), 1e12, 1e11, 1e13),
    result(claim("fig15.maps", figure="fig15"), 0.9, 0.85, 0.95, networks=0, units=100, scales=()),
    result(claim("overlap.tiny", figure="overlap", criterion=Criterion(below=1e-6)), 2e-9, 0.0, math.inf),
]


@pytest.fixture
def pictures(tmp_path) -> Path:
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "fig04.svg").write_bytes(SVG)
    (folder / "fig03.png").write_bytes(png(300, 150))
    (folder / "fig02.svg").write_bytes(b"not a picture")
    return folder


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Reader(HTMLParser):
    """Fails where a tag is not closed, an identifier stands twice or an attribute does; keeps what is to be checked."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []
        identifiers = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        assert len(identifiers) == len(set(identifiers))
        linked = {a["href"][1:] for tag, a in self.tags if tag == "a" and a["href"].startswith("#")}
        assert linked <= set(identifiers)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs))
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def of(self, tag: str) -> Iterator[dict[str, str]]:
        return (attributes for one, attributes in self.tags if one == tag)


def test_the_page_is_whole_and_needs_nothing(tmp_path, pictures):
    text = page(Some(tmp_path), RESULTS, pictures)
    read = Reader(text)
    assert text.startswith("<!DOCTYPE html>")
    assert next(read.of("html"))["lang"] == "en"
    assert {"charset": "utf-8"} in list(read.of("meta"))
    assert any(meta.get("name") == "viewport" for meta in read.of("meta"))
    assert not {tag for tag, _ in read.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert all(image["src"].startswith("data:image/") for image in read.of("img"))
    assert all(image["alt"] and int(image["width"]) and int(image["height"]) for image in read.of("img"))
    assert [a["href"] for a in read.of("a") if not a["href"].startswith("#")] == ["https://arxiv.org/abs/2312.17306"]
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert re.findall(r"url\(|@import|https?:", text) == ["https:"]
    assert [tag for tag, _ in read.tags].count("h1") == [tag for tag, _ in read.tags].count("main") == 1
    assert all(th["scope"] in ("col", "row", "rowgroup") for th in read.of("th"))


def test_the_same_data_give_the_same_bytes(tmp_path, pictures):
    assert page(Some(tmp_path), RESULTS, pictures) == page(Some(tmp_path), RESULTS, pictures)


def test_nothing_of_this_machine_is_told(tmp_path, pictures):
    text = page(Some(tmp_path), RESULTS, pictures)
    assert str(tmp_path) not in text
    assert "somebody" not in text
    assert "secret" not in text
    assert "ensembles/temporal-0123456789" in text
    assert "floss reproduce fig=4 results=.../runs" in text


def test_every_text_is_escaped(tmp_path, pictures):
    text = page(Some(tmp_path), RESULTS, pictures)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;both&quot;" in text
    assert "Another &lt;learning&gt; rate." in text
    assert "Some &amp; &lt;Processor&gt;" in text
    assert "x=&lt;y&gt;" in text
    assert "Another <learning> rate." in Reader(text).text


def test_verdicts_are_words_and_symbols(tmp_path, pictures):
    assert counts(RESULTS) == {REPRODUCED: 3, NOT_REPRODUCED: 1, NOT_ENOUGH: 6}
    text = Reader(page(Some(tmp_path), RESULTS, pictures)).text
    assert "10 claims 3 ✓ reproduced1 ✗ not reproduced6 ○ not yet enough data" in text
    for reason in (
        "✓ reproduced all of the interval meets the criterion",
        "✗ not reproduced none of the interval meets the criterion",
        "○ not yet enough data no data",
        "○ not yet enough data smoke scale only tries the program",
        "○ not yet enough data 3 of the 5 independent samples that a verdict needs",
        "○ not yet enough data the data give no finite interval",
        "○ not yet enough data the interval lies on both sides of the criterion",
    ):
        assert reason in text


def test_every_figure_has_its_section(tmp_path, pictures):
    read = Reader(page(Some(tmp_path), RESULTS, pictures))
    assert [a["id"] for a in read.of("section") if a.get("class") == "figure"] == list(figures())
    assert "To compute it, with the sizes of the paper or with fewer networks: floss reproduce fig=16 scale=paper" in (
        read.text
    )
    assert "floss reproduce fig=overlap scale=small" in read.text
    assert "Data: temporal – paper scale: 480 networks; spatial – small scale: 480 networks." in read.text
    assert "2026-11-21 to 2027-01-02" in read.text
    assert "commit 0123456789 with changes" in read.text
    assert "Some & <Processor>, Some accelerator" in read.text
    assert "Networks480 in 3 independent samples (paper scale)" in read.text
    assert "Samples100 independent samples" in read.text
    assert "No environment is recorded." in read.text
    for line in (experiment("fig04").scales["paper"]["temporal"].line, "floss train d=1 x=<y>"):
        assert line in read.text


@pytest.mark.parametrize(
    ("environments", "said"),
    [
        ([ENVIRONMENT], ""),
        ([ENVIRONMENT, {}], "No environment is recorded for some of them."),
        ([{}], "No environment is recorded."),
        ([], "No environment is recorded."),
    ],
)
def test_an_environment_that_is_lost_is_not_hidden(environments, said):
    assert lost(environments) == said


INSTRUCTIONS = {
    "torch_instructions": "AVX2",
    "native_instructions": "AVX512",
    "compiler": "a <compiler> 1.2",
}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (INSTRUCTIONS, "AVX512 (native engine), AVX2 (torch), built by a <compiler> 1.2"),
        (["torch_instructions"], "AVX2 (torch)"),
        ([], "–"),
    ],
)
def test_the_vector_instructions_are_shown_where_they_are_known(names, said):
    environment = {**ENVIRONMENT, **{name: INSTRUCTIONS[name] for name in names}}
    shown = [dict(machine.facts)["Instructions"] for machine in machines([environment, ENVIRONMENT])]
    assert shown == list(dict.fromkeys([said, "–"]))  # unlike machines stand apart


def test_pictures_are_embedded_and_may_be_missing(tmp_path, pictures):
    read = Reader(page(Some(tmp_path), RESULTS, pictures))
    images = list(read.of("img"))
    kinds = [image["src"].split(";")[0] for image in images]
    assert kinds == ["data:image/png", "data:image/svg+xml"]  # that of Fig. 2 is damaged
    assert base64.b64decode(images[1]["src"].split(",")[1]) == SVG
    assert (images[0]["width"], images[0]["height"]) == ("192", "96")
    assert (images[1]["width"], images[1]["height"]) == ("960", "288")
    assert "floss figures fig=2 draws it from the tables" in read.text
    bare = Reader(page(Some(tmp_path), RESULTS, tmp_path / "nowhere"))
    assert list(bare.of("img")) == []


@pytest.mark.parametrize(("beside", "kind"), [(True, "png"), (False, "svg+xml")])
def test_a_large_svg_gives_way_to_the_png(tmp_path, pictures, beside, kind):
    (pictures / "fig04.svg").write_bytes(SVG + b"<!--" + b" " * LARGEST_SVG + b"-->")
    if beside:
        (pictures / "fig04.png").write_bytes(png(30, 15))
    image = list(Reader(page(Some(tmp_path), [], pictures)).of("img"))[-1]
    assert image["src"].startswith(f"data:image/{kind};")


def test_an_empty_folder_has_a_page(tmp_path):
    read = Reader(page(Reproduction(tmp_path), [], tmp_path))
    assert "0 claims" in read.text
    assert read.text.count("No data yet.") == len(figures())


def test_the_terminal_s_table_is_aligned_and_fits():
    long = result(claim("fig04.a_name_that_is_longer_than_any_column_of_a_terminal_can_be"), 0.9, 0.1, 0.95)
    lines = table([*RESULTS, long], PAPER).splitlines()
    assert max(map(len, lines)) <= WIDTH
    start = lines[0].index("verdict")
    verdicts = [line[start:] for line in lines[1:] if len(line) > start]
    assert verdicts[4] == "✓ reproduced"
    assert len(verdicts) == len(RESULTS) + 1
    assert lines[5].split() == ["Fig.", "4", "yes", "0.980", "[0.950,", "0.990]", ">", "0.8", "20", "✓", "reproduced"]
    name = slice(lines[0].index("claim"), lines[0].index("value"))
    assert "".join(line[name].strip() for line in lines).endswith(long.claim.name.removeprefix("fig04."))
    assert table([], PAPER).split() == [
        "figure",
        "claim",
        "value",
        "[95",
        "%",
        "interval]",
        "criterion",
        "networks",
        "verdict",
    ]


def test_markdown_keeps_its_cells():
    tally, empty, *lines = claims_markdown(RESULTS, PAPER).splitlines()
    numbers = ", ".join(f"{number} {verdict}" for verdict, number in counts(RESULTS).items())
    assert (tally, empty) == (f"**{len(RESULTS)} claims: {numbers}.**", "")
    assert len(lines) == len(RESULTS) + 2
    for line in lines:
        assert len(re.findall(r"(?<!\\)\|", line)) == 7
    assert lines[6] == (
        "| Fig. 4 | Networks learn d = 70. (Sec. 5, Fig. 4A) | median accuracy: 0.980 [0.950, 0.990] | > 0.8 | 20 | "
        "✓ reproduced |"
    )
    assert r"\<script>" in lines[9]


@pytest.mark.parametrize(
    ("numbers", "bounds", "expected"),
    [
        ((0.98345, 0.9612, 0.9951), (0.8, math.inf), "0.983 [0.961, 0.995]"),
        ((1.0, 1.0, 1.0), (0.9, math.inf), "1.00 [1.00, 1.00]"),
        ((1.0, 0.85, 1.0), (0.9, math.inf), "1.00 [0.85, 1.00]"),
        ((0.79, 0.7, 0.7996), (-math.inf, 0.8), "0.7900 [0.7000, 0.7996]"),  # and not 0.80, which is not below 0.8
        ((0.79, 0.7, 0.8 - 1e-12), (-math.inf, 0.8), "0.790 [0.700, 0.800]"),
        ((-1.2e-9, -0.004, 0.003), (-math.inf, 0.5), "0.0000 [-0.0040, 0.0030]"),
        ((1.23e-7, 1.1e-7, 1.4e-7), (-math.inf, 1e-6), "1.2e-7 [1.1e-7, 1.4e-7]"),
        ((2e-6, 1e-7, 0.3), (-math.inf, math.inf), "2e-6 [1e-7, 0.3]"),
        ((3.2e23, 8.1e18, 4.4e26), (1e10, math.inf), "3.2e23 [8.1e18, 4.4e26]"),
        ((123.4, 110.0, 151.0), (0, math.inf), "123 [110, 151]"),
        ((0.0, 0.0, 0.0), (0, math.inf), "0 [0, 0]"),
        ((0.5, math.nan, math.nan), (0, math.inf), "0.500"),
        ((math.nan, math.nan, math.nan), (0, math.inf), "–"),
        ((5.0, 1.0, math.inf), (0, math.inf), "5 [1, inf]"),
    ],
)
def test_numbers_have_the_digits_that_they_need(numbers, bounds, expected):
    one = result(claim(criterion=Criterion(*bounds)), *numbers)
    assert measured(one) == expected


def test_typesetting():
    assert typeset("> 1e-06 and < -2.5e10") == "> 10⁻⁶ and < −2.5 × 10¹⁰"
    assert typeset("5 [-1, inf]") == "5 [−1, ∞]"
    assert prose("targets -1 and 0, epochs 20-80, 95%") == "targets −1 and 0, epochs 20–80, 95\xa0%"
    assert prose("λ_i - target < T_f, Fig. 7A-C") == "λ<sub>i</sub> − target\xa0&lt;\xa0T<sub>f</sub>, Fig.\xa07A–C"
    assert prose("flossing.t_ons, log_every, the paper's") == "flossing.t_ons, log_every, the paper’s"


def test_commands_lose_their_folders():
    assert anonymous("floss train d=70 results=/a/b/runs") == "floss train d=70 results=.../runs"
    assert anonymous("floss spectrum 'checkpoint=[~/x/one.pt,/y z/two.pt]'") == (
        "floss spectrum 'checkpoint=[.../one.pt,.../two.pt]'"
    )
    assert anonymous("floss train ~diagnostics") == "floss train '~diagnostics'"  # no folder
    assert "/a" not in anonymous("floss train x='/a/b")
    assert dates([{"date": "2026-11-21"}, {}, {"date": "2026-11-20"}]) == "2026-11-20 to 2026-11-21"


def test_rulers_stay_within_their_box():
    numbers = [-5.0, -1e-9, 0.0, 1e-9, 0.5, 3.0, 1e12]
    for low, value, high in itertools.combinations_with_replacement(numbers, 3):
        for above, below in ((0.5, math.inf), (-math.inf, 0.5), (0.0, 0.5), (1e-12, math.inf)):
            drawing = drawn_ruler(value, low, high, above, below)
            Reader(drawing)
            places = re.findall(r'(?:M| cx="| x="|H|width=")(-?[\d.]+)', drawing)
            assert len(places) > 6
            assert all(0 <= float(place) <= 320 for place in places)
    assert drawn_ruler(0.5, math.nan, math.nan, 0, 1) == ""


def test_colours_have_enough_contrast():
    """Of every text colour against every ground it stands on: at least 4.5, as WCAG AA asks."""
    style = (resources.files("floss.papers.report") / "report.css").read_text()
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part)) for part in style.split("@media screen", 2)[:2]
    )
    assert set(light) == set(dark)

    def luminance(colour: str) -> float:
        shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for colours in (light, dark):
        pairs = [
            (text, ground) for text in ("ink", "soft", "link", "yes", "no", "open") for ground in ("paper", "card")
        ]
        pairs += [
            ("yes", "yes-back"),
            ("no", "no-back"),
            ("open", "open-back"),
            ("ink", "open-back"),
            ("ink", "yes-back"),
        ]
        for text, ground in pairs:
            a, b = sorted((luminance(colours[text]), luminance(colours[ground])))
            assert (b + 0.05) / (a + 0.05) >= 4.5, (text, ground)


def chromium(folder: Path, *arguments: str) -> str:
    """What a browser of its own, without a screen or a network, prints."""
    assert CHROMIUM is not None
    quiet = ["background-networking", "component-update", "sync", "gpu", "quic", "extensions", "dev-shm-usage"]
    words = ["--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    words += [f"--user-data-dir={folder / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND", *arguments]
    done = subprocess.run([CHROMIUM, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_all_of_it(tmp_path, pictures, width):
    """In a frame: a browser's own window is no narrower than 500 pixels."""
    content = page(Some(tmp_path), RESULTS, pictures)
    script = """
addEventListener("load", () => {
  const inside = document.querySelector("iframe").contentDocument, root = inside.documentElement;
  const images = [...inside.images], wide = [];
  for (const one of inside.querySelectorAll("body *"))
    if (one.getBoundingClientRect().right > WIDTH + 0.5 && !one.closest(".card") && !one.closest("thead"))
      wide.push(one.tagName + "." + one.className);
  document.body.dataset.measured = [root.scrollWidth, images.length,
    images.filter(image => !image.complete || !image.naturalWidth).length, wide.join(" ") || "none"].join(";");
});""".replace("WIDTH", str(width))
    frame = f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{html.escape(content)}"></iframe>'
    (tmp_path / "frame.html").write_text(f"<!DOCTYPE html><meta charset=utf-8><script>{script}</script>{frame}")
    shown = chromium(tmp_path, "--virtual-time-budget=5000", "--dump-dom", (tmp_path / "frame.html").as_uri())
    found = re.search(r'data-measured="(\d+);(\d+);(\d+);([^"]*)"', shown)
    assert found is not None
    assert int(found[1]) <= width
    assert (found[2], found[3], found[4]) == ("2", "0", "none")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_it_prints(tmp_path, pictures):
    (tmp_path / "page.html").write_text(page(Some(tmp_path), RESULTS, pictures))
    chromium(tmp_path, f"--print-to-pdf={tmp_path / 'page.pdf'}", (tmp_path / "page.html").as_uri())
    content = (tmp_path / "page.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) > 3
