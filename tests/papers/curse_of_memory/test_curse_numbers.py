"""Every number of the second paper's claims beside a twin in plain Python, from the text of the committed CSV files.

Formulas are recomputed from their definitions with cmath, not read from the tables, where that is possible.
"""

import cmath
import itertools
import math
from collections.abc import Callable
from statistics import fmean as mean
from statistics import median

import pytest
from papers.curse_of_memory import lens_twins, student_twins
from papers.curse_of_memory.committed import CLAIMS, behind
from papers.curse_of_memory.network_twins import TWINS
from papers.curse_of_memory.plain_rows import Row, read, second_moment, select

TEACHERS = (0.36, 0.68, 0.84, 0.92, 0.96, 0.98, 0.99)


# --- formulas from their definitions: sums over lags of the impulse response ---


def log_slope(rho: float, order: int, scale: Callable[[float], float] = lambda _: 1.0) -> float:
    low, high = (second_moment(lam, rho, order) * scale(lam) for lam in (0.999, 0.9999))
    return math.log10(high / low)


def loss(lam: complex, teacher: complex) -> float:
    own = [1 / (1 - abs(z) ** 2) for z in (lam, teacher)]
    return 0.5 * sum(own) - (1 / (1 - lam * teacher.conjugate())).real


def twin_fig01() -> dict[str, float]:
    values = {(0, 1): 2.5e11, (1, 1): 1e16, (1, 0): 1e8}
    slopes = [abs(log_slope(0, 1) - 3), abs(log_slope(0.9, 1) - 3), abs(log_slope(1, 1) - 4)]
    logs = [math.log(second_moment(1 - 10.0**-nines, 0, 1)) for nines in (1, 2, 3, 4)]

    def half(teacher: float) -> float:
        low, high, far = 0.0, math.pi, loss(-teacher, teacher)
        while high - low > 1e-12:
            middle = (low + high) / 2
            low, high = (middle, high) if loss(cmath.rect(teacher, middle), teacher) < far / 2 else (low, middle)
        return low

    sharp = {teacher: (1 + teacher**2) / (1 - teacher**2) ** 3 for teacher in TEACHERS}
    return {
        "values": max(abs(second_moment(0.9999, rho, order) / v - 1) for (rho, order), v in values.items()),
        "powers": max(slopes),
        "exponential": (logs[3] - logs[2]) / 9000 / ((logs[1] - logs[0]) / 90),
        "basin": max(abs(half(t) / (2 * (1 - t)) - 1) for t in TEACHERS[3:]),
        "far_loss": abs(loss(-0.99, 0.99) / loss(-0.36, 0.36) / (49.7 / 0.26) - 1),
        "sharp": abs(sharp[0.99] / sharp[0.36] / 1.5e5 - 1),
    }


def twin_fig02() -> dict[str, float]:
    lam = 0.9999
    gamma2, slope2 = 1 - lam**2, (lam * math.log(lam)) ** 2
    limits = {rho: (1 + rho) / (1 - rho) for rho in (0, 0.9, 0.99, 0.999)}
    return {
        "state_limits": max(abs(gamma2 * second_moment(lam, rho, 0) / limit - 1) for rho, limit in limits.items()),
        "state_constant_input": abs(log_slope(1, 0, lambda z: 1 - z**2) - 1),
        "sensitivity_limits": max(
            abs(gamma2 * slope2 * second_moment(lam, rho, 1) / (limit / 2) - 1) for rho, limit in limits.items()
        ),
        "sensitivity_constant_input": abs(gamma2 * slope2 * second_moment(lam, 1, 1) / 2e4 - 1),
    }


def by_student(figure: str, column: str) -> dict[str, list[float]]:
    rows = sorted(read(figure, "optima", "draws"), key=lambda r: r["seed"])
    return {s: [r[column] for r in own] for s, own in itertools.groupby(sorted(rows, key=name_of), key=name_of)}


def name_of(row: Row) -> str:
    return row["student"]


def trace_share(figure: str, student: str, group: str) -> float:
    return median(r["share"] for r in select(read(figure, "optima", "shares"), student=student, group=group))


def twin_fig04() -> dict[str, float]:
    rank, top, spread = (by_student("fig04", column) for column in ("rank", "largest", "participation"))
    pairs = list(zip(spread["dense"], spread["diagonal"], strict=True))
    tops = zip(top["dense"], top["diagonal"], strict=True)
    return {
        "dense_explodes": median(map(math.log10, top["dense"])),
        "diagonal_explodes": median(map(math.log10, top["diagonal"])),
        "similar_spectra": median(abs(math.log10(a / b)) for a, b in tops),
        "few_directions": mean(a == b == 9 for a, b in zip(rank["dense"], rank["diagonal"], strict=True)),
        "aligned": mean(a > b for a, b in pairs),
        "aligned_by": median(a - b for a, b in pairs),
        "recurrent_dense": trace_share("fig04", "dense", "A"),
        "recurrent_diagonal": trace_share("fig04", "diagonal", "λ"),
        **student_twins.twin_rates_fig04(),
    }


