"""Claims of the second paper: each has the verdict that it has, and the other one on data that say the other thing."""

# The annotations of pandas leave scalars, columns and arrays apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false

from dataclasses import replace

import numpy as np
import pytest
from papers.curse_of_memory.committed import CLAIMS, behind, changed

from floss.papers import intervals
from floss.papers.claim import NOT_ENOUGH, NOT_REPRODUCED, REPRODUCED
from floss.papers.curse_of_memory import PAPER
from floss.papers.curse_of_memory.stack_rows import AUTHORS
from floss.papers.judge import judge

FAILS = {
    "fig01.exponential",
    "fig04.dense_momentum",
    "fig04.dense_rates_fall",
    "fig04.diagonal_explodes",
    "fig04.similar_spectra",
    "fig07.adam_is_hard",
    "fig08.printed",
    "fig09.s4_rates",
    "fig09.s4_rates_of_the_text",
    "fig10.white_input",
    "m2.diagonal_diverges",
    "m2.diagonal_too_short",
    "m3.off_the_diagonal",
    *("fig13.lru_values", "fig13.exponential", "fig14.same_shape", "fig14.lstm_same_shape", "fig15.lstm_theory"),
    *("m4.effective_rate_falls", "m4.wider_window", "m5.lstm_bounded", "m5.lstm_within"),
}
OPEN = {
    "fig03.diagonal_is_near",
    "fig03.the_rest_is_small",
    "fig03.whatever_the_teacher",
    "fig04.rates_apart",
    "fig11.the_jump",
    "fig10.largest_none",
    "fig10.largest_some",
    "fig10.gap_widens",
    "fig10.lru_gains",
    "m1.blocks_out_of_reach",
    "m2.lru_tolerates",
    "m2.lru_too_long",
    "m3.gain_of_dense",
    "m3.gain_shrinks",
    "m3.no_gain_of_blocks",
    *("m4.sensitivity_rises", "m4.curvature_rises", "m4.memory_stays_enough", "m4.target_below_zero_as_good"),
    *("fig05.lru_magnitude", "fig05.norm_tames", "fig13.no_trend", "fig13.crnn_values"),
    *("fig14.lstm_off_diagonal", "fig15.lstm_dependent"),
}


def scaled(column: str, factor: float, **only):
    """Rows with some values have a column multiplied."""

    def change(table):
        rows = np.logical_and.reduce([table[c] == v for c, v in only.items()] or [np.full(len(table), True)])
        table[column] = table[column].astype(float).where(~rows, table[column] * factor)
        return table

    return change


def put(column: str, value, **only):
    """Rows with some values have another value in a column."""

    def change(table):
        rows = np.logical_and.reduce([table[c] == v for c, v in only.items()] or [np.full(len(table), True)])
        table[column] = table[column].where(~rows, value)
        return table

    return change


def losses(factor: float, **only):
    """Final losses of some networks multiplied."""
    return scaled("final_loss", factor, **only)


def target(value: float) -> dict:
    return {"flossing.target": value}


def steep_in_target(table):
    """Squared gradients that grow as the inverse fourth power of the target."""
    table["mean_square"] = (table["target"].abs() + 1e-9) ** -4.0
    return table


def sides(factor: float):
    """Losses of networks that were flossed to other targets than the memory of their teacher are multiplied."""

    def change(table):
        own = np.isclose(table["flossing.target"], np.log(table["task.nu"]), atol=1e-5)
        table["final_loss"] = table["final_loss"].where(own, table["final_loss"] * factor)
        return table

    return change


def ordered(column: str, *, rising: bool) -> list:
    """Losses that fall with the number of blocks, and a measure of the Hessian that falls or rises with it."""
    heads = (1, 8, 32)

    def blocks(table):
        table["final_loss"] = 1.0 / table["arch.heads"]
        return table

    values = [1.0 / h if rising else h for h in heads]
    changes = [(f"heads_{h}", "networks", put(column, value)) for h, value in zip(heads, values, strict=True)]
    return [*(("none", "summary", blocks), ("flossed", "summary", blocks)), *changes]


def exponential(table):
    """A sensitivity that doubles every hundred steps of memory."""
    table["sensitivity"] = 2.0 ** (10.0 ** table["nines"] / 100)
    return table


