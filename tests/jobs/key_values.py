"""For each key of the command line values that it takes, then values that it does not."""

import dataclasses
from typing import Any

from floss.jobs.analysis import AnalysisJob, analysis_job
from floss.jobs.checked import train_job
from floss.jobs.train import TrainJob

# For each key of `floss train`: values that it takes, then values that it does not.
TAKEN_AND_NOT = {
    "d": ([2, 4, 298, 1e2], [-2, 4.5, None, "x", True, float("nan"), float("inf")]),
    "seed": ([0, 2**63 - 1], [-1, 2**63, 0.5, False, None]),
    "seeds": ([1, 20], [0, 1.5, "two"]),
    "task.name": (["xor", "copy"], ["", " ", None, True, "xorr"]),
    "task.delay": ([40], [-1, None, 40.5, 42]),
    "task.teacher": ([None], ["seeded", "none"]),
    "task.nu": ([None], [0.5, 1.0]),
    "task.theta": ([None], [1.0, 0.0]),
    "task.hold": ([1, 7, 299], [0, 300, 1.5, None, "x"]),
    "arch.name": (["vanilla", "relu", "linear", "lstm", "gru", "lru"], ["", "rnn", None]),
    "arch.n": ([75, 1000], [0, -1, 80.5, "80 units"]),
    "arch.g": ([0, 1, 2.5], [-0.1, float("inf"), float("nan"), "big"]),
    "arch.init": (["gaussian", "orthogonal"], ["Gaussian", "", None, 0]),
    "arch.mean": ([-0.1, 0, 3], [float("nan"), None, "zero"]),
    "arch.bias": ([0, 0.1, 2], [-0.1, float("inf"), None]),
    "arch.readout": ([0, 1, 0.1], [-1, float("nan"), None]),
    "arch.relaxation": ([0, 100], [-1, 0.5, None]),
    "arch.heads": ([1], [0, 2, None]),
    "arch.nu": ([None], [0.5, 1.0]),
    "arch.theta": ([None], [1.0, 0.0]),
    "flossing.name": (["during", "mine", 3], ["", None, True]),
    "flossing.at": ([[], [0], [500, 0]], [5, [-1], [0, 0], [0.5], "0", None, [[0]]]),
    "flossing.every": ([None, 1, 100], [0, -1, "often"]),
    "flossing.epochs": ([1, 500], [0, 0.5, None]),
    "flossing.k": ([1, 80], [0, 81, None, 75.5]),
    "flossing.t_ons": ([1, 44], [0, 45, None]),
    "flossing.steps": ([None, 13, 200], [0, 12, 13.5, "long"]),
    "flossing.transient": ([None, 0, 59], [-1, 60, 0.5, "short"]),
    "flossing.target": ([0, -1.0, 0.5], [float("inf"), None, "zero"]),
    "flossing.lr": ([1e-9, 1], [0, -1e-3, float("nan"), None]),
    "flossing.penalty": (["exponents", "spectral_radius", "one_step"], ["exponent", "", None, 0]),
    "flossing.until": ([None, 1e-9, 2], [0, -1e-3, float("nan"), "never"]),
    "train.epochs": ([1, 1e4], [0, float("inf"), None]),
    "train.steps": ([41, 1000], [0, None]),
    "train.batch": ([1, 16], [0, "16 sequences"]),
    "train.lr": ([1e-9, 1], [0, -1, float("inf"), None]),
    "train.schedule": (["constant", "cosine"], ["linear", None]),
    "train.clip": ([None, 1e-9, 1e9], [0, -1, float("inf")]),
    "train.log_every": ([1, 10**9], [0, None]),
    "train.checkpoint_every": ([1, 10**9], [0, None]),
    "train.evaluation_batches": ([1, 16], [0, None]),
    "device": (["auto", "cpu"], ["gpu", "", None, 0]),
    "dtype": (["float32", "float64"], ["float16", "double", None]),
    "engine": (["auto", "torch", "native"], ["cuda", "", None]),
    "diagnostics": (
        [[], ["svd"], ["svd", "grad_h0", "lyapunov"]],
        ["svd", ["norm"], ["svd", "svd"], [["svd"]], [None], None, True, 0],
    ),
    "scale": (["paper", "small", "smoke"], ["large", None]),
    "memory_limit": ([None, 0.5, 8, 1e-3], [0, -1, float("inf"), float("nan"), "8G", True, [8]]),
    "parts": ([1, 8, 1e2], [0, -1, 1.5, None, "two", True]),
    "logger": ([None, ["tensorboard"], ["wandb", "mlflow"]], ["csv", "", [], ["wandb", "wandb"], True, 0]),
    "results": (["results", "a b", 3], ["", " ", None, "/dev/null/x"]),
}


