# SPDX-License-Identifier: Apache-2.0
"""What all services have in common: set-up commands, processes, readiness, stopping."""
import asyncio
import errno
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Callable, Dict, List, Optional, Sequence

from . import process
from .errors import PortTaken, ServiceError
from .ports import Ports

_BIND_FAILED = re.compile(r"address already in use|EADDRINUSE", re.IGNORECASE)
_ATTEMPTS = 3
_POLL_SECONDS = 0.02
CLOCK_LIBRARY = "ARTCACHE_TEST_CLOCK_LIBRARY"  # the variable that says where it was built


class Server:
    """One process of a service; its output since this launch is what an error quotes."""

    def __init__(self, child: subprocess.Popen, log: str, offset: int) -> None:
        self.child = child
        self.pid = child.pid
        stat = process.read_stat(child.pid)
        self.start = stat.start if stat else -1
        self._log = log
        self._offset = offset

    def running(self) -> bool:
        return self.child.poll() is None

    def output(self) -> str:
        with open(self._log, errors="replace") as file:
            file.seek(self._offset)
            return file.read()


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # PostgreSQL and Ceph end with advice or a backtrace; the line that names the error says more.
    telling = [line for line in lines if re.search(r"FATAL|ERROR|error|failed|unable", line)]
    return (telling or lines or ["it printed nothing"])[-1][:300]


