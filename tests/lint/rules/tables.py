"""What the rules know: headers, layers and the exceptions, each exception with its reason."""

from __future__ import annotations

# --- standard headers -------------------------------------------------------------------------

STANDARD = frozenset(
    """
    algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv
    chrono cinttypes climits clocale cmath compare complex concepts condition_variable coroutine
    csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype
    deque exception execution expected filesystem format forward_list fstream functional future
    initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map
    memory memory_resource mutex new numbers numeric optional ostream queue random ranges ratio
    regex scoped_allocator semaphore set shared_mutex source_location span sstream stack
    stdexcept stop_token streambuf string string_view strstream syncstream system_error thread
    tuple type_traits typeindex typeinfo unordered_map unordered_set utility valarray variant
    vector version
    assert.h complex.h ctype.h errno.h fenv.h float.h inttypes.h iso646.h limits.h locale.h
    math.h setjmp.h signal.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h
    stdlib.h stdnoreturn.h string.h tgmath.h threads.h time.h uchar.h wchar.h wctype.h
    """.split()
)

# POSIX, Linux and the compiler: what only code that touches the machine needs.
PLATFORM = frozenset(
    """
    aio.h alloca.h arm_neon.h byteswap.h cpuid.h cxxabi.h dirent.h dlfcn.h elf.h endian.h err.h
    error.h execinfo.h fcntl.h features.h fnmatch.h ftw.h getopt.h glob.h grp.h iconv.h ifaddrs.h
    emmintrin.h immintrin.h langinfo.h libgen.h link.h malloc.h mntent.h mqueue.h netdb.h poll.h
    pthread.h pty.h pwd.h regex.h resolv.h sched.h semaphore.h spawn.h stdio_ext.h strings.h
    syslog.h termios.h ucontext.h ulimit.h unistd.h utime.h wait.h windows.h wordexp.h x86intrin.h
    """.split()
)
PLATFORM_FOLDERS = ("sys/", "linux/", "netinet/", "arpa/", "net/", "asm/", "bits/", "gnu/")
PLATFORM_ALLOWED = ("src/util/", "src/sql/", "src/redis/", "src/backends/", "daemon/", "tests/")

# --- third-party headers: how the name starts -> the library; the longest match counts ----------

THIRD_PARTY = {
    "boost/": "boost",
    "boost/asio": "boost-asio",
    "boost/beast": "boost-beast",
    "boost/json": "boost-json",
    "boost/url": "boost-url",
    "fmt/": "fmt",
    "sqlite3.h": "sqlite3",
    "sqlite3ext.h": "sqlite3",
    "libpq-fe.h": "libpq",
    "libpq/": "libpq",
    "postgresql/": "libpq",
    "pg_config": "libpq",
    "postgres_ext.h": "libpq",
    "curl/": "curl",
    "openssl/": "openssl",
    "hiredis": "hiredis",
    "pugixml.hpp": "pugixml",
    "pugiconfig.hpp": "pugixml",
    "libstemmer.h": "libstemmer",
    "libstemmer/": "libstemmer",
    "zstd": "zstd",
    "zdict.h": "zstd",
    "zlib.h": "zlib",
    "lz4": "lz4",
    "CLI/": "cli11",
    "toml++/": "toml++",
    "prometheus/": "prometheus",
    "doctest/": "doctest",
    "doctest.h": "doctest",
    "benchmark/": "benchmark",
}

# Never in the library: coroutines and sockets of Asio live in daemon/ only.
DAEMON_ONLY = {"boost-asio", "boost-beast", "boost-url", "cli11", "toml++", "prometheus", "zlib"}
TEST_ONLY = {"doctest", "benchmark"}

# Where a library may be included: start of the path -> {library: why there}.
LIBRARY_PLACES = {
    "src/core/attr/": {"boost-json": "the sidecar codec parses JSON; nothing else in core does"},
    "src/core/search/": {"libstemmer": "stemming is a pure function and one index's tokens"},
    "src/util/": {
        "openssl": "SHA-256 and random bytes behind util's own functions",
        "fmt": "formatting behind util's own functions",
    },
    "src/sql/": {
        "sqlite3": "the statement runner over SQLite",
        "libpq": "the statement runner over PostgreSQL",
    },
    "src/backends/s3/": {
        "curl": "the transport",
        "pugixml": "S3 answers in XML",
        "openssl": "SigV4 is written here over HMAC-SHA256",
    },
    "src/backends/postgres/": {"libpq": "the client library"},
    "src/backends/sqlite/": {"sqlite3": "the client library"},
    "src/redis/": {
        "hiredis": "formatting and parsing of the protocol",
        "openssl": "the connection, with TLS, is ours",
    },
    "src/web/": {
        "curl": "the transport",
        "openssl": "a file of certificates is looked at before it replaces one that works",
    },
}

# --- layers: who may include what of the project; public headers are open to all ----------------

SRC_LAYERS = ("core", "sql", "web", "redis", "util", "capi", "backends")
ALLOWED_LAYERS = {
    "include": set(),
    "examples": set(),
    "bindings": set(),
    "daemon": {"daemon", "sql", "web", "redis", "util"},
    "core": {"core", "util"},
    "util": {"util"},
    "sql": {"sql", "util"},
    "web": {"web", "util"},
    "redis": {"redis", "util"},
    "capi": {"capi"},
    "builtin": {"builtin", "util", "backends/*"},
}
BACKEND_LAYERS = {"util", "sql", "web", "redis"}

# Edges between layers that the rules above forbid, each with the reason why it may be.
ALLOWED_EDGES = {
    ("backends/memory", "backends/sqlite"): "`mem:` as an index is SQLite in a private file",
}

# --- other places -------------------------------------------------------------------------------

SQL_PLACES = ("src/sql/", "src/backends/sqlite/", "src/backends/postgres/", "tests/", "bench/")
SQL_FILES = (r"daemon/(?:common|roles/[^/]+)/(?:.+/)?(?:schema|tables)[^/]*\.cpp",)

CMAKE_EXCEPTIONS = {
    "tests/lint/bad/": "trees that break rules, for the test of the lint",
    "tests/lint/good/": "a tree that breaks none, for the test of the lint",
    "tests/install/": "projects of their own, configured by the install tests",
}

HEAVY_HEADERS = ("iostream", "regex", "windows.h", "boost/asio", "boost/beast")
HEAVY_ALLOWED = ("daemon/http/",)

# Package hosts are named only by the one script that installs packages.
HOSTS_ALLOWED = ("scripts/setup",)
COMMAND_FOLDERS = ("scripts/", ".ci/")
COMMANDS = ("tests/services/services",)


def third_party(name: str) -> str:
    """The library a header belongs to, or an empty string."""
    best = max((p for p in THIRD_PARTY if name.startswith(p)), key=len, default="")
    return THIRD_PARTY.get(best, "")


def is_platform(name: str) -> bool:
    return name in PLATFORM or name.startswith(PLATFORM_FOLDERS)
