"""floss.plot: pictures of tensors and arrays, in a figure of the user's."""

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from problems import DOUBLE, gaussian

import floss


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn(axes: Any) -> dict[str, np.ndarray]:
    """The lines that a legend names, by their names."""
    handles, labels = axes.get_legend_handles_labels()
    return {label: np.asarray(line.get_ydata()) for label, line in zip(labels, handles, strict=True)}


def test_a_spectrum():
    lam = torch.tensor([0.1, -0.2, -torch.inf], requires_grad=True)
    axes: Any = floss.plot.spectrum(lam, width=3.3, label="before")
    same = floss.plot.spectrum([[0.0, -0.1, -0.3], [0.2, -0.3, -0.3], [0.1, 0.5, -9.0]], axes=axes, label="after")
    assert same is axes
    courses = drawn(axes)
    np.testing.assert_allclose(courses["before"], [0.1, -0.2, np.nan], rtol=1e-6)
    np.testing.assert_allclose(courses["after"], [0.1, -0.1, -0.3])
    assert axes.get_figure().get_figwidth() == 3.3
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["before", "after"]
    one, other = axes.get_lines()[1], axes.get_lines()[-1]
    assert one.get_color() != other.get_color()
    assert one.get_linestyle() != other.get_linestyle()  # and never by colour alone
    assert "nats per step" in axes.get_ylabel()


def test_a_spectrum_with_errors():
    axes: Any = floss.plot.spectrum(np.array([0.1, -0.2]), np.array([0.01, np.nan]))
    bars = axes.containers[0].lines[2][0].get_segments()
    assert np.ptp(bars[0][:, 1]) == pytest.approx(0.02)
    assert np.ptp(bars[1][:, 1]) == 0.0


def test_a_history_an_episode_and_a_diagnosis():
    W = 0.9 * gaussian(1, 6, 6) / 6**0.5

    def step(h):
        return torch.tanh(h @ W.mT)

    history = floss.lyapunov_history(step, gaussian(2, 3, 6), steps=20, k=2)
    courses = drawn(floss.plot.convergence(history, show=(2,), label="tanh"))
    np.testing.assert_allclose(courses["tanh, i = 2"], history.convergence[:, 0, 1])

    torch.manual_seed(0)
    rnn = torch.nn.RNN(2, 6, dtype=DOUBLE)
    episode = floss.Flosser(rnn, 3, epochs=4, inputs=lambda: gaussian(3, 20, 2)).episode()
    courses = drawn(floss.plot.flossing(episode))
    np.testing.assert_allclose(courses["i = 3"], episode.exponents[:, 2])

    axes = floss.plot.gradients([1.0, 0.1, 0.0], label="RNN")
    np.testing.assert_allclose(drawn(axes)["RNN"], [1.0, 0.1, np.nan])
    assert axes.get_yscale() == "log"


WRONG = {
    "text": (lambda: floss.plot.spectrum("abc"), r"lam must be numbers, got str"),
    "a number": (lambda: floss.plot.spectrum(0.1), r"lam \[\] must have 1 axes"),
    "errors": (lambda: floss.plot.spectrum([0.1, 0.2], [0.1]), r"error \[1\] must be \[2\]"),
    "norms": (lambda: floss.plot.gradients([[0.1]]), r"norms \[1, 1\] must be \[T \+ 1\]"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_picture_is_said_in_one_line(what):
    call, message = WRONG[what]
    with pytest.raises(ValueError, match=r"^floss\.plot\.\w+: " + message):
        call()
    assert not plt.get_fignums()


def test_exponents_that_a_history_does_not_have():
    history = floss.lyapunov_history(lambda h: 0.5 * h, torch.ones(2, dtype=DOUBLE), steps=12, k=1)
    with pytest.raises(ValueError, match=r"show=\(2,\) must be from 1 to the 1 exponents"):
        floss.plot.convergence(history, show=(2,))


def test_the_users_settings_are_used_and_kept():
    with plt.rc_context({"figure.figsize": (7.0, 2.0)}):
        before = dict(mpl.rcParams)
        figure: Any = floss.plot.spectrum([0.1, 0.0]).get_figure()
        assert figure.get_figwidth() == 7.0
        assert dict(mpl.rcParams) == before
