// SPDX-License-Identifier: Apache-2.0
// artcached: main. Reads the command line, makes a plan, runs it until a signal comes.
#include <malloc.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <artcache/json_writer.hpp>
#include <artcache/version.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "common/log_writer.hpp"
#include "common/metrics_registry.hpp"
#include "config/page.hpp"
#include "config/plan.hpp"
#include "daemon.hpp"
#include "roles/element_names.hpp"
#include "roles/table.hpp"
#include "routes_page.hpp"
#include "sql/sqlite/process.hpp"
#include "util/mutex.hpp"

namespace artcache {
namespace {

constexpr int kDone = 0, kFailed = 1, kUsage = 64;

struct Options {
  std::string config, data;
  std::vector<std::string> roles, flags;
  bool demo = false, check = false, print = false, routes = false, settings = false;
  int port_offset = -1;  ///< below 0: the usual ports; 0: free ones
};

int fail(const Error& error, int code = kFailed) {
  std::fprintf(stderr, "artcached: %s\n", error.message.c_str());
  return code;
}

sigset_t signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

/// Does what a hangup asks for, on a thread of its own: files may hang with their file system, and
/// whoever is told to end must hear it meanwhile.
class Hangups {
 public:
  Hangups(Daemon& daemon, LogWriter& log)
      : thread_([this, &daemon, &log] {
          while (next()) {
            if (auto done = log.reopen(); !done) fail(done.error());
            daemon.reload();
          }
        }) {}
  Hangups(const Hangups&) = delete;
  Hangups& operator=(const Hangups&) = delete;

  /// Returns at once. Of several that come while one is seen to, one more is.
  void note() {
    const util::MutexLock held(mutex_);
    wanted_ = true;
    changed_.notify_all();
  }
  /// In the end, once: waits for the one that is seen to.
  void end() {
    {
      const util::MutexLock held(mutex_);
      ended_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

 private:
  /// Waits for one; false: there are no more.
  bool next() {
    const util::MutexLock held(mutex_);
    while (!wanted_ && !ended_) changed_.wait(mutex_);
    wanted_ = false;
    return !ended_;
  }

  util::Mutex mutex_;
  util::CondVar changed_;
  bool wanted_ ARTCACHE_GUARDED_BY(mutex_) = false, ended_ ARTCACHE_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

/// Waits for signals on a thread of its own, as long as it lives.
class Signals {
 public:
  Signals(Daemon& daemon, LogWriter& log, std::stop_source stop)
      : hangups_(daemon, log), thread_([this, stop]() mutable { wait(stop); }) {}
  ~Signals() {
    hangups_.end();  // a second signal still ends the process at once
    ended_ = true;
    pthread_kill(thread_.native_handle(), SIGHUP);
    thread_.join();
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  void wait(std::stop_source& stop) {
    const sigset_t set = signals();
    for (int signal = 0; sigwait(&set, &signal) == 0 && !ended_;) {
      if (signal == SIGHUP)
        hangups_.note();
      else if (!stop.request_stop())
        std::_Exit(128 + signal);  // the second one: at once
    }
  }
  Hangups hangups_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

Result<std::vector<config::Said>> read_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()))
    return Error{Errc::not_found, "--config: '" + file + "' cannot be read"};
  return config::parse_toml(text.str(), std::filesystem::path(file).filename().string());
}

Result<config::Plan> plan_of(const Options& options) {
  config::Sources sources{
      .file = {}, .environment = {}, .roles = options.roles, .flags = options.flags};
  if (!options.config.empty()) {
    auto said = read_file(options.config);
    if (!said) return std::move(said).error();
    sources.file = *std::move(said);
  }
  // A demonstration is the same everywhere.
  if (!options.demo) {
    sources.environment = [](const std::string& name) -> std::optional<std::string> {
      const char* value = std::getenv(name.c_str());
      return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    };
    for (char** one = environ; *one != nullptr; ++one) {
      const std::string_view line(*one);
      sources.variables.emplace_back(line.substr(0, line.find('=')));
    }
  }
  if (!options.data.empty())
    sources.flags.insert(sources.flags.begin(), "daemon.data=" + options.data);
  auto plan = config::make_plan(role_kinds(), sources);
  if (plan && plan->instances.empty())
    return Error{Errc::invalid_argument,
                 "no role to run: name one in --config or with --role, or try --demo"};
  return plan;
}

/// Among those of its kind.
unsigned place_in_demo(const config::Instance& one) {
  const auto all = one.kind->demo_instances;
  const auto found = std::ranges::find(all, one.name);
  return found == all.end() ? 0U : static_cast<unsigned>(found - all.begin());
}

/// What --demo adds to the flags: every role, on embedded parts below `data`.
Result<void> add_demo(config::Plan& plan, const Options& options) {
  for (config::Instance& one : plan.instances) {
    if (!one.site.was_said("port")) {
      const unsigned usual = one.kind->port + place_in_demo(one);
      const auto port = options.port_offset == 0
                            ? 0U
                            : usual + static_cast<unsigned>(std::max(0, options.port_offset));
      if (auto put = one.site.put("port", std::to_string(port), "--port-offset"); !put) return put;
    }
    if (one.kind->demo == nullptr) continue;
    if (auto told = one.kind->demo(one.name, plan.data(), one.role); !told)
      return std::move(told).error().in(one.name);
  }
  return {};
}

int print_routes(const config::Plan& plan) {
  const auto page = routes_page(plan);
  if (!page) return fail(page.error());
  std::fputs(page->c_str(), stdout);
  return kDone;
}

void print_ports(const Daemon& daemon, const std::string& data) {
  JsonWriter json;
  json.begin_object().member("data", data).key("ports").begin_object();
  for (const auto& [name, port] : daemon.ports()) json.member(name, std::uint64_t{port});
  json.end_object().end_object();
  std::printf("%s\n", json.str().c_str());
  std::fflush(stdout);
}

/// Says everything that is wrong, not only the first.
bool check(const config::Plan& plan) {
  bool good = true;
  const auto complain = [&good](std::string text) {
    fail({Errc::invalid_argument, std::move(text)});
    good = false;
  };
  const std::string &level = plan.daemon.text("log_level"),
                    &layout = plan.daemon.text("log_format");
  if (!parse_log_level(level))
    complain("daemon: log_level: '" + level + "' is not debug, info, warning or error");
  if (layout != "text" && layout != "json")
    complain("daemon: log_format: '" + layout + "' is neither text nor json");
  for (const config::Instance& one : plan.instances)
    for (const auto& checked : {one.kind->check(one.role), check_element_names(plan, one)})
      if (!checked) complain(one.name + ": " + checked.error().message);
  return good;
}

int serve(const config::Plan& plan) {
  const auto level = parse_log_level(plan.daemon.text("log_level"));
  const std::string& layout = plan.daemon.text("log_format");
  MetricsRegistry metrics;
  auto log = LogWriter::open(plan.daemon.text("log_file"),
                             layout == "json" ? LogWriter::Layout::json : LogWriter::Layout::text,
                             *level, system_clock());
  if (!log) return fail(log.error());
  const Deps deps{.clock = &system_clock(), .logger = log->get(), .metrics = &metrics};
  for (const std::string& warning : plan.warnings)
    (*log)->log({.level = LogLevel::warning,
                 .logger = "artcached",
                 .message = warning,
                 .fields = {},
                 .request_id = {}});
  const Backends backends = Backends::builtin();
  const std::stop_source stop;
  Call call;
  call.stop = stop.get_token();
  Daemon daemon(plan, deps, metrics, backends);
  const Signals signals(daemon, **log, stop);
  if (auto opened = daemon.open(call); !opened) {
    // Whoever told it to end while it started got what was asked for.
    const bool told = stop.stop_requested() && opened.error().code == Errc::cancelled;
    return told ? kDone : fail(opened.error());
  }
  print_ports(daemon, plan.data());
  if (auto ran = daemon.run(call); !ran) return fail(ran.error());
  return kDone;
}

int run(const Options& given) {
  Options options = given;
  if (options.settings) {
    std::fputs(config::settings_page(role_kinds()).c_str(), stdout);
    return kDone;
  }
  const bool of_all = options.routes && options.config.empty() && options.roles.empty();
  if (options.demo && options.data.empty()) options.data = "artcached-demo";
  if (options.demo || of_all) {
    for (const RoleKind* kind : role_kinds()) {
      if (kind->demo_instances.empty()) options.roles.emplace_back(kind->name);
      for (const std::string_view instance : kind->demo_instances)
        options.roles.push_back(std::string(kind->name).append(".").append(instance));
    }
  }
  auto plan = plan_of(options);
  if (!plan) return fail(plan.error(), kUsage);
  if (options.demo)
    if (auto added = add_demo(*plan, options); !added) return fail(added.error());
  const bool looks = options.routes || (options.print && !options.check);
  const bool good = looks || check(*plan), serves = good && !looks && !options.check;
  for (const std::string& warning : plan->warnings)
    if (!serves) std::fprintf(stderr, "artcached: %s\n", warning.c_str());
  if (options.print) std::fputs(config::to_text(*plan).c_str(), stdout);
  if (options.routes) return print_routes(*plan);
  if (serves) return serve(*plan);
  if (good && options.check) std::puts("the configuration is good");
  return good ? kDone : kUsage;
}

/// A thread that a file system holds up in a read of keys is left behind at the end, and may go on
/// with them while the process exits: OpenSSL must not take itself down beside it. Called before
/// all that uses OpenSSL.
void leave_crypto_at_exit() { OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr); }

/// glibc grows its thresholds with the largest block that was freed, and every arena would keep one
/// of 16 MiB for good: the room in which a worker once checked a secret.
void give_memory_back() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
#endif
}

}  // namespace
}  // namespace artcache