def swapped(table):
    """The dense student's numbers are those of the complex diagonal one, and the other way round."""
    table["student"] = table["student"].replace({"dense": "diagonal", "diagonal": "dense", "lru": "dense2"})
    table["student"] = table["student"].replace({"dense2": "lru"})
    return table


def far(table):
    """The largest value is elsewhere."""
    table.loc[0, ["corrected"]] = 1e9
    return table


def flipped(table):
    """The peak at the conjugate grows with ρ."""
    table["corrected"] = table["corrected"] * 10.0 ** (20 * table["rho"])
    return table


def even(table):
    """Every group has the same share."""
    table["share"] = 0.25
    return table


def alike(table):
    """The largest eigenvalue is the same for both."""
    table["largest"] = 10.0**6.5
    return table


def same_spread(table):
    table["participation"] = 3.0
    return table


def noisy(table):
    table["loss"] = table["loss"] + 0.1
    return table


def steep(column: str, decades: float, **only):
    """Rows with some values have a column that grows by so many decades from t = 1 to 100."""

    def change(table):
        rows = np.logical_and.reduce([table[c] == v for c, v in only.items()] or [np.full(len(table), True)])
        factor = table["t"].astype(float) ** (decades / 2)
        table[column] = table[column].astype(float).where(~rows, table[column] * factor)
        return table

    return change


def by_layer(table):
    """Gradients grow a hundredfold with every layer."""
    table["mean_square"] = table["mean_square"] * 100.0 ** table["layer"]
    return table


def by_depth(factor: float):
    """Gradients grow by a factor with every block of a stack."""

    def change(table):
        table["mean_square"] = 1e-6 * factor ** table["layers"].astype(float)
        return table

    return change


def like_the_authors(table):
    """Gradients of an LRU are in the range of the authors' layers, at both ends."""
    for (cell, group), ranges in AUTHORS.items():
        for t, (low, high) in zip((1.0, 100.0), ranges, strict=True):
            rows = (cell == "lru") & (table["group"] == group) & (table["t"] == t)
            table["mean_square"] = table["mean_square"].where(~rows, (low * high) ** 0.5)
    return table


def settled(table):
    """Neurons with a long memory are as sensitive as after many more steps."""
    table["sensitivity"] = table["sensitivity"] * (1 + 0.6 * table["T"] / 256)
    return table


def larger_with_time(table):
    """States and derivatives of neurons that remember longer are larger."""
    for column in ("state", "sensitivity"):
        table[column] = table[column] * table["T"].astype(float) ** 2
    return table


def flossed(factor: float):
    """Sensitivities after flossing are those before, times a factor."""

    def change(table):
        after = table["target"].astype(str) != "none"
        table["sensitivity"] = np.where(after, factor, 1.0)
        return table

    return change