def twin_fig06() -> dict[str, float]:
    optimum = read("fig06", "parametrised", "optimum")
    own = {n: {r["teacher"]: r for r in select(optimum, parametrisation=n)} for n in ("polar", "exp", "optimal")}
    polar = [
        (row["curvature_nu"] * (1 - t * t) ** 2, row["curvature_theta"] * (1 - t * t) ** 2 / (t * t * (1 + t * t)))
        for t, row in own["polar"].items()
    ]
    grown = {n: rows[0.99]["curvature_theta"] / rows[0.36]["curvature_theta"] for n, rows in own.items()}
    curves = select(read("fig06", "parametrised", "curves"), parametrisation="optimal", variable="nu")
    centre = {t: row["w_nu"] for t, row in own["optimal"].items()}
    return {
        "polar": max(abs(value - 1) for pair in polar for value in pair),
        "exp_tames_magnitude": max(row["curvature_nu"] for row in own["exp"].values()),
        "exp_leaves_angle": grown["exp"] / grown["polar"],
        "optimal": max(abs(r[c] - 1) for r in own["optimal"].values() for c in ("curvature_nu", "curvature_theta")),
        "same_shape": max(abs(r["loss"] - 1 + 1 / math.cosh(r["w"] - centre[r["teacher"]])) for r in curves),
    }


def twin_fig07() -> dict[str, float]:
    ends = {(r["rule"], r["parametrisation"]): r for r in read("fig07", "learning", "ends")}

    def decrease(rule: str) -> float:
        return min(1 - ends[rule, name]["turn_w_nu"] / math.atanh(0.99) for name in ("polar", "exp"))

    return {
        "magnitude_first": decrease("sign"),
        "magnitude_first_adam": decrease("adam"),
        "polar_oscillates": ends["sign", "polar"]["most"],
        "exp_closer": ends["sign", "exp"]["most"],
        "optimal_sticks": ends["sign", "optimal"]["least"],
        "optimal_sticks_adam": ends["adam", "optimal"]["least"],
        "adam_is_hard": max(ends["adam", name]["below_1e-6"] for name in ("polar", "exp")),
    }


def twin_fig08() -> dict[str, float]:
    rows = read("fig08", "disc", "disc")
    conjugate = cmath.rect(0.99, -math.pi / 4)

    def place(row: Row) -> complex:
        return cmath.rect(row["radius"], math.radians(row["degrees"]))

    def peak(rho: float, at: complex) -> float:
        return abs(place(max(select(rows, rho=rho), key=lambda r: r["corrected"])) - at)

    at = {r["rho"]: r for r in rows if abs(place(r) - conjugate) < 1e-9}
    values = [at[rho]["corrected"] for rho in sorted(at)]
    batches = read("fig08", "simulated", "batches")
    return {
        "conjugates": peak(0, conjugate),
        "shrinks": max(b / a for a, b in itertools.pairwise(values)),
        "towards_one": peak(1, 0.99),
        "printed": max(abs(at[rho]["printed"] / at[rho]["corrected"] - 1) for rho in (0.9, 0.99, 0.999)),
        "corrected_simulated": mean(r["sensitivity"] / second_moment(0.9, 0.5, 1) - 1 for r in batches),
    }


def twin_fig09() -> dict[str, float]:
    rank, spread = (by_student("fig09", column) for column in ("rank", "participation"))
    return {
        "lru_angle": trace_share("fig09", "lru", "θ"),
        "lru_magnitude": trace_share("fig09", "lru", "ν"),
        "s4_step": trace_share("fig09", "s4", "Δ"),
        "few_directions": mean(a == b == 9 for a, b in zip(rank["lru"], rank["s4"], strict=True)),
        "aligned": mean(a > b for a, b in zip(spread["dense"], spread["lru"], strict=True)),
        **student_twins.twin_rates_fig09(),
    }


def twin_fig10() -> dict[str, float]:
    rows = read("fig10", "ring", "draws")
    words = {"most": "π/100", "some": "π/10", "none": "π"}

    def of(word: str, column: str, rho: float = 0.99) -> list[float]:
        return [r[column] for r in select(rows, rho=rho, theta0=words[word])]

    return {
        **{word: median(of(word, "off_diagonal")) for word in words},
        **{f"largest_{word}": median(map(math.log10, of(word, "largest"))) for word in words},
        "white_input": median(map(math.log10, of("most", "largest", 0.0))),
        **student_twins.twin_losses_fig10(),
    }


def twin_fig12() -> dict[str, float]:
    rows = select(read("fig12", "surrogate", "autocorrelation"), surrogate="independent")
    lags = sorted({r["lag"] for r in rows})
    off = []
    for lag in lags:
        law = 0.0430564 * 0.9970053**lag + (0.332 if lag == 0 else 0)
        off.append(abs(mean(r["value"] for r in select(rows, lag=lag)) - law) / 0.0430564)
    return {
        "surrogate": max(off),
        "variance": median(r["value"] / 0.376 - 1 for r in select(rows, lag=0)),
    }


@pytest.mark.parametrize("figure", sorted({claim.figure for claim in CLAIMS.values()}))
def test_committed_numbers_equal_those_of_plain_python(figure):
    twins = (TWINS.get(figure) or {**vars(student_twins), **vars(lens_twins), **globals()}[f"twin_{figure}"])()
    samples = {name.partition(".")[2]: c.sample(behind(name)) for name, c in CLAIMS.items() if c.figure == figure}
    values = {name: float(sample.statistic(sample.rows)) for name, sample in samples.items()}
    # CSV files have nine digits.
    assert values == pytest.approx(twins, rel=1e-4, abs=2e-8)
