# SPDX-License-Identifier: Apache-2.0
"""The state file: where the servers are, for whoever wants to use or stop them."""
import fcntl
import json
import os
from typing import Dict, Optional
from urllib.parse import urlsplit

from . import folders, process
from .errors import ServiceError


def read(path: str) -> Optional[Dict]:
    """None when there is no such file."""
    try:
        with open(path) as file:
            state = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ServiceError(f"{path} cannot be read as a state file ({error}); name another one or "
                           "remove it") from error
    if not isinstance(state, dict) or not {"supervisor", "supervisor_start"} <= state.keys():
        raise ServiceError(f"{path} is no state file of this program; name another one")
    return state


def is_alive(state: Dict) -> bool:
    return process.is_running(state["supervisor"], state["supervisor_start"])


def reserve(path: str) -> None:
    """Marks the file as taken by this process until the supervisor writes it; of two callers at
    the same time one is refused."""
    folder = os.path.dirname(path)
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ServiceError(f"cannot write {path}: {error.strerror}: {folder}; name a file in a "
                           "writable folder") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        old = read(path)
        if old is not None and is_alive(old):
            raise ServiceError(f"{path} is in use by a running supervisor (pid "
                               f"{old['supervisor']}); stop it with: services down --state {path}")
        if old is not None and old.get("directory"):
            folders.reap_one(old["directory"])
        own = process.read_stat(os.getpid())
        folders.write_json(path, {"supervisor": os.getpid(), "supervisor_start": own.start,
                                  "directory": None, "starting": True, "services": {},
                                  "unavailable": {}})
    except OSError as error:
        raise ServiceError(f"cannot write {path}: {error.strerror}; name a file in a writable "
                           "folder") from error
    finally:
        os.close(lock)


def remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def redacted(url: str) -> str:
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":***@", 1) if password else url


def service_state(entry: Dict) -> str:
    """The worst state of its processes: one that is down makes the service down."""
    states = [process.state_of(one["pid"], one["start"]) for one in entry["processes"].values()]
    for bad in ("down", "stopped"):
        if bad in states:
            return bad
    return "up" if states else "down"