CHANGES = {
    "fig01.values": ("moments", "moments", scaled("sensitivity", 2.0)),
    "fig01.powers": ("moments", "moments", exponential),
    "fig01.exponential": ("moments", "moments", exponential),
    "fig01.basin": ("landscapes", "optimum", scaled("half_width", 2.0)),
    "fig01.far_loss": ("landscapes", "optimum", put("loss_at_pi", 1.0)),
    "fig01.sharp": ("landscapes", "optimum", put("curvature_nu", 1.0)),
    "fig02.state_limits": ("moments", "moments", scaled("state", 2.0)),
    "fig02.state_constant_input": ("moments", "moments", put("state", 1.0)),
    "fig02.sensitivity_limits": ("moments", "moments", scaled("sensitivity", 2.0)),
    "fig02.sensitivity_constant_input": ("moments", "moments", scaled("sensitivity", 2.0)),
    "fig04.dense_explodes": ("optima", "draws", put("largest", 10.0)),
    "fig04.diagonal_explodes": ("optima", "draws", alike),
    "fig04.similar_spectra": ("optima", "draws", alike),
    "fig04.few_directions": ("optima", "draws", put("rank", 17)),
    "fig04.aligned": ("optima", "draws", swapped),
    "fig04.aligned_by": ("optima", "draws", same_spread),
    "fig04.recurrent_dense": ("optima", "shares", even),
    "fig04.recurrent_diagonal": ("optima", "shares", even),
    "fig04.dense_rates_fall": ("rates", "groups", put("median", -6.7, student="dense", group="A")),
    "fig04.dense_momentum": ("rates", "groups", put("negative", 1843, student="dense", group="A")),
    "fig04.diagonal_rates_stay": ("rates", "groups", put("median", -5.0)),
    "fig04.rates_apart": ("rates", "groups", put("median", -3.0)),
    "fig03.dense_suffices_for_short_memories": ("dense", "summary", losses(1e6)),
    "fig03.lru_wins_from_084_on": ("dense", "summary", losses(1e-6)),
    "fig03.lru_wins_by_far": ("dense", "summary", losses(1e-6)),
    "fig03.whatever_the_teacher": ("seeded_dense", "summary", losses(1e-6)),
    "fig03.blocks_close_the_gap": ("dense", "summary", losses(1e-6)),
    "fig03.the_rest_is_small": ("blocks", "summary", losses(1e3)),
    "fig03.diagonal_is_near": ("parts", "summary", losses(1e3)),
    "fig06.polar": ("parametrised", "optimum", scaled("curvature_nu", 1.1)),
    "fig06.exp_tames_magnitude": ("parametrised", "optimum", scaled("curvature_nu", 1.1)),
    "fig06.exp_leaves_angle": ("parametrised", "optimum", put("curvature_theta", 1.0, parametrisation="exp")),
    "fig06.optimal": ("parametrised", "optimum", scaled("curvature_theta", 1.1)),
    "fig06.same_shape": ("parametrised", "curves", noisy),
    "fig07.magnitude_first": ("learning", "ends", put("turn_w_nu", 2.6)),
    "fig07.magnitude_first_adam": ("learning", "ends", put("turn_w_nu", 2.6)),
    "fig07.polar_oscillates": ("learning", "ends", put("most", 1e-9)),
    "fig07.exp_closer": ("learning", "ends", put("most", 1.0)),
    "fig07.optimal_sticks": ("learning", "ends", put("least", 1.0)),
    "fig07.optimal_sticks_adam": ("learning", "ends", put("least", 1.0)),
    "fig07.adam_is_hard": ("learning", "ends", put("below_1e-6", np.nan)),
    "fig08.conjugates": ("disc", "disc", far),
    "fig08.shrinks": ("disc", "disc", flipped),
    "fig08.towards_one": ("disc", "disc", scaled("corrected", 1e9, degrees=90.0)),
    "fig08.printed": ("disc", "disc", lambda table: table.assign(printed=table["corrected"])),
    "fig08.corrected_simulated": ("simulated", "batches", scaled("corrected", 1.5)),
    "fig09.lru_angle": ("optima", "shares", even),
    "fig09.lru_magnitude": ("optima", "shares", even),
    "fig09.s4_step": ("optima", "shares", even),
    "fig09.few_directions": ("optima", "draws", put("rank", 17)),
    "fig09.aligned": ("optima", "draws", same_spread),
    "fig09.lru_angle_rates": ("rates", "groups", put("median", -3.0)),
    "fig09.lru_rest": ("rates", "groups", put("median", -5.0)),
    "fig09.s4_rates": ("rates", "groups", put("median", -5.0, student="s4_code", group="Δ")),
    "fig09.s4_rates_of_the_text": ("rates", "groups", put("median", -5.0, student="s4", group="Δ")),
    "fig10.most": ("ring", "draws", put("off_diagonal", 0.01)),
    "fig10.some": ("ring", "draws", put("off_diagonal", 0.5)),
    "fig10.none": ("ring", "draws", put("off_diagonal", 0.5)),
    "fig10.largest_most": ("ring", "draws", scaled("largest", 0.1)),
    "fig10.largest_some": ("ring", "draws", scaled("largest", 0.1)),
    "fig10.largest_none": ("ring", "draws", scaled("largest", 0.1)),
    "fig10.white_input": ("ring", "draws", scaled("largest", 80.0)),
    "fig10.lru_gains": ("diagonal", "summary", losses(1e-6)),
    "fig10.gap_widens": ("diagonal", "summary", losses(1e-3, **{"task.theta": 0.0314})),
    "fig10.dense_is_far_worse": ("dense", "summary", losses(1e-6)),
    "fig11.the_jump": ("heads", "summary", losses(1e-6, **{"arch.heads": 8})),
    "fig11.rates_rise": ("heads", "metrics", put("effective_rate_recurrent", 1e-3)),
    "fig12.surrogate": ("surrogate", "autocorrelation", put("value", 0.0)),
    "fig12.variance": ("surrogate", "autocorrelation", put("value", 0.0)),
    "m1.intermediate_helps": ("none", "summary", losses(1e-6)),
    "m1.valley": ("pre", "summary", losses(1e-6, **target(0.0))),
    "m1.fewer_rates": ("pre", "summary", put("final_loss", 1e-3)),
    "m1.fails_alone": ("pre", "summary", put("final_loss", 1e-3)),
    "m1.blocks_out_of_reach": ("none", "summary", losses(1e-8)),
    "m1.sharper": ("flossed", "networks", put("largest", 1.0)),
    "m2.lru_too_short": ("lru", "summary", sides(1e-6)),
    "m2.lru_too_long": ("lru", "summary", sides(1e-6)),
    "m2.diagonal_too_short": ("diagonal", "summary", sides(1e6)),
    "m2.diagonal_too_long": ("diagonal", "summary", sides(1e-6)),
    "m2.angle_gradient": ("flossed_lru", "gradients", put("mean_square", 1.0)),
    "m2.magnitude_gradient": ("flossed_lru", "gradients", steep_in_target),
    "m2.lru_tolerates": ("lru", "summary", losses(1e6, **target(0.0))),
    "m2.diagonal_crosses": ("flossed_diagonal", "networks", put("largest_growth", -1.0)),
    "m2.diagonal_diverges": ("diagonal", "summary", put("final_loss", 1e4)),
    "m3.gain_of_dense": ("none", "summary", losses(1e-6)),
    "m3.no_gain_of_blocks": ("none", "summary", losses(1e6)),
    "m3.gain_shrinks": ("none", "summary", losses(1e-6, **{"arch.heads": 1})),
    "m3.off_the_diagonal": ordered("off_diagonal", rising=True),
    "m3.not_the_sharpness": ordered("off_diagonal", rising=False),
    # --- Figs 5 and 13 to 15, M5 ---
    "fig05.crnn_grows": ("crnn", "activity", put("mean_square", 1.0)),
    "fig05.activity_flat": ("lru", "activity", steep("mean_square", 3)),
    "fig05.lru_angle": ("lru", "gradients", put("mean_square", 1.0)),
    "fig05.lru_magnitude": ("lru", "gradients", steep("mean_square", 6)),
    "fig05.lru_rest": ("lru", "gradients", steep("mean_square", 6)),
    "fig05.crnn_explodes": ("crnn", "gradients", put("mean_square", 1.0)),
    "fig05.norm_tames": ("crnn_norm_shared", "gradients", put("mean_square", 1.0)),
    "fig05.norm_values": ("crnn_norm_shared", "gradients", scaled("mean_square", 1e3)),
    "fig05.norm_rest": ("crnn_norm_shared", "gradients", steep("mean_square", 6)),
    "fig05.gru_flat": ("gru_shared", "gradients", steep("mean_square", 6)),
    "fig05.gru_cell": ("gru", "gradients", scaled("mean_square", 1e6, group="cell")),
    "fig13.no_trend": ("lru", "gradients", by_layer),
    "fig13.lru_values": ("lru", "gradients", like_the_authors),
    "fig13.crnn_values": ("crnn", "gradients", scaled("mean_square", 1e3)),
    "fig13.exponential": (("depth_lru", "depth_gru", "depth_crnn_norm"), "gradients", by_depth(3.0)),
    "fig13.exponential_crnn": ("depth_crnn", "gradients", by_depth(1.0)),
    "fig14.constant_gates": ("gru", "networks", put("nonzero", 3)),
    "fig14.off_diagonal": ("gru", "networks", put("others_largest", 0.5)),
    "fig14.same_shape": ("gru", "networks", put("correlation", 0.95)),
    "fig14.input_gates": ("gru", "networks", put("nonzero", 3)),
    "fig14.breaks": ("gru", "networks", put("others_largest", 0.01)),
    "fig14.lecun": ("lecun", "networks", put("others_largest", 0.5)),
    "fig14.lstm_constant_gates": ("lstm", "networks", put("off_law", 1e-3)),
    "fig14.lstm_off_diagonal": ("lstm", "networks", put("others_largest", 0.5)),
    "fig14.lstm_same_shape": ("lstm", "networks", put("correlation", 0.95)),
    "fig15.theory": ("gates", "means", scaled("state", 2.0)),
    "fig15.dependent": ("gates", "means", scaled("sensitivity", 9.0)),
    "fig15.bounded": ("gates", "means", larger_with_time),
    "fig15.lstm_theory": ("gates", "means", settled),
    "fig15.lstm_dependent": ("gates", "means", scaled("state", 9.0)),
    "fig15.lstm_bounded": ("gates", "means", larger_with_time),
    "m4.sensitivity_rises": ("course", "metrics", scaled("sensitivity", 1e-6, flossing="pre")),
    "m4.curvature_rises": ("course", "metrics", scaled("sharpness", 1e-6, flossing="pre")),
    "m4.signal_beats_curvature": ("course", "metrics", scaled("grad_norm_h0", 1e-9, flossing="pre")),
    "m4.memory_stays_enough": ("course", "metrics", scaled("sensitivity", 1e6, flossing="pre", epoch=0)),
    "m4.effective_rate_falls": ("course", "metrics", scaled("effective_rate_recurrent", 0.1, flossing="early")),
    "m4.target_below_zero_as_good": ("rates", "summary", put("final_accuracy", 0.5, **target(-0.025))),
    "m4.wider_window": ("rates", "summary", put("final_accuracy", 0.99, **target(-0.025))),
    **{
        f"m5.{run}_{word}": (run, "networks", flossed(1.0 if run == "lstm" else factor))
        for run in ("gru", "gru_dependent", "lstm", "lstm_tied")
        for word, factor in (("bounded", 9.0), ("within", 0.1))
    },
    "m5.tanh_grows": ("tanh", "networks", flossed(1.0)),
}


