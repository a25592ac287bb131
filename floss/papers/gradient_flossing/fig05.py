"""Fig. 5: how many exponents must be flossed, before and during training ("during"), for how long a delay.

The paper claims: the harder the task, the more exponents must be flossed.
"""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from floss.figures.panels import sweep_panel
from floss.figures.schedules import in_words
from floss.figures.style import house_style
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.plane import claims


def draw(findings: Findings) -> Figure:
    """Final accuracy against the delay for each k (A), and against k for each delay (B): mean, quartiles, dots."""
    summary = findings["during"].summary
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 4.2), sharey=True)
        sweep_panel(left, summary, "d", f"A  {in_words('during')}")
        sweep_panel(right, summary, "k", "B  the same networks, against k")
        right.set_ylabel("")
        return figure


# --- claims ---

CLAIMS = claims("fig05", "during", "Sec. 7.1, Fig. 5", "flossing during training")
