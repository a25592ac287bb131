"""`floss plan`: what `floss train` would compute."""

from floss.commands.train import _check_one_folder, _jobs_of


def plan(command: str, arguments: list[str]) -> None:
    """`floss plan`: say what `floss train` would compute."""
    jobs = _jobs_of(command, arguments)
    if jobs:
        from floss.jobs.train import train_job
        from floss.sweep.forecast import forecast

        checked = [train_job(values) for values, _ in jobs]
        _check_one_folder(checked)
        print(forecast(checked))
