"""What can go wrong and is answered in one line: bad input, a busy run, a damaged checkpoint, a launcher that fails."""

from floss.errors import ConfigError


class ConfigError(ValueError):
    """Bad input, in one line for the person who typed it."""


class RunBusyError(RuntimeError):
    """Another process is computing the same run."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used, in one line."""


class LaunchError(RuntimeError):
    """A launcher could not run a job, in one line."""
