"""A claim's value and interval beside the values that meet its criterion, as a drawing."""

import numpy as np
from markupsafe import Markup

from floss.papers.report.templates import TEMPLATES
from floss.papers.report.typesetting import typeset

_WIDTH = 320
"""Of the drawing, in its own units."""


def drawn_ruler(value: float, low: float, high: float, above: float, below: float, *, example: bool = False) -> Markup:
    """SVG without identifiers, logarithmic where the numbers are far apart; nothing where there is no interval.

    Args:
        value: what was measured.
        low: end of the interval.
        high: its other end.
        above: bound above which the criterion is met; -inf for none.
        below: bound below which it is met; inf for none.
        example: the drawing that explains the others.
    """
    if not np.isfinite([value, low, high]).all():
        return Markup("")
    bounds = [bound for bound in (above, below) if np.isfinite(bound)]
    shown = [value, low, high, *bounds]
    logarithmic = min(shown) > 0 and max(shown) > 1000 * min(shown)
    scale = np.log10 if logarithmic else np.asarray
    ends = [float(scale(min(shown))), float(scale(max(shown)))]
    margin = 0.18 * (ends[1] - ends[0]) or max(abs(ends[0]), 1.0)
    left, right = ends[0] - margin, ends[1] + margin

    def x(number: float) -> float:
        if np.isinf(number):
            return 0.0 if number < 0 else float(_WIDTH)
        return round(_WIDTH * (float(scale(number)) - left) / (right - left), 1)

    start, end = x(above), x(below)
    marks = [
        {"x": f"{x(bound):g}", "text_x": f"{min(max(x(bound), 16), _WIDTH - 16):g}", "text": typeset(f"{bound:g}")}
        for bound in bounds
    ]
    places = {"start": start, "width": round(end - start, 1), "low": x(low), "high": x(high), "value": x(value)}
    texts = {name: f"{place:g}" for name, place in places.items()}
    template = TEMPLATES.get_template("ruler.svg.j2")
    return Markup(template.render(marks=marks, logarithmic=logarithmic, example=example, **texts))
