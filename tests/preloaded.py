"""Processes of `floss` that have nothing to import: forks of one process that has imported everything.

A tiny run computes for a tenth of a second and imports for two seconds. A server, started once, has the imports behind
it. A `Forked` is a fork of the server with the working folder, environment, arguments and streams that were asked for,
and does what the console script does. It has no thread, handler, lock or patch of the tests.

The process of the tests adopts these forks (PR_SET_CHILD_SUBREAPER of Linux): it sends them signals and waits for them
as for any child. Where there is no such thing, `POSSIBLE` is False.
"""

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
import threading
from typing import Any

POSSIBLE = sys.platform == "linux"
THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
"""More only wait for each other at the sizes of the tests, and a process with threads cannot be forked safely."""
READ_AT_THE_START = ("ATEN_", "LD_", "MKL_", "OMP_", "OPENBLAS_", "PYTHON")
"""Environment variables that a process or a library reads when it is loaded."""
PRELOADED = ("hydra.main", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "matplotlib.pyplot")
NOT_PRELOADED = ("hydra_plugin", "user_network.callbacks.")
"""Parts of the names of modules that no command imports by itself; some need packages that are not there."""
_PR_SET_CHILD_SUBREAPER = 36
_LENGTH = 8


class Forked(subprocess.Popen):
    """A process of `floss`, started as `subprocess.Popen` starts one.

    Args:
        pictures: whether it draws.
        first: Python code that it runs before the command.
    """

    def __init__(self, *arguments: Any, pictures: bool = True, first: str = "", **how: Any) -> None:
        self.more = {"pictures": pictures, "first": first}
        super().__init__(*arguments, **how)

    def _execute_child(self, args: Any, *rest: Any) -> None:
        folder, environment, pipes = rest[4], rest[5], rest[9:15]
        ends = pipes[0], pipes[3], pipes[5]
        request = {"arguments": args, "folder": os.fspath(folder), "environment": environment}
        self.pid = server().fork(request | self.more, ends)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # pyright: ignore[reportAttributeAccessIssue]


class Server:
    """The process that forks."""

    def __init__(self) -> None:
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")
        self.socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", __file__, str(theirs.fileno())]
            self.process = subprocess.Popen(command, env={**os.environ, **THREADS}, pass_fds=[theirs.fileno()])

    def fork(self, request: dict[str, Any], streams: tuple[int, int, int]) -> int:
        """The number of a new process."""
        content = json.dumps(request).encode()
        socket.send_fds(self.socket, [len(content).to_bytes(_LENGTH, "big")], streams)
        self.socket.sendall(content)
        return int.from_bytes(self.socket.recv(_LENGTH), "big")


@functools.cache
def server() -> Server:
    """That of this process."""
    return Server()


def draw_nothing() -> None:
    """Let no command draw a picture, in this process and for good."""
    from floss import figures

    replace_drawing(figures.draw, lambda folder: [])


def replace_drawing(draw: Any, other: Any) -> None:
    """Wherever a module of floss has the one function, give it the other."""
    for name, module in list(sys.modules.items()):
        if name.startswith("floss.") and getattr(module, "draw", None) is draw:
            module.draw = other  # pyright: ignore[reportAttributeAccessIssue]


# --- the server ------------------------------------------------------------------------------------------------------


def preload() -> None:
    """Import everything that a command imports."""
    import floss

    for module in PRELOADED:
        importlib.import_module(module)
    for module in pkgutil.walk_packages(floss.__path__, "floss."):
        if not any(part in module.name for part in NOT_PRELOADED):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def serve(connection: socket.socket) -> dict[str, Any] | None:
    """Fork for every request; the request in the fork, None in the server once nobody is there to ask."""
    while True:
        header, streams, _, _ = socket.recv_fds(connection, _LENGTH, 3)
        if not header:
            return None
        length, content = int.from_bytes(header, "big"), b""
        while len(content) < length:
            content += connection.recv(length - len(content))
        reading, writing = os.pipe()
        parent = os.fork()
        if parent == 0:
            child = os.fork()
            if child == 0:
                for place, stream in enumerate(streams):
                    os.dup2(stream, place)
                for stream in (*streams, reading, writing):
                    os.close(stream)
                connection.close()
                return json.loads(content)
            os.write(writing, child.to_bytes(_LENGTH, "big"))
            os._exit(0)  # so that the process of the tests adopts the child
        number = os.read(reading, _LENGTH)
        os.waitpid(parent, 0)
        for stream in (*streams, reading, writing):
            os.close(stream)
        connection.sendall(number)


def become(request: dict[str, Any]) -> None:
    """Have the folder, environment and arguments that were asked for."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["arguments"]
    if not request["pictures"]:
        draw_nothing()
    exec(request["first"], {})  # noqa: S102


def end(status: object) -> None:
    """The interpreter's own end, but for giving back all memory, which takes longer than a tiny run."""
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


def run() -> None:
    """The server; in its forks, what the console script is."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    preload()
    try:
        request = serve(connection)
    except KeyboardInterrupt:
        return
    if request is None:
        return
    become(request)
    try:
        sys.modules["floss.commands.main"].main()
    except SystemExit as stop:
        end(stop.code)


if __name__ == "__main__":
    run()