TEXTS = ([None, "xor", ["xor"], ["xor", "copy"]], ["", " ", [], [""], ["xor", "xor"], [None], [["xor"]], True])
WHOLES = (
    [None, 0, 40, 2**53 + 1, [40], [40, 10, 20]],
    ["x", "", 0.5, -1, True, [], [1, 1], [1, 1.0], [None], [1, "x"], [[1]]],
)
NUMBERS = (
    [None, 0, 40, 0.5, -1, [40], [40, 10, 20]],
    ["x", "", float("nan"), float("inf"), True, [], [1, 1], [1, 1.0], [None], [1, "x"], [[1]]],
)
OF_COLLECT = {
    **dict.fromkeys(("task", "arch", "init", "flossing"), TEXTS),
    **dict.fromkeys(("d", "k", "t_ons", "seed"), WHOLES),
    "g": NUMBERS,
    "status": (
        [None, "done", ["done", "diverged", "failed", "interrupted"]],
        ["finished", "damaged", "", [], ["done", "done"], ["done", "lost"], [None], True, 0],
    ),
    "results": (["results", "a b", 3], ["", " ", None, True]),
    "to": ([None, "tables", 3], ["", " ", True, ["tables"]]),
}
# The same for the keys that `floss spectrum` and `floss condition` share, and for those of each alone.
OF_ANALYSES = {
    "seed": ([0, 2**63 - 1], [-1, 2**63, 0.5, False, None]),
    "seeds": ([1, 20, 1e5], [0, 1.5, 10**5 + 1, "two", None]),
    **{name: TAKEN_AND_NOT[name] for name in TAKEN_AND_NOT if name.startswith("arch.")},
    "arch.n": ([15, 1000], [0, -1, 80.5, "80 units"]),
    "random_g": ([False, True], [0, 1, "true", None]),
    "checkpoint": ([None], ["", " ", "nothing", True, 3, [1]]),
    "run": ([None], [0, -1, 1.5, "first", True, [1]]),
    "input": (["auto", "uniform", "bits", "gaussian", "none"], ["", "binary", None, False]),
    "inputs": ([1, 7], [0, 1.5, None]),
    "steps": ([100, 1e4], [0, -1, 10**8 + 1, 0.5, None]),
    "transient": ([0, 1e3], [-1, 10**8 + 1, 0.5, None]),
    "flossing.epochs": ([0, 500], [-1, 0.5, None]),
    "flossing.k": ([1, 80, [1], [15, 1]], [0, 81, [1, 81], [], [1, 1], [[1]], None, 15.5, "all"]),
    "flossing.target": ([0, -1.0, [-1, -0.5, 0]], [float("inf"), [0, float("nan")], [], [0, 0], None, "zero"]),
    "flossing.steps": ([13, 1e6], [0, 12, 10**6 + 1, 20.5, None, "long"]),
    "flossing.transient": ([None, 0, 99], [-1, 100, 0.5, "short"]),
    "flossing.t_ons": ([1, 80], [0, 0.5, None]),
    "flossing.lr": ([1e-9, 1], [0, -1e-3, float("nan"), None]),
    "device": (["auto", "cpu"], ["gpu", "", None, 0]),
    "dtype": (["float64", "float32"], ["float16", "double", None]),
    "results": (["results", "a b", 3], ["", " ", None, "/dev/null/x"]),
}
OF_SPECTRUM = {
    **OF_ANALYSES,
    "k": ([None, 1, 80], [0, 81, 1.5, "all", [1]]),
    "t_ons": ([1, 1000, "adaptive"], [0, 1001, 1.5, "auto", "", None, True]),
    "states": ([1, 100], [0, 10**5 + 1, None]),
    "blocks": ([2, 100], [1, 2.5, None]),
    "show": ([[], [1], [7, 1, 1000]], [1, [0], [1, 1], None]),
}
OF_CONDITION = {
    **OF_ANALYSES,
    "horizons": ([1, 500], [0, 1.5, None]),
    "dims": ([None, 1, 80, [1], [80, 1]], [0, 81, [1, 81], [], [1, 1], 1.5, "all"]),
    "at": ([1, 500], [0, 501, 1.5, None]),
    "bits": ([None], [1, 0, -256, 10**6 + 1, 2.5, "foo", "", True, [256]]),
}
TABLES = {"spectrum": OF_SPECTRUM, "condition": OF_CONDITION}