@pytest.fixture
def quick(monkeypatch):
    """Few bootstrap replicates."""
    monkeypatch.setattr(intervals, "REPLICATES", 100)


def test_every_claim_is_tried_both_ways():
    assert CHANGES.keys() == CLAIMS.keys()


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_has_the_other_verdict_on_data_that_say_the_other_thing(name, quick):
    own = behind(name)
    other, changes = own, CHANGES[name]
    for run, table, change in changes if isinstance(changes, list) else [changes]:
        other = changed(other, run, table, change)
    before, after = (judge(CLAIMS[name], data) for data in (own, other))
    expected = NOT_REPRODUCED if name in FAILS else REPRODUCED
    assert before.verdict == expected or name in OPEN, (before.value, before.low, before.high)
    assert after.verdict == (REPRODUCED if name in FAILS else NOT_REPRODUCED), (after.value, after.low, after.high)


@pytest.mark.parametrize("name", CLAIMS)
def test_smoke_data_has_no_verdict(name, quick):
    smoke = {run: replace(finding, scale="smoke") for run, finding in behind(name).items()}
    assert judge(CLAIMS[name], smoke).verdict == NOT_ENOUGH
    assert judge(CLAIMS[name], {}).verdict == NOT_ENOUGH


def test_words_are_whole_and_names_are_those_of_figures():
    assert len(CLAIMS) == len(PAPER.claims())
    assert {claim.figure for claim in CLAIMS.values()} == set(PAPER.figures())
    for claim in CLAIMS.values():
        assert claim.name.startswith(f"{claim.figure}.")
        texts = (claim.sentence, claim.statistic, claim.place)
        assert all(texts)
        for words in (*texts, claim.tried, claim.control_says, claim.changed, claim.after_data):
            assert words == " ".join(words.split())


def test_every_claim_belongs_to_a_statement():
    statements, claims = PAPER.statements(), PAPER.claims()
    measured = {claim.name for statement in statements for claim in statement.measured_by(claims)}
    assert measured == {claim.name for claim in claims if not claim.ours}
    for statement in statements:
        for name in statement.claims:
            assert any(np.isin([name.removesuffix("*")], [c.name[: len(name.removesuffix("*"))] for c in claims])), name
        assert all(panel.split()[0] in PAPER.figures() for panel in statement.panels)
    assert len({(s.place, s.sentence) for s in statements}) == len(statements)
