"""`floss reproduce`: compute the data of a paper's figures, and draw them."""

import sys

from floss.errors import ConfigError
from floss.jobs.keys import build


def run(command: str, arguments: list[str]) -> None:
    """Compute what is missing; exit status 1 if a network failed or a figure cannot be drawn."""
    from floss.commands.hydra_app import answered_by_hydra
    from floss.jobs.compose import defaults_of, parse, selection

    # Not composed by Hydra, to which `scale` is a group of files for the keys of `floss train`.
    options = parse(command, arguments, groups=())
    if options.cfg or options.info:
        raise ConfigError("--cfg and --info: there is nothing composed to show; --help lists the keys")
    if answered_by_hydra(command, arguments, options):
        return
    from floss.jobs.paper import ReproduceJob
    from floss.papers.reproduce import reproduce

    job = build(ReproduceJob, {**defaults_of(command), **selection(command, options.overrides)})
    if reproduce(job):
        sys.exit(1)
