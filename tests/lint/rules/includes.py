"""Who may include what: layers, third-party libraries, platform headers, and how it is written."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Iterator, Optional, Tuple

from . import tables
from .cxx import Include
from .registry import rule
from .tree import File, Tree

_GOVERNED = ("include/", "src/", "daemon/", "examples/", "bindings/")


def layer_of(path: str) -> str:
    """The layer a file belongs to: `core`, `backends/s3`, `builtin`, `daemon`, …; or nothing."""
    parts = path.split("/")
    if parts[0] != "src":
        return parts[0] if parts[0] + "/" in _GOVERNED else ""
    if len(parts) < 3:
        return "src"
    if parts[1] != "backends":
        return parts[1]
    if len(parts) > 3:
        return "backends/" + parts[2]
    return "builtin" if parts[2].startswith("builtin.") else "backends"


def _allowed(source: str, target: str) -> bool:
    if source == target or (source, target) in tables.ALLOWED_EDGES:
        return True
    allowed = tables.ALLOWED_LAYERS.get(source, {"util"})
    if source.startswith("backends/"):
        allowed = tables.BACKEND_LAYERS
    return target in allowed or ("backends/*" in allowed and target.startswith("backends/"))


@dataclass(frozen=True)
class Resolved:
    """What an include means: the layer it reaches and, if it is misspelt, how to write it."""

    layer: str = ""
    rewrite: str = ""


def _resolve(tree: Tree, file: File, include: Include) -> Resolved:
    """Find the project header an include means. An unknown one is left to the compiler."""
    name = posixpath.normpath(include.name)
    if name.startswith("artcache/"):
        return Resolved("public", "" if include.angled else f"<{name}>")
    if include.angled and f"src/{name}" not in tree:
        return Resolved()
    in_daemon = file.under("daemon/")
    home = "daemon/" if in_daemon else "src/"
    quoted = f'"{name}"' if include.angled or name != include.name else ""
    if in_daemon and f"daemon/{name}" in tree:
        return Resolved("daemon", quoted)
    if name.split("/")[0] in tables.SRC_LAYERS:
        return Resolved(layer_of(f"src/{name}"), quoted)
    beside = posixpath.normpath(posixpath.join(file.folder, name))
    if beside not in tree:
        return Resolved()
    if beside.startswith("include/artcache/"):
        return Resolved("public", f"<{beside[len('include/') :]}>")
    written = beside[len(home) :] if beside.startswith(home) else beside
    own_folder = file.under("examples/", "bindings/") and layer_of(beside) == layer_of(file.path)
    return Resolved(layer_of(beside), "" if own_folder else f'"{written}"')


def _each(tree: Tree) -> Iterator[Tuple[File, Include]]:
    for file in tree.cxx(*_GOVERNED):
        for include in file.cxx.includes:
            yield file, include


@rule("include-layer")
def include_layer(tree: Tree):
    """A file includes only the layers below it (core never backends, include never src, …)."""
    for file, include in _each(tree):
        source = layer_of(file.path)
        target = _resolve(tree, file, include).layer
        if target in ("", "public") or _allowed(source, target):
            continue
        what = "public headers"
        own = tables.ALLOWED_LAYERS.get(source, tables.BACKEND_LAYERS)
        if own:
            what += " and " + ", ".join(sorted(own | {source}))
        yield file.path, include.line, (
            f"{source} must not include {target} ({include.name}): it may use {what}; "
            "move the code or pass the thing in"
        )


@rule("include-form")
def include_form(tree: Tree):
    """Public headers are written <artcache/x.hpp>, others "relative/to/src.hpp" (or daemon/)."""
    for file, include in _each(tree):
        resolved = _resolve(tree, file, include)
        broken_layer = resolved.layer not in ("", "public") and not _allowed(
            layer_of(file.path), resolved.layer
        )
        if resolved.rewrite and not broken_layer:
            yield file.path, include.line, f"write #include {resolved.rewrite}"


def _library_problem(file: File, library: str) -> Optional[str]:
    if library in tables.TEST_ONLY:
        return f"{library} belongs to tests/ only"
    if file.under("daemon/"):
        return None
    if library in tables.DAEMON_ONLY:
        return f"{library} belongs to daemon/ only: take it out of the library"
    for folder, libraries in tables.LIBRARY_PLACES.items():
        if file.under(folder) and library in libraries:
            return None
    return (
        f"{library} may not be used here: hide it behind a layer that may, or permit it with a "
        "reason in LIBRARY_PLACES of tests/lint/rules/tables.py"
    )


@rule("include-library")
def include_library(tree: Tree):
    """A third-party library is included only where the table permits it, Asio only in daemon/."""
    for file, include in _each(tree):
        name = include.name
        library = tables.third_party(name)
        if library:
            problem = _library_problem(file, library)
            if problem:
                yield file.path, include.line, f"<{name}>: {problem}"
            continue
        known = name in tables.STANDARD or tables.is_platform(name)
        if not include.angled or known or _resolve(tree, file, include).layer:
            continue
        yield file.path, include.line, (
            f"<{name}> is of no known library: remove it, or name its library in THIRD_PARTY of "
            "tests/lint/rules/tables.py"
        )


@rule("include-platform")
def include_platform(tree: Tree):
    """POSIX and Linux headers stay out of include/, src/core, src/capi, examples/, bindings/."""
    for file, include in _each(tree):
        if tables.is_platform(include.name) and not file.under(*tables.PLATFORM_ALLOWED):
            yield file.path, include.line, (
                f"<{include.name}> is a platform header: put the call into src/util or a backend"
            )


@rule("heavy-include")
def heavy_include(tree: Tree):
    """No header pulls in <iostream>, <regex>, Asio or Beast: every file behind it pays for it."""
    for file in tree.cxx():
        if not file.is_header or file.under(*tables.HEAVY_ALLOWED):
            continue
        for include in file.cxx.includes:
            name = include.name
            if name in tables.HEAVY_HEADERS or name.startswith(("boost/asio", "boost/beast")):
                yield file.path, include.line, (
                    f"<{name}> in a header makes every file behind it slow to compile: "
                    "forward-declare here and include it in the .cpp"
                )
