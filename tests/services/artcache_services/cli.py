# SPDX-License-Identifier: Apache-2.0
"""The command line."""
import argparse
import json
import os
import signal
import sys
from typing import List, Tuple

from . import catalog, client, folders, state, supervisor
from .errors import ServiceError

_SKIP = 77  # what ctest counts as skipped (SKIP_RETURN_CODE)
_SIGNALS = ("KILL", "STOP", "CONT", "TERM")

_ABOUT = """Starts, stops and reports real servers for tests, on loopback and in a temporary folder.
They end with their owner, by default the process that called `services up`."""

_EXAMPLES = """examples:
  services available
  services up --state /tmp/s.json postgres redis
  services run --state /tmp/s.json --need postgres -- psql -c 'select 1'
  services kill --state /tmp/s.json postgres && services restart --state /tmp/s.json postgres
  services down --state /tmp/s.json

services:
""" + "\n".join(f"  {name:18} {one.summary}" for name, one in catalog.SERVICES.items())


def _say(text: str) -> None:
    print(text, flush=True)


def up(options) -> int:
    names = list(dict.fromkeys(catalog.check_name(name) for name in options.names))
    options.port = dict(options.port)
    for name, service in client.start(names, options.state, options).items():
        _say(f"{name:18} up in {service['started_in_seconds']:.1f} s  "
             f"{state.redacted(service['url'])}")
    for name, reason in client.running(options.state)["unavailable"].items():
        _say(f"{name:18} not available: {reason}")
    return 0


def down(options) -> int:
    _say(f"{options.state}: {client.stop(options.state) or 'nothing runs'}")
    return 0


def status(options) -> int:
    found = state.read(options.state)
    if found is None:
        raise ServiceError(f"nothing runs: there is no {options.state}")
    report = {"supervisor": {"pid": found["supervisor"],
                             "state": "up" if state.is_alive(found) else "down"},
              "services": {}, "unavailable": found["unavailable"]}
    for name, entry in found["services"].items():
        report["services"][name] = {"state": state.service_state(entry), "port": entry["port"],
                                    "pids": entry["pids"], "url": state.redacted(entry["url"])}
    if options.json:
        _say(json.dumps(report, indent=2))
    else:
        _print_status(report)
    states = [report["supervisor"]["state"]]
    states += [one["state"] for one in report["services"].values()]
    return 0 if set(states) == {"up"} and not found.get("starting") else 1


def _print_status(report) -> None:
    one = report["supervisor"]
    _say(f"{'supervisor':18} {one['state']:8} pid {one['pid']}")
    for name, one in report["services"].items():
        pids = ", ".join(f"{process} {pid}" for process, pid in one["pids"].items())
        _say(f"{name:18} {one['state']:8} port {one['port']}  pid {pids}  {one['url']}")
    for name, reason in report["unavailable"].items():
        _say(f"{name:18} not available: {reason}")


def env(options) -> int:
    for name in options.names:
        catalog.check_name(name)
    for name, value in client.environment(options.state, options.names).items():
        quoted = value.replace("'", "'\\''")
        _say(f"export {name}='{quoted}'")
    return 0


def run(options) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise ServiceError("no command to run; write it behind --, e.g.: services run --state "
                           "FILE --need redis -- CMD ARGS")
    for name in options.need:
        catalog.check_name(name)
        reason = client.why_not_usable(options.state, name)
        if reason is not None:
            if client.must_have():
                raise ServiceError(f"service {name}: {reason} (ARTCACHE_REQUIRE_SERVICES is set, "
                                   "so this is a failure)")
            _say(f"SKIP: service {name}: {reason}")
            return _SKIP
    variables = client.environment(options.state, options.need)
    try:
        os.execvpe(command[0], command, {**os.environ, **variables})
    except OSError as error:
        print(f"services: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return 127


def kill(options) -> int:
    catalog.check_name(options.name)
    client.ask(options.state, {"do": "kill", "service": options.name, "process": options.process,
                               "signal": getattr(signal, "SIG" + options.signal)})
    _say(f"{options.name}: {options.signal} sent")
    return 0


def restart(options) -> int:
    catalog.check_name(options.name)
    answer = client.ask(options.state, {"do": "restart", "service": options.name,
                                        "process": options.process})
    _say(f"{options.name}: up again in {answer['seconds']:.1f} s")
    return 0


def available(options) -> int:
    names = [catalog.check_name(name) for name in options.names] or list(catalog.SERVICES)
    reasons = {name: catalog.why_unavailable(name) for name in names}
    for name, reason in reasons.items():
        _say(f"{name:18} {'no: ' + reason if reason else 'yes'}")
    return 1 if any(reasons.values()) else 0


def reap(_options) -> int:
    for path, killed in folders.reap():
        _say(f"{path}: removed, {killed} processes killed")
    return 0


def _port(text: str) -> Tuple[str, int]:
    name, _, number = text.partition("=")
    try:
        catalog.check_name(name)
    except ServiceError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise argparse.ArgumentTypeError(f"'{text}': write NAME=N with a port from 1 to 65535")
    return name, int(number)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"'{text}': write seconds, more than 0, up to 3600")
    return value


