"""Help texts of the commands, made from the same table of keys that checks the values."""

from floss.config import JOBS
from floss.keys import known_keys

_USAGE = {
    "train": """train networks on a task, with flossing episodes (Engelken 2023)

usage: floss train [-m] [key=value ...]
  floss train task=xor d=70 seeds=3 flossing=during
  floss train -m task=xor d=10,20,40,70 flossing=none,pre,during seeds=3
Start an interrupted command again to go on where it stopped.
Results lie in results/, in a folder named by what it computes.

one word for a group of keys:
$APP_CONFIG_GROUPS""",
    "figures": """draw the pictures of all finished runs again from their CSV files; computes nothing

usage: floss figures [results=FOLDER]
""",
    "bench": """time the two hot loops beside a plain PyTorch loop with autograd

usage: floss bench [key=value ...]
""",
}
_CHOSEN_BY_GROUP = {"task.name", "task.delay", "arch.name", "flossing.name", "scale"}


def help_node(command: str) -> dict[str, str]:
    """Hydra's help configuration for a command."""
    rows = [
        f"  {name:<26} {field.metadata['meaning']} ({field.metadata['check'].allowed})"
        for name, field in known_keys(JOBS[command]).items()
        if name not in _CHOSEN_BY_GROUP
    ]
    template = "\n".join(
        [
            f"floss {command}: {_USAGE[command]}",
            "keys:",
            *rows,
            "",
            "defaults:",
            "$CONFIG",
            "Hydra's own options: -m sweeps, --cfg job prints the composed configuration, --info, --hydra-help;",
            f'tab completion: eval "$$(floss {command} -sc install=bash)"',
            "",
        ]
    )
    return {"template": template, "app_name": f"floss {command}"}
