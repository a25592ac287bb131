"""What a measurement means, in words: what is wrong, what helps, and when flossing will not."""

import math
from collections.abc import Iterator

import torch
from torch import nn

from floss.training.user_network.measurement import Measurement

_SURE = 2.0
"""Standard errors."""
_DECADE = math.log(10.0)
_DIGITS = {torch.float32: 7.0, torch.float64: 15.0}
"""Decades that the numbers of a dtype resolve."""
_MANY = 0.3
"""Share of units that is too large."""
_DEAD = 0.05
_SHORT = 20


def lines_of(m: Measurement) -> Iterator[str]:
    """What was measured, one line for each."""
    first, error, T = float(m.exponents[0]), float(m.standard_error[0]), m.length
    way = "grows" if first > 0 else "shrinks"
    if first == -math.inf:
        yield "λ_1 = -∞: the next state does not depend on the state; there is no memory"
    else:
        sure = "" if math.isnan(error) else f" ± {error:.2g}"
        what = f"a small difference {way} e-fold in {_steps(horizon(m))}, and the sequence has {T}"
        yield f"λ_1 = {first:.3g}{sure} nats per step, λ_{len(m.exponents)} = {float(m.exponents[-1]):.3g}: {what}"
    kappa = "∞ (singular)" if math.isinf(m.log10_condition) else f"10^{m.log10_condition:.3g}"
    yield f"condition number of the Jacobian of {T} steps on {len(m.exponents)} directions: κ₂ = {kappa}"
    yield f"gradient norm against lag: {', '.join(f'{_power(float(m.gradient_norms[t]))} after {t}' for t in _lags(T))}"
    yield from _unit_lines(m)


def advice_of(m: Measurement, module: nn.Module | None, dtype: torch.dtype) -> Iterator[str]:
    """What is wrong and what helps, one line for each; never none."""
    first, error, T = float(m.exponents[0]), float(m.standard_error[0].nan_to_num(0.0)), m.length
    gated = isinstance(module, nn.LSTM | nn.LSTMCell | nn.GRU | nn.GRUCell)
    decades = first * T / _DECADE
    saturated = m.units.saturated is not None and m.units.saturated > _MANY
    if first > _SURE * error and decades > 1.0:
        yield (
            f"chaotic: small differences, and gradients, grow by {_power(10.0 ** min(decades, 300.0))} over the "
            "sequence. Flossing with target 0 brings the first exponents down; until then clip gradients, or lower the "
            "gain of the recurrent weights"
        )
    elif first < -_SURE * error and decades < -1.0:
        yield from _forgets(m, module, saturated)
    else:
        yield "the slowest direction lasts as long as the sequence: for the length of its memory flossing is not needed"
    if saturated and not (gated and decades < -1.0):
        kind = "gates" if gated else "units"
        yield (
            f"{m.units.saturated:.0%} of the {kind} are saturated: their slopes are near zero, and so is the gradient "
            "of the exponents there. Flossing alone will not free them; scale weights or inputs down first"
        )
    if m.units.dead > _DEAD:
        yield (
            f"{m.units.dead:.0%} of the state never changes: such directions have exponents of -∞, which no gradient "
            "moves. Flossing will not revive them; start from other biases or smaller weights, or use a leaky unit"
        )
    yield from _lost_directions(m, _DIGITS[dtype])
    if T < _SHORT or not m.settled:
        yield "the sequences are too short for settled exponents: read them as growth over these steps alone"


def _forgets(m: Measurement, module: nn.Module | None, saturated: bool) -> Iterator[str]:
    T = m.length
    steps = _steps(horizon(m)) if m.exponents[0] > -math.inf else "one step"
    yield (
        f"forgets: the slowest direction lasts {steps} of {T}, so that gradients over the sequence shrink by "
        f"{_power(math.exp(max(float(m.exponents[0]) * T, -690.0)))}"
    )
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        yield (
            "set the forget bias to 2 and floss, both: an LSTM that is flossed from other biases gets there by "
            "saturating its gates"
        )
        if saturated:
            yield (
                f"{m.units.saturated:.0%} of its gates are saturated already: flossing will not help from here; start "
                "from the forget bias"
            )
    elif isinstance(module, nn.GRU | nn.GRUCell):
        yield "raise the bias of the update gate z, and floss the first exponents towards 0 (floss.Flosser)"
    else:
        yield (
            "floss the first exponents towards 0 (floss.Flosser) before training and early in it, along runs that are "
            "as long as what must be remembered"
        )


def _lost_directions(m: Measurement, digits: float) -> Iterator[str]:
    k = len(m.exponents)
    if m.log10_condition <= digits or k < 2:
        return
    spread = (m.exponents[0] - m.exponents) * m.length / _DECADE
    kept = int((spread < digits).sum())
    if kept < k:
        yield (
            f"of {k} directions {kept} are within the {digits:.0f} digits of the numbers after {m.length} steps: the "
            "gradient has no more than those. Floss more exponents, k up to what the task must keep"
        )


def _unit_lines(m: Measurement) -> Iterator[str]:
    units = m.units
    words = [f"{_share(units.dead)} of the state never changes" if units.dead else "all of the state changes"]
    if units.gates:
        for name, (closed, opened) in units.gates.items():
            words += [f"{_share(closed)} of the {name} gates closed"] if closed else []
            words += [f"{_share(opened)} of the {name} gates open"] if opened else []
        words += [] if units.saturated else ["no gate is saturated"]
    elif units.saturated is not None:
        words.append(f"{_share(units.saturated)} of the units are saturated")
    yield f"units: {', '.join(words)}"


def _share(share: float) -> str:
    return "none" if share == 0.0 else f"{share:.0%}" if share >= 0.01 else "below 1%"


def horizon(m: Measurement) -> float:
    """1/|λ_1| in steps."""
    first = abs(float(m.exponents[0]))
    return math.inf if first == 0.0 else 1.0 / first


def _lags(T: int) -> list[int]:
    return sorted({1, *(round(T ** (i / 3)) for i in (1, 2, 3))})


def _steps(steps: float) -> str:
    return f"{steps:.0f} steps" if steps >= 10 else f"{steps:.2g} steps"


def _power(value: float) -> str:
    """A factor, short."""
    return "0" if value == 0.0 else f"{value:.2g}" if 1e-3 <= value <= 1e4 else f"10^{math.log10(value):.0f}"
