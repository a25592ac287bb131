"""Everything that the paper says about what is seen in networks, with the claims or panels that measure it.

In the order of the paper; what is said twice stands at its first place, with the others named. Definitions, derivations
and what the paper itself calls future work are not statements.
"""

from floss.papers.statement import Statement

STATEMENTS = (
    # --- abstract, introduction and discussion ---
    Statement(
        "abstract, Sec. 9",
        "Flossing before training raises the rate of success on tasks with long time horizons.",
        ("fig03.*flossed_learns_40*", "fig03.copy_unflossed_*", "fig03.xor_unflossed_*", "fig04.pre_helps"),
    ),
    Statement(
        "abstract, Sec. 9", "Flossing before training makes training converge sooner.", ("fig03.*converges_sooner*",)
    ),
    Statement(
        "Sec. 1, 9",
        "Flossing combines well with orthogonal initial weights.",
        ("fig14.orthogonal_slightly_better", "fig14.pre_helps"),
    ),
    Statement(
        "Sec. 1, 9",
        "Flossing combines well with gated units, in training.",
        ("gated.*",),
    ),
    Statement(
        "Sec. 1, 9",
        "Flossing combines well with an initialization from dynamic mean-field theory.",
        panels=("fig04",),
    ),
    Statement(
        "Sec. 9",
        "It applies to arbitrary recurrent architectures and to neural ODEs.",
        unmeasured="Nothing in the paper shows it; the library flosses LSTM, GRU, ReLU, linear networks and any map or"
        " module, which its tests hold.",
    ),
    Statement(
        "Sec. 9",
        "Flossing is memory-efficient, numerically stable and exact over long horizons.",
        unmeasured="No number or comparison is given; the derivative is tested against automatic differentiation.",
    ),
    # --- Sec. 4, Fig. 1 ---
    Statement(
        "Fig. 1A", "The long-term Jacobian is the product of one-step Jacobians (a sketch).", panels=("fig01 A",)
    ),
    Statement(
        "Sec. 4, Fig. 1B",
        "Flossing brings the first exponent to -1, -0.5 or 0 within less than 100 epochs.",
        ("fig01.targets_reached",),
    ),
    Statement("Sec. 4", "A positive target seems not to lead to a positive exponent.", ("fig01.positive_not_reached",)),
    Statement("Sec. 4, Fig. 1C", "The squares of 1, 16 or 32 exponents fall with the epochs.", ("fig01.loss_falls",)),
    Statement("Sec. 4, Fig. 1D", "After flossing one exponent, it is close to zero.", ("fig01.one_near_zero",)),
    Statement("Sec. 4, Fig. 1D", "After flossing 16 exponents, these are close to zero.", ("fig01.first_k_near_zero",)),
    Statement("Sec. 4, Fig. 1D", "After flossing all 32 exponents, these are close to zero.", ("fig01.all_near_zero",)),
    Statement("Fig. 1D", "The exponents that were not flossed vary.", ("fig01.the_rest_varies",)),
    Statement(
        "Sec. 4",
        "QR decomposition is the bottleneck of the computation.",
        ("qr.bottleneck",),
    ),
    # --- Sec. 5, Fig. 2 ---
    Statement(
        "Sec. 5, Fig. 2A",
        "The condition number of the long-term Jacobian diverges exponentially with time.",
        ("fig02.exponential_in_time",),
    ),
    Statement(
        "Sec. 5, Fig. 2A",
        "Its estimate from the Lyapunov exponents (Eq. 10) matches it well.",
        ("fig02.theory_slope_*",),
    ),
    Statement("Sec. 5", "The estimate should be exact in the limit of long times.", ("fig02.error_falls",)),
    Statement(
        "Sec. 5, Fig. 2A",
        "Flossing lowers the condition number by a factor that grows exponentially with time.",
        ("fig02.factor_grows_exponentially", "fig02.lowered_by_orders", "fig02.lowered_many"),
    ),
    Statement("Fig. 2A", "This holds of the long-term Jacobian as a whole.", ("fig02.full_jacobian_lowered",)),
    Statement(
        "Sec. 5, Fig. 2B",
        "At a given condition number flossing increases the number of usable tangent dimensions.",
        ("fig02.more_dimensions",),
    ),
    Statement(
        "Sec. 5, Fig. 2C",
        "The estimate predicts even differences between networks that come from their finite size.",
        ("fig02.finite_size_*",),
    ),
    Statement(
        "Sec. 5",
        "Flossing has a stronger effect the longer the time horizon of a problem is.",
        ("fig03.*_longer_delays", "fig04.pre_helps"),
    ),
    # --- Sec. 6, Fig. 3 ---
    Statement("Sec. 6, Fig. 3A", "Flossed networks learn to copy over 40 steps.", ("fig03.copy_flossed_learns_40*",)),
    Statement("Fig. 3A", "Networks that were not flossed do not.", ("fig03.copy_unflossed_fails_40*",)),
    Statement(
        "Sec. 6, Fig. 3C", "Without flossing, copy trains reliably up to d = 20.", ("fig03.copy_unflossed_learns_20*",)
    ),
    Statement(
        "Sec. 6, Fig. 3C",
        "Beyond, it does not; flossed, it trains reliably up to d = 40.",
        ("fig03.copy_unflossed_unreliable_30*", "fig03.copy_longer_delays"),
    ),
    Statement("Fig. 3B", "Flossed networks learn the continuous XOR over 40 steps.", ("fig03.xor_flossed_learns_40*",)),
    Statement("Fig. 3B", "Networks that were not flossed do not.", ("fig03.xor_unflossed_fails_40*",)),
    Statement("Sec. 6, Fig. 3D", "Flossed, they bridge substantially longer delays.", ("fig03.xor_longer_delays",)),
    # --- Sec. 7, Fig. 4 ---
    Statement(
        "Sec. 7, Fig. 4C",
        "Without flossing, accuracy on temporal XOR is at chance for d of 40 and more.",
        ("fig04.none_from_40", "fig04.none_at_70"),
    ),
    Statement("Sec. 7, Fig. 4C", "Flossing before training improves accuracy on temporal XOR.", ("fig04.pre_helps",)),
    Statement("Sec. 7, Fig. 4A, C", "But not at d = 70, where it stays at chance.", ("fig04.pre_at_70",)),
    Statement("Sec. 7, Fig. 4A, C", "Flossed in training too, it is above 80 % there.", ("fig04.during_at_70",)),
    Statement(
        "Sec. 7, Fig. 4B, D", "Flossing before training improves accuracy on spatial XOR.", ("fig04.spatial_pre_helps",)
    ),
    Statement("Sec. 7, Fig. 4D", "But starts failing for d above 60.", ("fig04.spatial_pre_fails_beyond_60",)),
    Statement(
        "Sec. 7, Fig. 4B, D",
        "Flossed in training too, networks solve still harder spatial tasks.",
        ("fig04.spatial_during_*", "fig04.spatial_none_*"),
    ),
    Statement(
        "Sec. 7",
        "Regularising the spectral radius of W, or each one-step Jacobian, does not improve training like that.",
        ("control.*",),
    ),
    # --- Sec. 7.1 and App. B.2, Figs 5 and 7 ---
    Statement(
        "Sec. 7.1, Fig. 5A", "With too few flossed exponents accuracy falls as the delay grows.", ("fig05.few_fail",)
    ),
    Statement(
        "Sec. 7.1, Fig. 5B",
        "The harder the task, the more exponents must be flossed.",
        ("fig05.more_exponents_needed", "fig05.many_help"),
    ),
    Statement(
        "Sec. 7.1, Fig. 7A-C",
        "So it is over the whole plane of delay and number of exponents, with early episodes.",
        ("fig07.plane", "fig07.more_exponents_needed", "fig07.few_fail", "fig07.many_help"),
    ),
    Statement("App. B.2, Fig. 7D", "And with flossing before training only.", ("fig07.pre_more_exponents_needed",)),
    Statement("Sec. 7.1, Fig. 7D", "Which never solves the hardest tasks, even at k = N.", ("fig07.pre_never_solves",)),
    Statement(
        "Sec. 7.1, App. B.2",
        "Flossing during training cannot be replaced by more exponents before it.",
        ("fig07.pre_no_substitute",),
    ),
    Statement(
        "Sec. 7.1",
        "That longer delays need more exponents may be due to the number of stored values, not to the delay.",
        unmeasured="The paper names the experiment, delays and stored items varied apart, as one for the future.",
    ),
    # --- App. B.1, Fig. 6 ---
    Statement("App. B.1, Fig. 6A", "LSTM networks reach zero in fewer than 100 epochs.", ("fig06.lstm_reaches_zero",)),
    Statement("App. B.1, Fig. 6B", "The square of their first exponent falls towards zero.", panels=("fig06 B",)),
    Statement(
        "App. B.1", "A target of -1 is reached by a subset of LSTM networks only.", ("fig06.lstm_minus_one_only_some",)
    ),
    Statement(
        "App. B.1, Fig. 6C",
        "ReLU networks reach zero as fast.",
        ("fig06.relu_scaled_reaches_zero", "fig06.relu_reaches_zero"),
    ),
    Statement("App. B.1, Fig. 6D", "The square of their first exponent falls towards zero.", panels=("fig06 D",)),
    Statement("App. B.1, Fig. 6C", "Some ReLU networks are unstable at first.", ("fig06.some_relu_unstable",)),
    Statement("App. B.1, Fig. 6C", "Flossing quickly stabilises these.", ("fig06.wide_relu_stabilised",)),
    # --- App. D, Figs 8 and 9 ---
    Statement("App. D, Fig. 8A", "Without flossing ‖dL/dh0‖ falls below 10⁻⁶ for good.", ("fig08.unflossed_vanishes",)),
    Statement("App. D, Fig. 8A", "Each episode makes it spike above 10⁻².", ("fig08.episodes_spike",)),
    Statement("App. D, Fig. 8A, C", "After the episodes it stays around 10⁻⁴.", ("fig08.small_before",)),
    Statement("App. D, Fig. 8A, C", "Then it rises to around 10⁻².", ("fig08.rises_to_a_hundredth",)),
    Statement(
        "App. D, Fig. 8B-D",
        "Accuracy leaves chance about when it becomes macroscopic.",
        ("fig08.accuracy_follows_gradient",),
    ),
    Statement("App. D", "It predicts success, sometimes hundreds of epochs ahead.", ("fig08.predicts_success",)),
    Statement(
        "App. D, Fig. 9A", "It grows over epochs while accuracy is at chance.", ("fig09.gradient_grows_at_chance",)
    ),
    Statement("App. D, Fig. 9B", "Its rise reliably precedes that of the accuracy.", ("fig09.*precedes_accuracy",)),
    Statement(
        "App. D",
        "The overlap of the gradient with the first covariant Lyapunov vector increases around the epoch at which"
        " accuracy leaves chance, with and without flossing.",
        ("overlap.*",),
    ),
    # --- App. D.1, Figs 10 and 11 ---
    Statement("App. D.1, Fig. 10A", "σ₂₀ and σ₄₀ of dL/dW peak at episodes.", ("fig10.sv?0_peaks",)),
    Statement("App. D.1, Fig. 10A", "σ₁ has a slight peak only.", ("fig10.sv1_hardly_peaks",)),
    Statement("App. D.1, Fig. 10A", "Flossing raises the effective rank of dL/dW.", ("fig10.effective_rank_rises",)),
    Statement(
        "App. D.1, Fig. 10A", "Without flossing σ₂₀ and σ₄₀ rapidly become small.", ("fig10.unflossed_*diminishes",)
    ),
    Statement("App. D.1, Fig. 10A", "σ₁ is of comparable size with and without flossing.", ("fig10.sv1_comparable",)),
    Statement(
        "App. D.1, Fig. 10", "The small singular values predict when accuracy leaves chance.", ("fig10.sv20_predicts",)
    ),
    Statement("App. D.1, Fig. 11", "It is so in other networks, which learn later.", ("fig11.other_networks",)),
    # --- App. D.2, Fig. 12 ---
    Statement(
        "App. D.2, Fig. 12A", "Flossed throughout, accuracy drops to near chance each time.", ("fig12.drops_to_chance",)
    ),
    Statement("App. D.2, Fig. 12A", "Between the episodes it quickly recovers.", ("fig12.recovers_between",)),
    Statement("App. D.2, Fig. 12A", "It never reaches 100 %.", ("fig12.never_100",)),
    Statement("App. D.2, Fig. 12B", "The test error jumps up when accuracy drops.", ("fig12.error_jumps",)),
    Statement("App. D.2, Fig. 12C", "Flossing boosts the gradient norm at first.", ("fig12.initially_boosted",)),
    Statement(
        "App. D.2, Fig. 12C",
        "Once large, the norm is close to indistinguishable from that with early episodes.",
        ("fig12.norm_indistinguishable",),
    ),
    Statement("Sec. 7, App. D.2", "Flossing throughout training can be detrimental.", ("fig12.early_is_better",)),
    # --- App. D.3, Fig. 13 ---
    Statement(
        "App. D.3, Fig. 13B",
        "λ₁ of successful networks follows -0.2 exp(-0.03 d).",
        ("fig13.lambda1_follows_fit", "fig13.lambda1_rises_with_delay"),
    ),
    Statement("App. D.3, Fig. 13D", "The same fit describes λ₁₀.", ("fig13.lambda10_follows_fit",)),
    Statement("App. D.3, Fig. 13A", "λ₁ of networks at chance is much smaller.", ("fig13.unsuccessful_are_smaller*",)),
    Statement("App. D.3, Fig. 13C", "The same seems to hold of λ₁₀.", ("fig13.unsuccessful_lambda10_smaller",)),
    # --- App. E to K ---
    Statement(
        "App. E",
        "Flossing helps linear networks on tasks that they can solve, such as copy.",
        ("linear.copy_is_helped",),
    ),
    Statement(
        "App. E",
        "It does not help them on XOR.",
        ("linear.xor_is_not_learnt",),
    ),
    Statement(
        "App. F, Table 1",
        "A step of the network costs N² b, the Jacobian N² k, the QR decomposition N k².",
        ("table1.training_order", "table1.flossing_order"),
    ),
    Statement("App. F", "Flossing takes 2.2 % of the time of training (Fig. 3).", ("table1.share_of_flossing*",)),
    Statement(
        "App. F",
        "A flossing run must only be long enough to bridge the delay.",
        unmeasured="Two lengths of runs are compared at d = 70, in the results; no claim rests on it.",
    ),
    Statement(
        "App. F",
        "QR only every t_ONS steps lowers the cost.",
        ("qr.interval_in_cost",),
    ),
    Statement(
        "App. G, Fig. 14C",
        "Orthogonal networks without flossing are at chance on temporal XOR for d of 40 and more.",
        ("fig14.none_from_40",),
    ),
    Statement("App. G, Fig. 14C", "Flossing before training improves them.", ("fig14.pre_helps",)),
    Statement("App. G, Fig. 14A, C", "But not at d = 70, where they are close to chance.", ("fig14.pre_at_70",)),
    Statement("App. G, Fig. 14A, C", "Flossed in training too, they are above 80 % there.", ("fig14.during_at_70",)),
    Statement(
        "App. G, Fig. 14B, D",
        "On spatial XOR they behave as Gaussian ones: better when flossed before, failing above 60, better still when"
        " flossed in training.",
        ("fig14.spatial_*",),
    ),
    Statement(
        "App. G",
        "With 10⁴ epochs both ways of flossing bridge d = 70 on spatial XOR.",
        ("fig14_more.*",),
    ),
    Statement("App. G, Fig. 14", "Orthogonal weights do slightly better.", ("fig14.orthogonal_slightly_better",)),
    Statement(
        "App. J, Fig. 15", "The area of the parallelogram is that of the rectangle R₁₁ R₂₂.", ("fig15.area_kept",)
    ),
    Statement(
        "App. J",
        "t_ONS is found from a rough spectrum, or by adapting it to the condition number R₁₁ / R_mm (Eq. 28).",
        ("qr.condition_by_diagonal", "qr.often_enough"),
    ),
    Statement(
        "App. J",
        "Random orthonormal systems converge exponentially to one basis.",
        ("qr.one_basis",),
    ),
    Statement("App. K, Fig. 16", "The estimates from ten initial states converge.", ("fig16.*",)),
)
