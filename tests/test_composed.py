"""What the tests remember of Hydra's compositions is what Hydra itself composes."""

from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from floss.jobs import compose

OURS = ConfigLoaderImpl._load_configuration_impl
HYDRAS: Any = OURS.__wrapped__  # pyright: ignore[reportFunctionMemberAccess]
LINES = [
    ("train", []),
    ("train", ["d=4"]),
    ("train", ["d=7", "arch=lstm", "arch.n=12", "task=copy", "results='1e3'"]),
    ("train", ["arch.n=12", "arch=relu", "arch.n=9", "+a=3", "~seeds"]),
    ("train", ["hydra.job.chdir=true", "flossing=early", "flossing.k=[1,2]", "seeds=3"]),
    ("spectrum", ["steps=20", "flossing.k=[1,4]", "random_g=true"]),
]
WRONG = [["sede=1"], ["arch=nothing", "sede=1"], ["arch=nothing"], ["d=[", "d=1"], ["seeds=1,2"], ["a@b=3"]]


def composed(way: Any, command: str, overrides: list[str], mode: RunMode) -> Any:
    with compose.Composer(command).hydra() as loader:
        return OmegaConf.to_container(way(loader, command, overrides, mode, True, True))


@pytest.mark.parametrize(
    ("command", "overrides", "mode"),
    [
        *((command, overrides, mode) for command, overrides in LINES for mode in RunMode),
        ("plan", ["task=xor", "d=5,6"], RunMode.MULTIRUN),
    ],
)
def test_a_configuration_is_hydras_own(command, overrides, mode):
    wanted = composed(HYDRAS, command, overrides, mode)
    assert composed(OURS, command, overrides, mode) == wanted
    assert composed(OURS, command, overrides, mode) == wanted  # from memory


@pytest.mark.parametrize("overrides", WRONG)
def test_what_is_wrong_is_answered_as_by_hydra(overrides):
    errors = []
    for way in (OURS, HYDRAS):
        with pytest.raises(HydraException) as caught:
            composed(way, "train", overrides, RunMode.RUN)
        errors.append((type(caught.value), str(caught.value)))
    assert errors[0] == errors[1]