int main(int argc, char** argv) {
  using namespace artcache;
  leave_crypto_at_exit();
  give_memory_back();
  // Before any thread: all of them leave the signals to one.
  const sigset_t set = signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  sql::count_no_sqlite_memory();
  CLI::App app{
      "Serves the roles of artcache over HTTP, until SIGTERM. SIGHUP reads keys and certificates "
      "anew."};
  app.name("artcached");
  app.set_version_flag("--version", "artcached " + std::string(version()));
  Options options;
  app.add_option("--config", options.config, "TOML, see packaging/artcached.toml")
      ->type_name("FILE");
  app.add_option("--role", options.roles, "Runs it, also without a section in the file")
      ->type_name("ROLE[.INSTANCE]");
  app.add_option("--set", options.flags, "Above the file and the environment")
      ->type_name("SECTION.NAME=VALUE");
  app.add_flag("--demo", options.demo, "All roles on embedded parts, for a first look");
  app.add_option("--data", options.data, "Where everything is kept")->type_name("DIR");
  app.add_option("--port-offset", options.port_offset, "Moves the ports of --demo; 0: free ports")
      ->type_name("N")
      ->check(CLI::Range(0, 50'000));
  app.add_flag("--check-config", options.check, "Says whether the configuration is good, and ends");
  app.add_flag("--print-config", options.print, "Prints what is in force, and who said it; ends");
  app.add_flag("--settings", options.settings, "Prints every setting there is, and ends");
  app.add_flag("--routes", options.routes,
               "Prints the routes of these roles, else of all, and ends");
  app.footer("Exit codes: 0 done, 1 failed, 64 wrong usage or configuration.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  return run(options);
}
