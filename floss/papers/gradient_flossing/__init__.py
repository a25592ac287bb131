"""Engelken 2023, figure by figure: each file draws its figure and holds the claims that the paper makes with it."""

from markupsafe import Markup

from floss.papers.gradient_flossing.one_step import ONE_STEP
from floss.papers.gradient_flossing.qr_jobs import QR_COST, QR_INTERVAL
from floss.papers.kinds import KINDS
from floss.papers.paper import Paper

PAPER = Paper(
    name="gradient_flossing",
    package=__name__,
    experiments="floss.conf.experiment.gradient_flossing",
    title="Gradient flossing, reproduced",
    citation=(
        "Rainer Engelken, “Gradient Flossing: Improving Gradient Descent through Dynamic Control of Jacobians”, NeurIPS"
        " 2023"
    ),
    address="https://arxiv.org/abs/2312.17306",
    identifier="arXiv 2312.17306",
    lead=Markup(
        "The gradient of a recurrent network over many steps is a product of one-step Jacobians, and the Lyapunov"
        " exponents of the network say whether that product vanishes, explodes or becomes ill-conditioned. <em>Gradient"
        " flossing</em> moves the first <i>k</i> of these exponents towards zero, in short episodes before and during"
        " training, so that plain recurrent networks learn longer delays. This page takes what the paper says of it,"
        " figure by figure, and sets beside each statement what networks trained with <code>floss</code> do."
    ),
    scales=(
        "Paper scale has the sizes, delays and networks of the paper; small scale has fewer delays and networks; smoke"
        " scale only tries the program, and gives no verdict."
    ),
    results="results/paper",
    report="results",
    kinds=(*KINDS, ONE_STEP, QR_COST, QR_INTERVAL),
)
