# SPDX-License-Identifier: Apache-2.0
"""The temporary folder of a run, and what is left of runs that crashed.

A supervisor holds a lock on its folder for as long as it lives. A folder whose lock is free belongs
to nobody: whatever is recorded in it as running is killed, and the folder removed.
"""
import ctypes
import fcntl
import json
import os
import shutil
import signal
import tempfile
import time
from typing import List, Optional, Tuple

from . import process
from .errors import ServiceError

PREFIX = "artcache-services-"
_LOCK = "lock"
_PROCESSES = "processes.json"
_BEING_MADE_SECONDS = 10
_SERVERS = ("postgres", "redis-server", "ceph-mon", "ceph-osd", "radosgw")
_IPC_RMID = 0


def parent() -> str:
    """Not tempfile.gettempdir(), which passes over an unusable TMPDIR in silence."""
    return os.path.abspath(os.environ.get("TMPDIR") or "/tmp")


def check_space(megabytes: int) -> None:
    place = parent()
    try:
        space = os.statvfs(place)
    except OSError as error:
        raise ServiceError(f"cannot use {place}: {error.strerror}; set TMPDIR to a writable "
                           "folder") from error
    free = space.f_bavail * space.f_frsize // 2**20
    if free < megabytes:
        raise ServiceError(f"{place} has {free} MB free, {megabytes} MB are needed; free some or "
                           "set TMPDIR to a folder on another disk")


def advice_when_full(text: str) -> str:
    """For an error that a full disk or a lack of inodes may explain."""
    try:
        space = os.statvfs(parent())
        full = space.f_bavail * space.f_frsize < 2**20 or (space.f_files and not space.f_favail)
    except OSError:
        full = False
    if full or "No space left" in text:
        return f"; {parent()} is full: free some space or set TMPDIR to a folder on another disk"
    return ""


def check_reachable(users: List[process.Account]) -> None:
    """Servers that run as another user must be able to enter every folder on the way."""
    place = parent()
    while users:
        if not os.stat(place).st_mode & 0o001:
            raise ServiceError(f"user {users[0].name} cannot enter {place}; set TMPDIR to a folder "
                               f"that everybody can enter, or run: chmod o+x {place}")
        if place == "/":
            return
        place = os.path.dirname(place)


class Folder:
    """The folder of one run; locked from the start."""

    def __init__(self) -> None:
        try:
            self.path = tempfile.mkdtemp(prefix=PREFIX, dir=parent())
            os.chmod(self.path, 0o755)  # postgres and redis must get to their folders inside
            self._lock = os.open(os.path.join(self.path, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.mkdir(os.path.join(self.path, "logs"))
        except OSError as error:
            raise ServiceError(f"cannot make a folder in {parent()}: {error.strerror}; set TMPDIR "
                               "to a writable folder with free space") from error

    def record(self, running: List[Tuple[str, int, int]]) -> None:
        """What whoever finds the folder has to kill: (name, pid, start time)."""
        write_json(os.path.join(self.path, _PROCESSES), running)

    def remove(self) -> None:
        remove(self.path)
        os.close(self._lock)


def write_json(path: str, value) -> None:
    """All or nothing, readable by the owner only: state files hold passwords."""
    handle, temporary = tempfile.mkstemp(prefix=".services-", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(value, file, indent=2)
            file.write("\n")
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _is_ours(path: str) -> bool:
    """Of this user (root too takes no orders from files others wrote) and really such a folder."""
    try:
        entry = os.lstat(path)
    except OSError:
        return False
    return (os.path.basename(path).startswith(PREFIX) and os.path.isdir(path)
            and not os.path.islink(path) and entry.st_uid == os.geteuid())


def _take_lock(path: str) -> Optional[int]:
    """None while a supervisor lives or is just making the folder."""
    young = time.time() - os.lstat(path).st_mtime < _BEING_MADE_SECONDS
    if young and not os.path.exists(os.path.join(path, _PROCESSES)):
        return None
    lock = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    except BlockingIOError:
        os.close(lock)
        return None


def _recorded(path: str) -> List[Tuple[int, int]]:
    try:
        with open(os.path.join(path, _PROCESSES)) as file:
            return [(int(pid), int(start)) for _, pid, start in json.load(file)]
    except (OSError, ValueError, TypeError):
        return []


def _living_inside(path: str) -> List[Tuple[int, int]]:
    """Servers whose working folder this is, e.g. a PostgreSQL backend that outlived the rest."""
    found = []
    for pid in process.all_pids():
        stat = process.read_stat(pid)
        if stat is None or not stat.name.startswith(_SERVERS):
            continue
        try:
            place = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if place.startswith(path + "/"):
            found.append((pid, stat.start))
    return found


def _kill_leftovers(path: str) -> int:
    leftovers = set(_recorded(path)) | set(_living_inside(path))
    killed = {pid for pid, start in leftovers if process.send_signal(pid, start, signal.SIGKILL)}
    deadline = time.monotonic() + 5
    while any(process.is_running(*one) for one in leftovers) and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(killed)


def _release_shared_memory(path: str) -> None:
    """A killed PostgreSQL leaves a System V segment, which its lock file names."""
    try:
        names = [os.path.join(path, name, "data", "postmaster.pid") for name in os.listdir(path)]
        with open("/proc/sysvipc/shm") as file:
            unused = {tuple(line.split()[:2]) for line in file if line.split()[6] == "0"}
    except OSError:
        return
    for name in names:
        try:
            with open(name) as file:
                key, segment = file.read().split("\n")[6].split()
        except (OSError, ValueError, IndexError):
            continue
        if (key, segment) in unused:
            ctypes.CDLL(None).shmctl(int(segment), _IPC_RMID, None)


def remove(path: str) -> None:
    _release_shared_memory(path)
    shutil.rmtree(path, ignore_errors=True)


def reap_one(path: str) -> Optional[int]:
    """The number of processes killed; None when the folder is not ours or still in use."""
    if not _is_ours(path):
        return None
    try:
        lock = _take_lock(path)
    except OSError:
        return None
    if lock is None:
        return None
    try:
        killed = _kill_leftovers(path)
        remove(path)
    finally:
        os.close(lock)
    return killed


def reap() -> List[Tuple[str, int]]:
    """Removes what crashed runs left in the folder for temporary files."""
    try:
        names = sorted(os.listdir(parent()))
    except OSError:
        return []
    paths = [os.path.join(parent(), name) for name in names if name.startswith(PREFIX)]
    return [(path, killed) for path in paths for killed in [reap_one(path)] if killed is not None]