class Service:
    """Start, restart and stop one named service, all on the supervisor's main thread."""

    summary = ""
    programs: Dict[str, str] = {}  # program -> Debian package
    variables: Sequence[str] = ()  # that have to be set where it is started
    user: Optional[str] = None     # the system user when started by root
    megabytes = 10                 # disk it needs
    stop_order: List[str] = []
    slow_to_give_up: Sequence[str] = ()  # processes that live on for long without their port

    def __init__(self, name: str, root: str, ports: Ports, port: Optional[int],
                 changed: Callable[[], None]) -> None:
        self.name = name
        self.folder = os.path.join(root, name)
        self.processes: Dict[str, Server] = {}
        self.started_in_seconds = 0.0
        self.lock = asyncio.Lock()  # one kill or restart at a time
        self._logs = os.path.join(root, "logs")
        self._ports = ports
        self._fixed_port = port
        self.port = port or 0
        self._changed = changed
        self.account = process.account(self.user)

    # What each service says about itself.

    @classmethod
    def find(cls, program: str) -> Optional[str]:
        return shutil.which(program)

    async def prepare(self) -> None:
        """Makes data and configuration in the empty self.folder for self.port."""

    async def bring_up(self) -> None:
        """Launches the processes and returns when the service answers."""
        raise NotImplementedError

    async def furnish(self) -> None:
        """Makes what tests expect to find, once, after the first bring_up."""

    def facts(self) -> Dict:
        """url, env and whatever else the state file says."""
        raise NotImplementedError

    # Starting.

    async def start(self) -> None:
        begun = time.monotonic()
        for attempt in range(1, _ATTEMPTS + 1):
            if self._fixed_port is None:
                self.port = self._ports.choose()
            try:
                self._make_folder()
                await self.prepare()
                await self.bring_up()
                await self.furnish()
                break
            except PortTaken:
                await self.stop()
                if self._fixed_port is not None or attempt == _ATTEMPTS:
                    raise
        self.started_in_seconds = round(time.monotonic() - begun, 2)

    async def restart(self) -> None:
        """The same port and data; what still runs is stopped in an orderly way first."""
        await self.stop(orderly=True)
        self.processes.clear()
        await self.bring_up()

    async def restart_process(self, name: str) -> None:
        raise ServiceError(f"{self.name} has no processes that restart singly; "
                           f"use: services restart {self.name}")

    def _make_folder(self) -> None:
        """Empty, also when an earlier attempt filled it."""
        self.processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder, 0o700)
        self.give(self.folder)

    def give(self, path: str) -> None:
        """To the user the server runs as."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def write(self, name: str, text: str) -> str:
        path = os.path.join(self.folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        self.give(path)
        return path

    def movable_clock(self) -> List[str]:
        """What goes before a server's command so that `clock_file` sets its clock off: seconds as
        a number with its sign, to be written over in place."""
        library = os.path.join(self.folder, "clock.so")
        if not os.path.exists(library):
            shutil.copyfile(os.environ[CLOCK_LIBRARY], library)  # that user may see no more than it
            self.give(library)
            self.write("clock", "+0000000\n")
        return ["env", f"LD_PRELOAD={library}", f"ARTCACHE_CLOCK_FILE={self.clock_file()}"]

    def clock_file(self) -> str:
        return os.path.join(self.folder, "clock")

    # Processes.

    async def run(self, argv: List[str], timeout: float = 60) -> str:
        """Runs a set-up command to its end and returns its output."""
        with tempfile.TemporaryFile(dir=os.path.dirname(self._logs)) as output:
            child = process.spawn(argv, self.folder, output, self.account)
            deadline = time.monotonic() + timeout
            try:
                while child.poll() is None:
                    if time.monotonic() > deadline:
                        raise ServiceError(f"{self.name}: {os.path.basename(argv[0])} took longer "
                                           f"than {timeout:.0f} s")
                    await asyncio.sleep(_POLL_SECONDS)
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
            output.seek(0)
            text = output.read().decode(errors="replace")
        if child.returncode != 0:
            raise ServiceError(f"{self.name}: {os.path.basename(argv[0])} failed: "
                               f"{last_line(text)}")
        return text

    def launch(self, name: str, argv: List[str]) -> Server:
        log = os.path.join(self._logs, f"{self.name}-{name}.log")
        with open(log, "ab") as output:
            offset = output.tell()
            child = process.spawn(argv, self.folder, output, self.account)
        server = self.processes[name] = Server(child, log, offset)
        self._changed()
        return server

    def check_alive(self) -> None:
        for name, server in self.processes.items():
            if server.running() and name not in self.slow_to_give_up:
                continue
            text = server.output()
            # radosgw ends with errno as its code, sometimes before its log is written.
            if _BIND_FAILED.search(text) or server.child.poll() == errno.EADDRINUSE:
                raise PortTaken(f"{self.name}: port {self.port} is in use; choose another with "
                                f"--port {self.name}=N, or none to get a free one")
            if server.running():
                continue
            code = server.child.returncode
            if code < 0:
                raise ServiceError(f"{self.name}: {name} was killed by signal {-code}; "
                                   f"services restart {self.name} starts all of it")
            raise ServiceError(f"{self.name}: {name} ended with {code}: {last_line(text)}")

    async def wait_until(self, ready) -> None:
        """ready is an async function; whoever calls start or restart bounds the time."""
        while True:
            self.check_alive()
            if await ready():
                self.check_alive()  # it was our server that answered, not a stranger on its port
                return
            await asyncio.sleep(_POLL_SECONDS)

    # Stopping.

    orderly_signal = signal.SIGTERM
    quick_signal = signal.SIGKILL
    patience_seconds = 5.0

    def stop_signal(self, name: str, orderly: bool) -> int:
        return self.orderly_signal if orderly else self.quick_signal

    async def stop(self, orderly: bool = False) -> None:
        for name in self.stop_order or list(self.processes):
            if name in self.processes:
                await self.stop_process(name, self.stop_signal(name, orderly))

    async def stop_process(self, name: str, number: int) -> None:
        server = self.processes[name]
        family = [server.pid] + process.descendants(server.pid)
        if server.running():
            self._signal(family, signal.SIGCONT)  # a stopped process would not hear the signal
            self._signal([server.pid], number)
            if not await self._gone(server, self.patience_seconds):
                self._signal(family, signal.SIGKILL)
                await self._gone(server, self.patience_seconds)
        ours = process.descendants(os.getpid())
        self._signal([pid for pid in family[1:] if pid in ours], signal.SIGKILL)

    async def kill(self, number: int, only: Optional[str]) -> None:
        """KILL, STOP and CONT go to the whole family, so that a stopped PostgreSQL answers nobody;
        other signals to the main process, which knows what to tell its children."""
        names = [only] if only else (self.stop_order or list(self.processes))
        for name in names:
            server = self.processes[name]
            if not server.running():
                continue
            family = [server.pid]
            if number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
                family += process.descendants(server.pid)
            self._signal(family, number)
            if number == signal.SIGKILL:
                await self._gone(server, self.patience_seconds)

    @staticmethod
    def _signal(pids: List[int], number: int) -> None:
        # All are descendants of this process, which alone reaps them: no pid is reused here.
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    @staticmethod
    async def _gone(server: Server, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while server.running():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True
