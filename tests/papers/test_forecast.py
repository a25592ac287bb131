"""How long an analysis takes is a part of it times as many parts, however few steps it has."""

import pytest
from command import analysis

from floss.papers import forecast


@pytest.mark.parametrize(("steps", "parts"), [(30, 30), (50, 50), (100, 50), (120, 40)])
def test_a_part_is_as_many_steps_as_it_says(monkeypatch, tmp_path, steps, parts):
    """120 steps are 40 parts of three."""
    monkeypatch.setattr(forecast, "_timed", lambda _: 1.0)
    keys = (f"results={tmp_path}", f"steps={steps}", "arch.n=4", "flossing.epochs=0", "transient=0")
    spectrum = analysis("spectrum", *keys)
    assert forecast.spectra_seconds(spectrum) == pytest.approx(parts)
    condition = analysis("condition", *keys, "at=8", "horizons=3", "seeds=2")
    assert forecast.conditions_seconds(condition) == pytest.approx(parts)
