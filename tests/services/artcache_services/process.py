# SPDX-License-Identifier: Apache-2.0
"""Child processes that cannot outlive the supervisor, and signals that cannot hit a stranger.

A process is named by (pid, start time): a pid alone may belong to somebody else by now.
"""
import ctypes
import os
import pwd
import signal
import subprocess
from dataclasses import dataclass
from typing import Dict, List, Optional

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)
_children: Dict[int, subprocess.Popen] = {}


@dataclass(frozen=True)
class Stat:
    name: str
    state: str
    parent: int
    start: int


def read_stat(pid: int) -> Optional[Stat]:
    """None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The name stands in parentheses and may itself hold spaces and parentheses.
    name = text[text.index(b"(") + 1:text.rindex(b")")].decode(errors="replace")
    fields = text[text.rindex(b")") + 2:].split()
    return Stat(name, fields[0].decode(), int(fields[1]), int(fields[19]))


def state_of(pid: int, start: int) -> str:
    """"up", "stopped" (SIGSTOP) or "down"; a zombie is down, however late it is reaped."""
    stat = read_stat(pid)
    if stat is None or stat.start != start or stat.state in "ZX":
        return "down"
    return "stopped" if stat.state in "Tt" else "up"


def is_running(pid: int, start: int) -> bool:
    return state_of(pid, start) != "down"


def send_signal(pid: int, start: int, number: int) -> bool:
    """False when the process is gone. The pidfd keeps the pid from being reused in between."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not is_running(pid, start):
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def all_pids() -> List[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(root: int) -> List[int]:
    """Children, their children and so on; parents stand before their children."""
    children: Dict[int, List[int]] = {}
    for pid in all_pids():
        stat = read_stat(pid)
        if stat is not None and stat.state not in "ZX":
            children.setdefault(stat.parent, []).append(pid)
    found, queue = [], [root]
    while queue:
        for pid in children.get(queue.pop(0), []):
            found.append(pid)
            queue.append(pid)
    return found


def adopt_orphans() -> None:
    """Grandchildren whose parent dies become ours, so that none escapes and all are reaped."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_zombies() -> None:
    """Children are left to their Popen, which wants to know the exit code."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None:
            return
        child = _children.get(found.si_pid)
        if child is None:
            os.waitpid(found.si_pid, 0)
        else:
            child.poll()
            _children.pop(found.si_pid, None)


@dataclass(frozen=True)
class Account:
    """The system user a server runs as."""
    name: str
    uid: int
    gid: int


def account(name: Optional[str]) -> Optional[Account]:
    """None, the current user, unless we are root and the server refuses to run as root."""
    if name is None or os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_gid)


def _clean_environment(home: str) -> Dict[str, str]:
    # Nothing of the caller's PGHOST, CEPH_ARGS or LD_PRELOAD; messages in English.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": home}


def spawn(argv: List[str], cwd: str, output, user: Optional[Account] = None) -> subprocess.Popen:
    """The child is killed by the kernel when the thread that calls this ends, so call it from the
    main thread only."""
    parent = os.getpid()

    def die_with_parent():
        # Runs after the change of user, which would clear the death signal.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    identity = {} if user is None else {
        "user": user.uid, "group": user.gid, "extra_groups": []}
    child = subprocess.Popen(argv, cwd=cwd, env=_clean_environment(cwd), stdin=subprocess.DEVNULL,
                             stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                             preexec_fn=die_with_parent, **identity)
    _children[child.pid] = child
    return child
