"""SQL text stays where the design puts it."""

from __future__ import annotations

import re

from . import tables
from .registry import rule
from .tree import Tree

_OBJECT = r"(?:TABLE|INDEX|VIEW|TRIGGER|SCHEMA|SEQUENCE|FUNCTION|TYPE|EXTENSION|DATABASE|ROLE)"
_CREATE = (
    r"CREATE\s+(?:(?:UNIQUE|TEMP|TEMPORARY|VIRTUAL|UNLOGGED|MATERIALIZED|CONSTRAINT|OR\s+REPLACE)"
    rf"\s+)*{_OBJECT}\b"
)
# Capitals are SQL wherever they stand in a literal.
_CAPITALS = re.compile(
    r"\bSELECT\b[\s\S]*?\bFROM\b|\bINSERT\s+(?:OR\s+\w+\s+)?INTO\b|\bREPLACE\s+INTO\b"
    r"|\bUPDATE\s+\S+\s+(?:AS\s+\w+\s+)?SET\b|\bDELETE\s+FROM\b"
    rf"|\b{_CREATE}|\bALTER\s+TABLE\b|\bDROP\s+{_OBJECT}\b|\bPRAGMA\s+\w"
    r"|\bTRUNCATE\s+TABLE\b|\A\s*TRUNCATE\s+\S"
)
# Small letters might be prose, so the literal has to begin as a statement does.
_SMALL = re.compile(
    r"\A\s*(?:select\s+[\w*,.\s()]+\sfrom\s+\w|insert\s+into\s+\w+\s*[(\s]|delete\s+from\s+\w"
    rf"|update\s+\w+\s+set\s+\w+\s*=|(?:{_CREATE})\s|drop\s+{_OBJECT}\s|alter\s+table\s"
    r"|pragma\s+\w+\s*[=(;]|truncate\s+table\s)",
    re.IGNORECASE,
)
_ESCAPES = re.compile(r"\\[ntr]|\\\n")
_FILES = re.compile("|".join(tables.SQL_FILES))


@rule("sql-place")
def sql_place(tree: Tree):
    """SQL statements stand only in src/sql, the two SQL backends, the daemon's schema, tests/."""
    for file in tree.cxx():
        if file.under(*tables.SQL_PLACES) or _FILES.fullmatch(file.path):
            continue
        for literal in file.cxx.literals:
            value = _ESCAPES.sub(" ", literal.value)
            match = _CAPITALS.search(value) or _SMALL.search(value)
            if match:
                statement = " ".join(match.group().split()[:2])
                yield file.path, file.line_at(literal.offset), (
                    f"SQL ({statement} …) outside src/sql and the SQL backends: move the statement "
                    "there and call a function named after what it does"
                )
