# SPDX-License-Identifier: Apache-2.0
"""Starting a supervisor, stopping one, and asking one to kill or restart a server."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Dict, List, Optional

from . import catalog, folders, ports, process, state
from .errors import ServiceError
from .supervisor import CONTROL

_PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "services")
_STOP_SECONDS = 30
_ANSWER_SECONDS = 120


def must_have() -> bool:
    """True where a missing server is a failure, as in CI."""
    return os.environ.get("ARTCACHE_REQUIRE_SERVICES", "") not in ("", "0")


def start(names: List[str], path: str, options) -> Dict:
    """Returns the services as described in the state file."""
    owner = _identity(options.owner)
    unavailable = _check_available(names, options.allow_missing and not must_have())
    names = [name for name in names if name not in unavailable]
    _check_ports(options.port, names)
    folders.reap()
    services = [catalog.SERVICES[name] for name in names]
    folders.check_space(sum(service.megabytes for service in services))
    accounts = [process.account(service.user) for service in services]
    folders.check_reachable([one for one in accounts if one is not None])
    state.reserve(path)
    try:
        return _run_supervisor({
            "state": path, "names": names, "ports": options.port, "unavailable": unavailable,
            "owner": owner, "starter": _identity(os.getpid()), "timeout": options.timeout,
            "logs": os.path.abspath(options.logs) if options.logs else None})
    except BaseException:
        state.remove(path)
        raise


def _identity(pid: int) -> List[int]:
    stat = process.read_stat(pid)
    if stat is None or stat.state in "ZX":
        raise ServiceError(f"there is no process {pid} to be the owner; give the pid of a running "
                           "one with --owner")
    return [pid, stat.start]


def _check_available(names: List[str], tolerant: bool) -> Dict[str, str]:
    reasons = {name: catalog.why_unavailable(name) for name in names}
    reasons = {name: reason for name, reason in reasons.items() if reason}
    if reasons and not tolerant:
        raise ServiceError("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
    return reasons


def _check_ports(wanted: Dict[str, int], names: List[str]) -> None:
    for name, port in wanted.items():
        if name not in names:
            raise ServiceError(f"--port {name}={port}: {name} is not among the services to start")
        if not ports.is_free(port):
            raise ServiceError(f"{name}: port {port} is in use; choose another with "
                               f"--port {name}=N, or none to get a free one")


def _run_supervisor(request: Dict) -> Dict:
    child = subprocess.Popen([sys.executable, _PROGRAM, "supervise"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             start_new_session=True)
    try:
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.close()
        output = child.stdout.read()  # to the end: it lets go of the pipe when all is said
    except BaseException:  # Ctrl-C: nothing is left running
        child.terminate()
        child.wait(_STOP_SECONDS)
        raise
    lines = output.strip().splitlines() or ["it said nothing"]
    try:
        answer = json.loads(lines[-1])
    except ValueError:
        answer = {"error": f"the supervisor died: {lines[-1]}"}
    if "error" in answer:
        child.wait(_STOP_SECONDS)
        raise ServiceError(answer["error"])
    child.returncode = 0  # it lives on by itself; Popen need not warn
    return answer["services"]


def stop(path: str) -> Optional[str]:
    """What was stopped, None when nothing ran."""
    found = state.read(path)
    if found is None:
        return None
    pid, started = found["supervisor"], found["supervisor_start"]
    try:
        ran = process.send_signal(pid, started, signal.SIGTERM)
    except PermissionError:
        raise ServiceError(f"supervisor {pid} belongs to another user; stop it as that user") \
            from None
    if ran and not _wait_for_end(pid, started):
        process.send_signal(pid, started, signal.SIGKILL)
        _wait_for_end(pid, started)
    if found.get("directory"):
        folders.reap_one(found["directory"])
    state.remove(path)
    return "stopped" if ran else "cleaned up after a supervisor that had died"


def _wait_for_end(pid: int, started: int) -> bool:
    deadline = time.monotonic() + _STOP_SECONDS
    while process.is_running(pid, started):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def running(path: str) -> Dict:
    """The state of a run that is up."""
    found = state.read(path)
    if found is None:
        raise ServiceError(f"nothing runs: there is no {path}; start with: services up "
                           f"--state {path} NAME...")
    if not state.is_alive(found):
        raise ServiceError(f"the supervisor of {path} is gone; clean up with: services down "
                           f"--state {path}")
    if found.get("starting"):
        raise ServiceError(f"the servers of {path} are still starting")
    return found


def ask(path: str, request: Dict) -> Dict:
    found = running(path)
    folder = os.open(found["directory"], os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            # Through the descriptor, since the folder's own path may be too long for a socket.
            connection.connect(f"/proc/self/fd/{folder}/{CONTROL}")
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile() as lines:
                answer = json.loads(lines.readline() or '{"error": "the supervisor is ending"}')
    except OSError as error:
        raise ServiceError(f"the supervisor of {path} does not answer ({error}); stop it with: "
                           f"services down --state {path}") from error
    finally:
        os.close(folder)
    if "error" in answer:
        raise ServiceError(answer["error"])
    return answer


def why_not_usable(path: str, name: str) -> Optional[str]:
    """None when tests can use it now."""
    try:
        found = running(path)
    except ServiceError as error:
        return catalog.why_unavailable(name) or str(error)
    if name in found["unavailable"]:
        return found["unavailable"][name]
    if name not in found["services"]:
        return f"it is not among those started ({', '.join(found['services']) or 'none'})"
    now = state.service_state(found["services"][name])
    return None if now == "up" else f"it is {now}; services restart {name} brings it back"


def environment(path: str, names: List[str]) -> Dict[str, str]:
    """Of all services when none is named. Where two set the same variable the first one wins."""
    services = running(path)["services"]
    merged: Dict[str, str] = {}
    for name in names or services:
        if name not in services:
            raise ServiceError(f"{name}: {why_not_usable(path, name)}")
        for variable, value in services[name]["env"].items():
            merged.setdefault(variable, value)
    return merged
