"""glob() of architectures and tasks: what fits each other is swept, and nothing else."""

import pytest
from command import TINY, inside

from floss.errors import ConfigError
from floss.jobs.checked import train_job
from floss.jobs.compose import sweep_jobs

RATES_AND_GATES = {"gru", "linear", "lru", "lstm", "relu", "vanilla"}
STUDENTS = {f"linear_{name}" for name in ("dense", "diagonal", "diagonal_gamma", "exp", "lru", "s4")}
SMALL = ("scale=smoke", "flossing=none")
TEACHER = ("task=teacher", "task.nu=0.9")


def swept(*overrides: str) -> set[tuple[str, str]]:
    """Task and architecture of each job of a sweep."""
    jobs = sweep_jobs("train", [*SMALL, *overrides], lambda values, _: train_job(values))
    return {(job.task.name, job.arch.name) for job in jobs}


@pytest.mark.parametrize("task", [(), ("task=xor",), ("task=copy,xor",)])
def test_all_architectures_are_those_that_learn_the_task(task):
    assert {arch for _, arch in swept(*task, "d=4", "arch=glob(*)")} == RATES_AND_GATES


def test_those_of_the_teacher_are_its_students():
    assert {arch for _, arch in swept(*TEACHER, "arch=glob(*)")} == STUDENTS
    assert {arch for _, arch in swept(*TEACHER, "arch=glob(linear_d*)")} == {s for s in STUDENTS if "_d" in s}


def test_all_tasks_are_those_that_the_architecture_learns():
    tasks = {task for task, _ in swept("arch=glob(l*)", "task=glob(*)", "d=4")}
    assert "teacher" not in tasks
    assert {"copy", "xor"} <= tasks
    assert {task for task, _ in swept("task=glob(tea*,exclude=x*)", "task.nu=0.9", "arch=linear_lru")} == {"teacher"}


def test_a_pair_that_is_named_and_does_not_fit_is_an_error():
    with pytest.raises(ConfigError, match="arch=linear_dense: learns from task=teacher alone"):
        swept("task=xor", "d=4", "arch=vanilla,linear_dense")
    with pytest.raises(ConfigError, match="a sweep without a single job"):
        swept("task=xor", "d=4", "arch=glob(linear_*)")


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("launcher", [(), ("hydra/launcher=basic",)], ids=["stacked", "basic"])
def test_hydra_sweeps_the_same(tmp_path, launcher):
    done = inside(tmp_path, "train", "-m", *TINY, "task=xor", "arch=glob([linear*,gru])", "flossing=none", *launcher)
    assert done.returncode == 0, done.stderr
    assert "networks 2 done" in done.stdout