class _Parser(argparse.ArgumentParser):
    def add(self, commands, name: str, action, text: str, example: str, state_file=True):
        parser = commands.add_parser(name, help=text, description=text,
                                     epilog=f"example:\n  {example}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.set_defaults(action=action)
        if state_file:
            parser.add_argument("--state", required=True, metavar="FILE", type=os.path.abspath,
                                help="the file that says where the servers are")
        return parser


def _add_starting(top: _Parser, commands) -> None:
    one = top.add(commands, "up", up, "Start servers, in parallel, and wait until they answer.",
                  "services up --state /tmp/s.json postgres redis-tls radosgw")
    one.add_argument("names", nargs="+", metavar="NAME")
    one.add_argument("--owner", type=int, default=os.getppid(), metavar="PID",
                     help="stop when this process ends (default: the caller; 1: only by down)")
    one.add_argument("--port", type=_port, action="append", default=[], metavar="NAME=N",
                     help="a given port instead of a free one")
    one.add_argument("--timeout", type=_seconds, default=180, metavar="SECONDS",
                     help="how long one server may take to start (180)")
    one.add_argument("--logs", metavar="DIR", help="copy the servers' logs there at the end")
    one.add_argument("--allow-missing", action="store_true",
                     help="start those this machine has and note why the others are missing; "
                          "without effect when ARTCACHE_REQUIRE_SERVICES=1")
    top.add(commands, "down", down, "Stop everything and remove the folder and the state file.",
            "services down --state /tmp/s.json")


def _add_using(top: _Parser, commands) -> None:
    one = top.add(commands, "env", env, "Print the variables for tests as shell exports.",
                  'eval "$(services env --state /tmp/s.json)"')
    one.add_argument("names", nargs="*", metavar="NAME", help="only of these, the first wins")
    one = top.add(commands, "run", run,
                  "Run a command with the variables set; exit 77 when a needed service is not up, "
                  "1 when ARTCACHE_REQUIRE_SERVICES=1.",
                  "services run --state /tmp/s.json --need redis -- ./redis_test")
    one.add_argument("--need", action="append", default=[], metavar="NAME")
    one.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD ARGS")
    one = top.add(commands, "status", status, "Report each server; exit 0 when all are up.",
                  "services status --state /tmp/s.json --json")
    one.add_argument("--json", action="store_true")


def _add_breaking(top: _Parser, commands) -> None:
    text = "one process of a service, e.g. osd of radosgw (default: all)"
    one = top.add(commands, "kill", kill, "Send a signal to a server.",
                  "services kill --state /tmp/s.json radosgw --process osd --signal STOP")
    one.add_argument("name", metavar="NAME")
    one.add_argument("--signal", choices=_SIGNALS, default="KILL")
    one.add_argument("--process", metavar="PROCESS", help=text)
    one = top.add(commands, "restart", restart,
                  "Stop what still runs of a server and start it with the same port and data.",
                  "services restart --state /tmp/s.json postgres")
    one.add_argument("name", metavar="NAME")
    one.add_argument("--process", metavar="PROCESS", help=text)


def _parser() -> argparse.ArgumentParser:
    top = _Parser(prog="services", description=_ABOUT, epilog=_EXAMPLES,
                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    _add_starting(top, commands)
    _add_using(top, commands)
    _add_breaking(top, commands)
    one = top.add(commands, "available", available, "Say which services this machine can run.",
                  "services available postgres radosgw", state_file=False)
    one.add_argument("names", nargs="*", metavar="NAME")
    top.add(commands, "reap", reap, "Remove what crashed runs left behind.", "services reap",
            state_file=False)
    return top


def main(arguments: List[str]) -> int:
    if arguments == ["supervise"]:  # internal: `up` starts itself again in the background
        return supervisor.main()
    options = _parser().parse_args(arguments)
    try:
        return options.action(options)
    except ServiceError as error:
        print(f"services: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("services: interrupted; nothing is left running", file=sys.stderr)
        return 130
