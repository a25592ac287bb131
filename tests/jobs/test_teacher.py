"""Linear students on a command line: what goes together, what is refused, and what tells networks apart."""

import pytest
from command import jobs

from floss.errors import ConfigError
from floss.jobs.networks import network_ids
from floss.sweep.stacking import plan

STUDENT = ("task=teacher", "arch=linear_lru", "arch.n=8", "flossing=none")

REFUSED = {
    "task=teacher task.teacher=null": "task.teacher=null: has no value, which task=teacher needs",
    "task=teacher task.nu=1": "task.nu=1: must be null or a finite number >= 0 and < 1",
    "task=teacher task.hold=2": "task.hold=2: must be 1 for task=teacher, whose inputs are white noise",
    "task.nu=0.5": "task.nu=0.5: is for task=teacher alone",
    "arch=linear_lru": "arch=linear_lru: learns from task=teacher alone, and task=xor",
    "task=teacher arch=linear_lru arch.heads=2": "arch.heads=2: must be 1 for arch=linear_lru, which has no blocks",
    "task=teacher arch=linear_dense arch.heads=3": "arch.heads=3: must divide arch.n=64",
    "task=teacher arch=linear_s4 arch.bias=0.1": "arch.bias=0.1: must be 0 for arch=linear_s4",
    "task=teacher arch=linear_dense arch.readout=2": "arch.readout=2: must be 1 for arch=linear_dense",
    "task=teacher arch=linear_dense arch.relaxation=9": "arch.relaxation=9: must be 0 for arch=linear_dense",
    "arch.heads=2": "arch.heads=2: is for linear students alone, such as arch=linear_dense",
    "arch.nu=0.5": "arch.nu=0.5: is for linear students alone, such as arch=linear_dense",
    "task=teacher arch=linear_lru arch.g=0.5": "arch.g=0.5: must be 1 for arch=linear_lru",
    "task=teacher arch=linear_lru diagnostics=[svd]": "diagnostics=[svd]: ",
    "task=teacher arch=linear_lru engine=native": "engine=native: does not have arch=linear_lru",
    "task=teacher flossing.k=8 engine=native": "engine=native: does not have task=teacher; engine=torch has",
    "train.schedule=cosine engine=native": "engine=native: needs train.schedule=constant and a train.clip",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_does_not_go_together_is_one_line(words):
    with pytest.raises(ConfigError) as error:
        jobs(*words.split())
    assert str(error.value).startswith(REFUSED[words])
    assert "\n" not in str(error.value)


def test_the_protocol_is_that_of_the_second_paper():
    (job,) = jobs(*STUDENT)
    assert (job.train.batch, job.train.clip, job.train.schedule, job.train.steps) == (128, None, "cosine", 300)
    assert (job.task.teacher, job.task.nu, job.d) == ("authors", 0.99, 0)
    assert jobs("task=teacher", "train.batch=4")[0].train.batch == 4


def test_a_delay_does_not_tell_students_apart():
    assert network_ids(jobs(*STUDENT)[0]) == network_ids(jobs(*STUDENT, "d=30")[0])


def test_teachers_spectra_and_learning_rates_go_into_one_ensemble():
    several = jobs(*STUDENT, "task.nu=0.5,0.9", "train.lr=0.1,0.01", "task.teacher=authors,seeded", "arch.nu=0,0.7")
    networks = {network_ids(job)[0]: job for job in several}
    assert len(networks) == 16
    assert [len(stack.networks) for stack in plan(networks)] == [16]
    other = {network_ids(job)[0]: job for job in jobs(*STUDENT, "arch=linear_lru,linear_exp")}
    assert len(plan(other)) == 2
