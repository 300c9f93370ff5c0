"""The rules of the lint. Importing a rule module puts its rules into `registry.RULES`."""

from . import (  # noqa: F401  (imported for what they register, in the order of --list)
    includes,
    calls,
    sql,
    cmake,
    sizes,
    docs,
    readme,
    guarantees,
    form,
    api,
    words,
    shell,
    allow,
)
