"""The files under a root, read once and shared by all rules."""

from __future__ import annotations

import os
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Dict, Iterator, List, Optional

from . import cxx

# Trees that break rules on purpose, for the test of the lint itself.
FIXTURES = ("tests/lint/bad/", "tests/lint/good/")
SKIPPED_FOLDERS = {".git", "__pycache__"}

CXX_SUFFIXES = (".hpp", ".cpp", ".h", ".c", ".cc", ".inc")
HEADER_SUFFIXES = (".hpp", ".h")


class File:
    """One file: its path relative to the root and what it holds, in the views rules need."""

    def __init__(self, root: Path, path: str):
        self.path = path
        self.name = path.rsplit("/", 1)[-1]
        self.folder = path.rsplit("/", 1)[0] if "/" in path else ""
        self._disk = root / path

    @cached_property
    def raw(self) -> bytes:
        return self._disk.read_bytes()

    @cached_property
    def is_text(self) -> bool:
        return b"\0" not in self.raw

    @cached_property
    def text(self) -> str:
        # A wrong byte in a file is not this tool's business; it must only never crash on one.
        return self.raw.decode("utf-8", "replace").replace("\r\n", "\n")

    @cached_property
    def lines(self) -> List[str]:
        lines = self.text.split("\n")
        return lines[:-1] if lines and not lines[-1] else lines

    @cached_property
    def cxx(self) -> cxx.Source:
        return cxx.Source(self.text)

    @cached_property
    def shebang(self) -> str:
        if not self.raw.startswith(b"#!"):
            return ""
        return self.lines[0]

    @property
    def is_cxx(self) -> bool:
        return self.name.endswith(CXX_SUFFIXES)

    @property
    def is_header(self) -> bool:
        return self.name.endswith(HEADER_SUFFIXES)

    @cached_property
    def is_python(self) -> bool:
        return self.name.endswith(".py") or "python" in self.shebang

    @cached_property
    def is_shell(self) -> bool:
        program = self.shebang.replace("/", " ").split()
        return self.name.endswith((".sh", ".bash")) or bool({"sh", "bash"} & set(program))

    @property
    def is_cmake(self) -> bool:
        return self.name == "CMakeLists.txt" or self.name.endswith((".cmake", ".cmake.in"))

    @property
    def is_markdown(self) -> bool:
        return self.name.endswith(".md")

    @property
    def is_executable(self) -> bool:
        return bool(self._disk.stat().st_mode & 0o111)

    def under(self, *folders: str) -> bool:
        return self.path.startswith(folders)

    def line_at(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1


class Tree:
    """All files of a root that git tracks or would track; without git, all but build/."""

    def __init__(self, root: Path):
        self.root = root
        self.files: Dict[str, File] = {}
        for path in sorted(_tracked(root) if (root / ".git").exists() else _walked(root)):
            disk = root / path
            if path.startswith(FIXTURES) or disk.is_symlink() or not disk.is_file():
                continue
            self.files[path] = File(root, path)
        self.folders = {""}
        for path in self.files:
            parts = path.split("/")[:-1]
            self.folders.update("/".join(parts[: n + 1]) for n in range(len(parts)))

    def __iter__(self) -> Iterator[File]:
        return iter(self.files.values())

    def __contains__(self, path: str) -> bool:
        return path in self.files

    def get(self, path: str) -> Optional[File]:
        return self.files.get(path)

    def cxx(self, *folders: str) -> Iterator[File]:
        return (f for f in self if f.is_cxx and (not folders or f.under(*folders)))

    def code(self) -> Iterator[File]:
        return (f for f in self if f.is_cxx or f.is_cmake or f.is_python or f.is_shell)


def _tracked(root: Path) -> List[str]:
    # The checkout may belong to another user (a container, CI); listing it is harmless.
    command = ["git", "-c", "safe.directory=*", "-C", str(root)]
    command += ["ls-files", "-co", "--exclude-standard", "-z"]
    try:
        listing = subprocess.run(command, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return _walked(root)
    return list({os.fsdecode(name) for name in listing.split(b"\0") if name})


def _walked(root: Path) -> List[str]:
    paths = []
    for folder, subfolders, names in os.walk(root):
        top = Path(folder) == root
        subfolders[:] = [
            s for s in subfolders if s not in SKIPPED_FOLDERS and not (top and s == "build")
        ]
        relative = Path(folder).relative_to(root)
        paths += [(relative / name).as_posix() for name in names]
    return paths
