"""What `floss collect` chooses: values of columns, separated by commas."""

import re

import pytest
from jobs.key_values import NOT_CHOSEN

from floss.errors import ConfigError
from floss.jobs.collect import CollectJob
from floss.jobs.compose import selection
from floss.jobs.keys import build

SELECTIONS = {
    "d=40": {"d": 40},
    "d=10,40": {"d": [10, 40]},
    "d=[10,40]": {"d": [10, 40]},
    "d=null": {"d": None},
    "g=0.5,1": {"g": [0.5, 1]},
    "task=xor": {"task": "xor"},
    "task=xor,copy": {"task": ["xor", "copy"]},
    "flossing=pre,at-7-300 status=done": {"flossing": ["pre", "at-7-300"], "status": "done"},
    "to=a/b": {"to": "a/b"},
    "": {},
}


@pytest.mark.parametrize("line", SELECTIONS)
def test_several_values_of_a_column_are_given_with_commas(line):
    assert selection("collect", line.split()) == SELECTIONS[line]
    assert build(CollectJob, NOT_CHOSEN | selection("collect", line.split()))


@pytest.mark.parametrize("override", ["d", "~d", "+d=3", "++d=3", "d=[1"])
def test_what_is_no_column_and_values_is_answered_in_one_line(override):
    with pytest.raises(ConfigError, match=f"^{re.escape(override)}: cannot be read as key=value$"):
        selection("collect", [override])
