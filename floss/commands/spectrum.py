"""`floss spectrum`: Lyapunov spectra of fresh or trained networks, before and after flossing."""

from floss.commands.analysis import run

__all__ = ["run"]
