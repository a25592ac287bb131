"""`floss plan`: what `floss train` would compute."""

from floss.commands.sweep_arguments import check_one_folder, jobs_of


def run(command: str, arguments: list[str]) -> None:
    """Say what `floss train` would compute."""
    jobs = jobs_of(command, arguments)
    if jobs:
        from floss.jobs.checked import train_job
        from floss.sweep.forecast import forecast
        from floss.sweep.request import Request

        checked = [train_job(values) for values, _ in jobs]
        check_one_folder(checked)
        print(forecast(Request(checked)))
