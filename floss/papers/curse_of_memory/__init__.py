"""Zucchet & Orvieto 2024, figure by figure: each file draws its figure and holds the paper's claims with it."""

from markupsafe import Markup

from floss.papers.curse_of_memory.disc_jobs import DISC, SIMULATED
from floss.papers.curse_of_memory.flossed_jobs import FLOSSED
from floss.papers.curse_of_memory.gated_flossing_jobs import GATED_FLOSSING
from floss.papers.curse_of_memory.gates_jobs import GATED
from floss.papers.curse_of_memory.hessian_jobs import OPTIMA, OPTIMUM, RING
from floss.papers.curse_of_memory.jacobian_jobs import JACOBIANS
from floss.papers.curse_of_memory.learning_jobs import LEARNING
from floss.papers.curse_of_memory.neuron_jobs import LANDSCAPES, MOMENTS, PARAMETRISED
from floss.papers.curse_of_memory.on_embeddings import OWN_EMBEDDINGS
from floss.papers.curse_of_memory.rates_jobs import RATES
from floss.papers.curse_of_memory.stack_jobs import STACK
from floss.papers.curse_of_memory.surrogate_jobs import SURROGATE
from floss.papers.kinds import KINDS
from floss.papers.paper import Paper

PAPER = Paper(
    name="curse_of_memory",
    package=__name__,
    experiments="floss.conf.experiment.curse_of_memory",
    title="The curse of memory, reproduced",
    citation=(
        "Nicolas Zucchet and Antonio Orvieto, “Recurrent neural networks: vanishing and exploding gradients are not the"
        " end of the story”, NeurIPS 2024"
    ),
    address="https://arxiv.org/abs/2405.21064",
    identifier="arXiv 2405.21064",
    lead=Markup(
        "A recurrent network applies the same update at every step. The longer it remembers, the more a small change of"
        " its recurrent parameters moves its state: the sensitivity grows as a power of its memory, although no"
        " gradient vanishes or explodes. Element-wise recurrence, normalised inputs and a finer parametrisation near"
        " |<i>λ</i>| = 1 tame it. This page takes what the paper says of it, figure by figure, and sets beside each"
        " statement what <code>floss</code> computes."
    ),
    scales=(
        "Closed forms have finer grids at paper scale, random draws more of them; trained networks are fewer at small"
        " scale, and trained for 3000 epochs instead of 10 000; smoke scale only tries the program, and gives no"
        " verdict."
    ),
    kinds=(
        *(*KINDS, MOMENTS, LANDSCAPES, PARAMETRISED, LEARNING, DISC, SIMULATED, OPTIMUM, OPTIMA, RING, SURROGATE),
        *(RATES, FLOSSED, STACK, JACOBIANS, GATED, GATED_FLOSSING),
    ),
    own_data=OWN_EMBEDDINGS,
)
