"""What can go wrong and is answered in one line: bad input, a busy run, a damaged checkpoint, a launcher that fails."""


class ConfigError(ValueError):
    """Bad input, in one line for the person who typed it."""


class RunBusyError(RuntimeError):
    """Another process is computing the same run."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used, in one line."""


class LaunchError(RuntimeError):
    """A launcher could not run a job, in one line."""


def one_line(error: BaseException, longest: int | None = None) -> str:
    """The message of an error on one line, or its type where it has none; cut to so many characters."""
    return (" ".join(str(error).split()) or type(error).__name__)[:longest]
