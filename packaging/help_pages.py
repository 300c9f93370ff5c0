#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Man pages and shell completion, made of what the programs say about themselves.

usage: help_pages.py FOLDER PROGRAM...

Writes NAME.1, NAME.bash and _NAME (for zsh) for each program.
"""

import os
import pathlib
import re
import subprocess
import sys

TABLE = re.compile(r"^  (\S.*?)(?:  +(\S.*))?$")
# Becomes another program, which has a page of its own.
ELSEWHERE = {"serve"}


class Help:
    """What --help of a program, or of one of its verbs, says."""

    def __init__(self, program, verbs=()):
        self.verbs = verbs
        # An environment of the reader's would stand in it as the value in force.
        text = subprocess.run([program, *verbs, "--help"], capture_output=True, text=True,
                              check=True, env={"PATH": os.defpath}).stdout
        lines = text.splitlines()
        self.about = lines[0]
        self.usage = next(line[len("Usage: "):] for line in lines if line.startswith("Usage: "))
        self.tables = {"Positionals": [], "Options": [], "Subcommands": []}
        self.foot = []
        table = None
        for line in lines[2:]:
            if line.rstrip(":") in self.tables and line.endswith(":"):
                table = self.tables[line[:-1]]
            elif table is not None and table and line.startswith(" " * 20):
                table[-1][1] = (table[-1][1] + " " + line.strip()).strip()
            elif table is not None and (row := TABLE.match(line)):
                table.append([row[1].strip(), row[2] or ""])
            elif line.strip():
                self.foot.append(line)
        self.below = [Help(program, (*verbs, name)) for name, _ in self.tables["Subcommands"]
                      if name not in ELSEWHERE]

    def all(self):
        yield self
        for one in self.below:
            yield from one.all()

    def options(self):
        """Names, whether a value follows, its choices, and what it is for."""
        for head, about in self.tables["Options"]:
            names = head.split()[0].split(",")
            kind = " ".join(word for word in head.split()[1:]
                            if word not in ("Excludes:", "REQUIRED") and not word.startswith("--"))
            kind = re.sub(r"\(Env:\w+\)", "", kind).strip()
            choices = re.search(r"\{([^}]*)\}", kind)
            yield names, bool(kind), choices[1].split(",") if choices else [], about


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in text)
    return "\\&" + text if text[:1] in (".", "'") else text


def entries(rows):
    return "".join(f".TP\n\\fB{roff(head)}\\fR\n{roff(about)}\n" for head, about in rows)


def man_page(name, version, top):
    out = [f'.TH {name.upper()} 1 "" "artcache {version}" "User Commands"\n',
           f".SH NAME\n{name} \\- {roff(top.about[:1].lower() + top.about[1:].rstrip('.'))}\n",
           f".SH SYNOPSIS\n\\fB{roff(top.usage)}\\fR\n",
           f".SH DESCRIPTION\n{roff(top.about)}\n",
           ".SH OPTIONS\n", entries(top.tables["Options"])]
    if top.tables["Subcommands"]:
        out += [".SH VERBS\n", entries(top.tables["Subcommands"])]
    for one in list(top.all())[1:]:
        out += [f'.SS "{roff(" ".join((name, *one.verbs)))}"\n', roff(one.about), "\n.PP\n",
                f"\\fB{roff(one.usage)}\\fR\n",
                entries(one.tables["Positionals"] + one.tables["Options"])]
    exits = [line for line in top.foot if line.startswith("Exit codes:")]
    out += [f".SH EXIT STATUS\n{roff(line[len('Exit codes: '):])}\n" for line in exits]
    out.append(".SH SEE ALSO\n.BR artcache (1),\n.BR artcached (1)\n")
    return "".join(out)


def bash_case(one):
    names = [name for names, *_ in one.options() for name in names]
    words = [name for name, _ in one.tables["Subcommands"]] + names
    path = " ".join(one.verbs)
    return f'    "{path}") words="{" ".join(words)}" ;;\n'


def bash_values(one):
    path = " ".join(one.verbs)
    for names, takes, choices, _ in one.options():
        for name in names if takes else ():
            yield f'    "{path} {name}") values="{" ".join(choices)}" takes=1 ;;\n'


def bash_page(name, top):
    verbs = "|".join(sorted({one.verbs[-1] for one in top.all() if one.verbs}))
    walk = (f"    case $word in {verbs}) path+=\"${{path:+ }}$word\" ;; esac\n" if verbs
            else "    :\n")
    return (f"# bash completion of {name}\n"
            f"_{name}() {{\n"
            '  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n'
            '  local path="" word words="" values="" takes=""\n'
            '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do\n' + walk + "  done\n"
            '  case "$path $before" in\n' +
            "".join(row for one in top.all() for row in bash_values(one)) +
            "  esac\n"
            "  if [[ -n $values ]]; then\n"
            '    mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current")\n'
            "    return\n"
            "  fi\n"
            '  case "$path" in\n' + "".join(bash_case(one) for one in top.all()) +
            "  esac\n"
            # A value without choices may be a file, and so may what follows a verb.
            '  [[ -n $takes ]] && words=""\n'
            '  [[ -z $current && -n $path && -z $takes ]] && return\n'
            '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")\n'
            "}\n"
            f"complete -o default -F _{name} {name}\n")


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def zsh_spec(names, takes, choices, about):
    about = re.sub(r"[\[\]:\\]", " ", about)
    value = ""
    if takes:
        value = f":value:({' '.join(choices)})" if choices else ":value:_files"
    return [quoted(f"{name}[{about}]{value}") for name in names]


def zsh_function(name, one):
    own = "_".join((f"_{name}", *one.verbs))
    specs = [spec for option in one.options() for spec in zsh_spec(*option)]
    out = f"{own}() {{\n"
    if one.tables["Subcommands"]:
        rows = " ".join(quoted(f"{verb}:{about.replace(':', ' ')}")
                        for verb, about in one.tables["Subcommands"])
        out += (f"  local -a verbs=({rows})\n"
                "  local state\n"
                f"  _arguments -C {' '.join(specs)} '1:verb:->verb' '*::rest:->rest'\n"
                "  case $state in\n"
                "    verb) _describe verb verbs ;;\n"
                f"    rest) (( $+functions[{own}_$words[1]] )) && {own}_$words[1] ;;\n"
                "  esac\n")
    else:
        out += f"  _arguments {' '.join(specs)} '*:file:_files'\n"
    return out + "}\n"


def zsh_page(name, top):
    return (f"#compdef {name}\n" +
            "".join(zsh_function(name, one) for one in top.all()) + f'_{name} "$@"\n')


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for program in sys.argv[2:]:
        name = pathlib.Path(program).name
        version = subprocess.run([program, "--version"], capture_output=True, text=True,
                                 check=True).stdout.split()[-1]
        top = Help(program)
        (folder / f"{name}.1").write_text(man_page(name, version, top))
        (folder / f"{name}.bash").write_text(bash_page(name, top))
        (folder / f"_{name}").write_text(zsh_page(name, top))


if __name__ == "__main__":
    main()
