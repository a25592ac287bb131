"""What the paper says of what its figures show, with the claims or panels that measure it.

Of the figures that are here; in the order of the paper. Definitions and derivations are not statements.
"""

from floss.papers.statement import Statement

STATEMENTS = (
    # --- Sec. 3.1, Fig. 1 ---
    Statement(
        "abstract, Sec. 3.1, Fig. 1A",
        "As the memory of a network grows, changes of its parameters change its output more and more, although its"
        " dynamics stays stable.",
        ("fig01.values", "fig01.powers"),
    ),
    Statement(
        "Sec. 3.1, Fig. 1A",
        "The sensitivity grows as a power of 1 / (1 - |λ|), three for uncorrelated and four for constant input.",
        ("fig01.powers",),
    ),
    Statement(
        "Sec. 3.1, Fig. 1A",
        "The more correlated the input is, the larger is the sensitivity.",
        panels=("fig01 A",),
    ),
    Statement(
        "a summary of the paper",
        "The difficulty of learning grows exponentially with the memory length.",
        ("fig01.exponential",),
    ),
    Statement(
        "Sec. 3.2, Fig. 1B",
        "The loss around the teacher's eigenvalue becomes sharp as it approaches 1.",
        ("fig01.sharp",),
    ),
    Statement(
        "Sec. 3.2, Fig. 1C",
        "In the angle the basin becomes a narrow hole in a high plateau.",
        ("fig01.basin", "fig01.far_loss"),
    ),
    # --- Sec. 3.3, Fig. 2 ---
    Statement(
        "Sec. 3.3, Fig. 2A",
        "Multiplying inputs by γ keeps the hidden state at a constant size for uncorrelated input.",
        ("fig02.state_limits",),
    ),
    Statement(
        "Sec. 3.3, Fig. 2A",
        "For a constant input it does not, but slows its growth.",
        ("fig02.state_constant_input",),
    ),
    Statement(
        "Sec. 3.3, Fig. 2B",
        "An exponential parametrisation besides keeps the sensitivity bounded.",
        ("fig02.sensitivity_limits",),
    ),
    Statement(
        "Sec. 3.3, Fig. 2B",
        "Of a constant input the sensitivity still grows.",
        ("fig02.sensitivity_constant_input",),
    ),
    # --- Sec. 4.1, Fig. 3 ---
    Statement(
        "Sec. 4.1, Fig. 3A",
        "Dense linear networks and LRUs learn alike while the teacher's memory is short.",
        ("fig03.dense_suffices_for_short_memories",),
    ),
    Statement(
        "Sec. 4.1, Fig. 3A",
        "As the memory becomes longer LRUs are better, in the end by orders of magnitude.",
        ("fig03.lru_wins_from_084_on", "fig03.lru_wins_by_far"),
    ),
    Statement(
        "Sec. 4.1, Fig. 3B",
        "Of what tells an LRU from a dense network, nearly all of the gain comes with a recurrence of 2×2 blocks.",
        ("fig03.blocks_close_the_gap", "fig03.the_rest_is_small"),
    ),
    Statement(
        "Sec. 4.1, Fig. 3B",
        "Complex diagonal networks without normalisation or reparametrisation are nearly as good as LRUs.",
        ("fig03.diagonal_is_near",),
    ),
    # --- Sec. 4.2, Fig. 4 ---
    Statement(
        "Sec. 4.2, Fig. 4A, B",
        "The Hessians of a dense and of a complex diagonal network with one function have similar spectra.",
        ("fig04.similar_spectra", "fig04.dense_explodes", "fig04.diagonal_explodes"),
    ),
    Statement(
        "Sec. 4.2, Fig. 4A, B",
        "Few directions are sharp, the others flat.",
        ("fig04.few_directions",),
    ),
    Statement(
        "Sec. 4.2, Fig. 4A, B",
        "The sharp directions are those of the recurrent parameters.",
        ("fig04.recurrent_*",),
    ),
    Statement(
        "Sec. 4.2, Fig. 4A, B",
        "They are aligned with single parameters in the diagonal network, and not in the dense one.",
        ("fig04.aligned",),
    ),
    Statement(
        "Sec. 4.2, Fig. 4C, D",
        "Adam can therefore use larger learning rates in the recurrence of a diagonal network than in a dense one.",
        ("fig04.dense_rates_fall", "fig04.diagonal_rates_stay", "fig04.rates_apart"),
    ),
    Statement(
        "the authors' data of Fig. 4C",
        "In the dense network nearly half of the effective learning rates are negative, and so are not in the figure.",
        ("fig04.dense_momentum",),
    ),
    # --- App. B, Figs 6 and 7 ---
    Statement(
        "App. B, Fig. 6",
        "In polar coordinates the curvature explodes in magnitude and angle, even with normalised input.",
        ("fig06.polar",),
    ),
    Statement(
        "Sec. 3.3, App. B, Fig. 6",
        "The exponential parametrisation of the LRU solves this for the magnitude.",
        ("fig06.exp_tames_magnitude",),
    ),
    Statement("Sec. 3.3, App. B, Fig. 6", "It does not for the angle.", ("fig06.exp_leaves_angle",)),
    Statement(
        "App. B, Fig. 6",
        "With a parametrisation of the angle that depends on the magnitude, both curvatures are constant.",
        ("fig06.optimal", "fig06.same_shape"),
    ),
    Statement(
        "App. B, Fig. 7",
        "To change the angle, the network first forgets and then learns to remember again.",
        ("fig07.magnitude_first*",),
    ),
    Statement(
        "App. B, Fig. 7",
        "Learning the angle remains hard with Adam in polar and exponential parametrisation.",
        ("fig07.adam_is_hard", "fig07.polar_oscillates", "fig07.exp_closer"),
    ),
    Statement(
        "App. B, Fig. 7",
        "The optimal parametrisation is optimal near the optimum alone: far from it, it is stuck.",
        ("fig07.optimal_sticks*",),
    ),
    # --- App. A and D, Figs 8, 9, 10 ---
    Statement("App. A", "The expression of S for input with the autocorrelation ρ^|Δ|.", ("fig08.printed",)),
    Statement(
        "App. D, Fig. 8",
        "Eigenvalues interact where they are conjugate, and for correlated input where they are near 1.",
        ("fig08.conjugates", "fig08.shrinks", "fig08.towards_one"),
    ),
    Statement(
        "App. D, Fig. 9A",
        "In the LRU the angle alone remains sharp.",
        ("fig09.lru_*", "fig09.aligned", "fig09.few_directions"),
    ),
    Statement(
        "App. D, Fig. 9C",
        "Adam gives the angles of the LRU smaller learning rates than everything else.",
        ("fig09.lru_angle_rates", "fig09.lru_rest"),
    ),
    Statement(
        "App. D, Fig. 9D",
        "In S4 it gives the step sizes smaller ones.",
        ("fig09.s4_rates", "fig09.s4_rates_of_the_text"),
    ),
    Statement("App. D, Fig. 9B", "In S4 it is the step size that is shared by λ and the input.", ("fig09.s4_step",)),
    Statement(
        "App. D, Fig. 10",
        "The Hessian over the eigenvalues is almost diagonal where these are spread over the circle.",
        ("fig10.none", "fig10.largest_none"),
    ),
    Statement(
        "App. D, Fig. 10",
        "It is far from diagonal where they crowd near the real axis.",
        ("fig10.most", "fig10.some", "fig10.largest_most", "fig10.largest_some"),
    ),
    Statement("App. D, Fig. 10", "This is so for white input, which Fig. 10 has.", ("fig10.white_input",)),
    Statement(
        "App. D, Fig. 10D",
        "Where eigenvalues crowd near 1 the LRU gains over a complex diagonal network.",
        ("fig10.lru_gains", "fig10.gap_widens"),
    ),
    Statement(
        "App. D, Fig. 10D",
        "Dense networks are far worse, whatever the angles are.",
        ("fig10.dense_is_far_worse",),
    ),
    # --- App. F, Fig. 11 ---
    Statement(
        "App. F, Fig. 11A",
        "Networks of 64 units learn once their recurrence has 16 blocks or more.",
        ("fig11.the_jump",),
    ),
    Statement(
        "App. F, Fig. 11B",
        "The effective learning rates of the recurrence rise with the number of blocks.",
        ("fig11.rates_rise",),
    ),
    # --- App. C, Fig. 12 ---
    Statement(
        "App. C, Fig. 12",
        "The autocorrelation of BERT embeddings of Wikipedia is that of white noise and one slow exponential.",
        unmeasured="The embeddings cannot be had here; a surrogate with this autocorrelation stands in for them.",
    ),
    # --- Sec. 5 and App. C, Figs 5 and 13 ---
    Statement(
        "Sec. 5, Fig. 5A",
        "The normalised inputs of LRU and GRU keep the activity of a deep stack constant, however long the memory is.",
        ("fig05.crnn_grows", "fig05.activity_flat"),
    ),
    Statement(
        "Sec. 5, Fig. 5B",
        "In the LRU the gradients of the eigenvalues' angles alone explode.",
        ("fig05.lru_*",),
    ),
    Statement("Sec. 5, Fig. 5B", "The GRU controls the gradients of all its parameters.", ("fig05.gru_*",)),
    Statement(
        "Sec. 5, Fig. 5C",
        "Layer norms control the size of a complex diagonal network's gradients, but for those of its eigenvalues.",
        ("fig05.crnn_explodes", "fig05.norm_*"),
    ),
    Statement(
        "App. C, Fig. 13",
        "Gradients behave in every layer as they do in the whole network.",
        ("fig13.no_trend", "fig13.lru_values", "fig13.crnn_values"),
    ),
    Statement(
        "a summary of the paper",
        "The sensitivity to parameters grows exponentially with depth.",
        ("fig13.exponential",),
    ),
    # --- App. C, Figs 14 and 15 ---
    Statement(
        "App. C, Fig. 14",
        "With constant gates, or gates that depend on the input alone, the Jacobian of a GRU is diagonal.",
        ("fig14.constant_gates", "fig14.input_gates"),
    ),
    Statement(
        "App. C, Fig. 14",
        "With its standard initialisation a GRU is nearly diagonal, and behaves as with constant gates.",
        ("fig14.off_diagonal", "fig14.same_shape"),
    ),
    Statement("App. C, Fig. 14", "With large recurrent weights this breaks.", ("fig14.breaks",)),
    Statement(
        "App. C, Fig. 15",
        "The sizes of states and of their derivatives by the gates' biases follow the theory of constant gates.",
        ("fig15.theory", "fig15.dependent"),
    ),
    Statement("App. C, Fig. 15", "Both stay bounded, however long the memory is.", ("fig15.bounded",)),
    Statement(
        "a summary of the paper",
        "LSTMs mitigate the curse of memory as well, by element-wise recurrence and gates.",
        ("fig14.lstm_*", "fig15.lstm_*"),
    ),
)
