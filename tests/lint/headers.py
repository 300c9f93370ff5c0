#!/usr/bin/env python3
"""Every public header compiles alone, twice in one file, and pulls in nobody else's headers."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List, Tuple

sys.dont_write_bytecode = True  # a lint must not leave files in the tree it looks at
sys.path.insert(0, str(Path(__file__).resolve().parent))

from rules import tables  # noqa: E402

CXX = ["-std=c++20", "-x", "c++"]
C = ["-std=c11", "-x", "c"]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]


def system_folders(compiler: str, language: List[str]) -> List[str]:
    """Where a compiler looks for its own headers and the C library's."""
    # -isystem and CPATH of the caller do not count: they are how foreign headers get in.
    clean = {k: v for k, v in os.environ.items() if not k.endswith("PATH") or k == "PATH"}
    clean["LC_ALL"] = "C"
    command = [compiler, *language, "-E", "-v", os.devnull]
    shown = subprocess.run(command, capture_output=True, text=True, env=clean, check=True).stderr
    block = shown.split("search starts here:")[-1].split("End of search list")[0]
    return [os.path.realpath(line.strip()) for line in block.splitlines() if line.strip()]


def dependencies(make_rule: str) -> List[str]:
    """The files a -MD rule names, after its target."""
    joined = make_rule.replace("\\\n", " ").split(":", 1)[-1]
    return [name.replace("\\ ", " ") for name in re.findall(r"(?:\\ |\S)+", joined)]


def foreign(paths: List[str], include: Path, system: List[str]) -> List[str]:
    """The dependencies that are neither ours nor the compiler's and C library's."""
    found = []
    for name in paths:
        path = os.path.realpath(name)
        if path.startswith(str(include) + os.sep):
            continue
        inside = [f for f in system if path.startswith(f + os.sep)]
        # The longest folder tells what was written between the brackets.
        relative = os.path.relpath(path, max(inside, key=len)) if inside else path
        if not inside or tables.third_party(relative):
            found.append(name)
    return found


def check(header: Path, include: Path, compiler: str, language: List[str]) -> List[str]:
    """What is wrong with one header in one language."""
    shown = header.relative_to(include).as_posix()
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "alone"), Path(folder, "alone.d")
        # Twice: without a guard the second one redefines everything.
        source.write_text(f"#include <{shown}>\n#include <{shown}>\n", encoding="utf-8")
        command = [compiler, *language, *WARNINGS, "-I", str(include)]
        command += ["-MD", "-MF", str(made), str(source)]
        run = subprocess.run(command, capture_output=True, text=True)
        name = language[-1]
        if run.returncode:
            lines = run.stderr.strip().splitlines()
            first = next((line for line in lines if "error" in line), "no message")
            return [f"{shown}: does not compile alone as {name}: {first}"]
        used = dependencies(made.read_text(encoding="utf-8"))
    used = [path for path in used if os.path.realpath(path) != os.path.realpath(source)]
    outside = foreign(used, include, system_folders(compiler, language))
    return [f"{shown}: pulls in {path}, which a user of ours may not have" for path in outside[:3]]


def jobs(include: Path, compiler: str, cc: str) -> List[Tuple]:
    """Each header with each compiler it must please: .hpp as C++, .h as C++ and as C."""
    found = []
    for header in sorted((include / "artcache").rglob("*")):
        if header.suffix in (".hpp", ".h"):
            found.append((header, include, compiler, CXX))
        if header.suffix == ".h":
            found.append((header, include, cc, C))
    return found


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parents[2] / "include"
    parser.add_argument("--compiler", default="c++", help="the C++ compiler (default: c++)")
    parser.add_argument("--cc", default="cc", help="the C compiler for .h files (default: cc)")
    parser.add_argument("--include", type=Path, default=default, help="holds artcache/")
    options = parser.parse_args(arguments)
    include = options.include.resolve()
    if not (include / "artcache").is_dir():
        parser.error(f"{include} holds no folder artcache")
    work = jobs(include, options.compiler, options.cc)
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            problems = [p for found in pool.map(lambda job: check(*job), work) for p in found]
    except (OSError, subprocess.CalledProcessError) as error:
        parser.error(f"cannot run the compiler: {error}")
    for problem in problems:
        print(problem)
    print(f"headers: {len(work)} compilations, {len(problems)} findings")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