# paper.md, sections 3 and 5.
REFERENCE = {
    "d": 40,
    "seed": 0,
    "seeds": 1,
    "task": {"name": "xor", "delay": 40, "teacher": None, "nu": None, "theta": None, "hold": 1},
    "arch": {
        "name": "vanilla",
        "n": 80,
        "g": 1.0,
        "init": "gaussian",
        "mean": 0.0,
        "bias": 0.1,
        "readout": 1.0,
        "relaxation": 100,
        "heads": 1,
        "nu": None,
        "theta": None,
    },
    "flossing": {
        "name": "during",
        "at": [0, 500],
        "every": None,
        "epochs": 500,
        "k": 75,
        "t_ons": 1,
        "steps": None,
        "transient": None,
        "target": 0.0,
        "lr": 1e-3,
        "penalty": "exponents",
        "until": None,
    },
    "train": {
        "epochs": 10_000,
        "steps": 300,
        "batch": 16,
        "lr": 1e-3,
        "schedule": "constant",
        "clip": 0.03,
        "log_every": 100,
        "checkpoint_every": 500,
        "evaluation_batches": 16,
    },
    "device": "auto",
    "dtype": "float32",
    "engine": "auto",
    "diagnostics": [],
    "scale": "paper",
    "memory_limit": None,
    "parts": 1,
    "logger": None,
    "results": "results",
    "label": "during",
}
SLURM = {
    "tasks": 4,
    "time": "04:00:00",
    "partition": None,
    "cpus": 2,
    "gpus": 0,
    "memory": None,
    "grace": 120,
    "setup": None,
}
NOT_CHOSEN: dict[str, Any] = {**dict.fromkeys(OF_COLLECT), "results": "results"}


def changed(reference: TrainJob, key: str, value: object) -> TrainJob:
    """The reference job with another value of one key, and what must go with it."""
    values = {name: dict(v) if isinstance(v, dict) else v for name, v in dataclasses.asdict(reference).items()}
    group, _, name = key.rpartition(".")
    (values[group] if group else values)[name] = value
    if key == "d":
        values["task"]["delay"] = value
    return train_job(values)


def get(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = getattr(config, name)
    return config


def changed_analysis(default: AnalysisJob, key: str, value: object) -> AnalysisJob:
    """The default analysis with another value of one key."""
    values = {name: dict(v) if isinstance(v, dict) else v for name, v in dataclasses.asdict(default).items()}
    group, _, name = key.rpartition(".")
    (values[group] if group else values)[name] = value
    return analysis_job(type(default), values)


ANALYSIS_KEYS = [(command, key) for command, table in TABLES.items() for key in table]

ARCHITECTURES = (
    "gru, linear, linear_dense, linear_diagonal, linear_diagonal_gamma, linear_exp, linear_lru, linear_s4,"
    " lru, lstm, relu, vanilla"
)
