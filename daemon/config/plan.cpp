// SPDX-License-Identifier: Apache-2.0
#include "config/plan.hpp"

#include <algorithm>
#include <artcache/json_writer.hpp>
#include <utility>

#include "config/original.hpp"

namespace artcache::config {
namespace {

constexpr Setting kDaemon[] = {
    {.name = "data",
     .variable = "DATA_DIR",
     .fallback = "/var/lib/artcached",
     .meaning = "A folder; each instance has one of its name in it"},
    {.name = "log_level",
     .variable = "LOG_LEVEL",
     .fallback = "info",
     .meaning = "debug, info, warning or error"},
    {.name = "log_format", .variable = "LOG_FORMAT", .fallback = "text", .meaning = "text or json"},
    {.name = "log_file", .variable = "LOG_FILE", .meaning = "Instead of stderr"},
    {.name = "io_threads",
     .variable = "ARTCACHED_IO_THREADS",
     .kind = Kind::number,
     .fallback = "0",
     .meaning = "Threads for connections; 0: one a core",
     .most = 1024},
    {.name = "workers",
     .variable = "ARTCACHED_WORKERS",
     .kind = Kind::number,
     .fallback = "32",
     .meaning = "Requests that are worked on at the same time",
     .least = 1,
     .most = 4096},
    {.name = "queue",
     .variable = "ARTCACHED_QUEUE",
     .kind = Kind::number,
     .fallback = "1024",
     .meaning = "Requests that wait for a worker; beyond that 503",
     .most = 1'000'000},
    {.name = "lasting",
     .variable = "ARTCACHED_LASTING",
     .kind = Kind::number,
     .fallback = "16",
     .meaning = "Requests that last by design (runs, followed jobs); beyond that 503",
     .least = 1,
     .most = 1024},
    {.name = "grace",
     .variable = "ARTCACHED_GRACE",
     .kind = Kind::duration,
     .fallback = "30s",
     .meaning = "How long requests may go on after SIGTERM"},
};

constexpr Setting kSite[] = {
    {.name = "address",
     .variable = "HOST",
     .also = "SERVER_HOST",
     .fallback = "127.0.0.1",
     .meaning = "An IP address; 0.0.0.0 for all"},
    {.name = "port",
     .variable = "PORT",
     .also = "SERVER_PORT",
     .kind = Kind::number,
     .fallback = "0",
     .meaning = "0: a free one",
     .most = 65535},
    {.name = "tls_certificate", .variable = "TLS_CERTIFICATE", .meaning = "PEM; empty: plain HTTP"},
    {.name = "tls_key", .variable = "TLS_KEY", .meaning = "PEM file of its private key"},
    {.name = "cors_origins",
     .variable = "CORS_ALLOW_ORIGINS",
     .meaning = "Web pages that may call, with commas; * for all"},
    {.name = "connections",
     .variable = "MAX_CONNECTIONS",
     .kind = Kind::number,
     .fallback = "10000",
     .meaning = "At the same time; 0: no limit"},
    {.name = "header_bytes",
     .variable = "MAX_HEADER_BYTES",
     .kind = Kind::number,
     .fallback = "16384",
     .meaning = "Of request line and header"},
    {.name = "header_timeout",
     .variable = "HEADER_TIMEOUT",
     .kind = Kind::duration,
     .fallback = "10s",
     .meaning = "Until a header is there"},
    {.name = "first_byte_timeout",
     .variable = "FIRST_BYTE_TIMEOUT",
     .kind = Kind::duration,
     .fallback = "15s",
     .meaning = "Until an announced body begins"},
    {.name = "body_timeout",
     .variable = "BODY_TIMEOUT",
     .kind = Kind::duration,
     .fallback = "60s",
     .meaning = "Between two pieces of a body"},
    {.name = "body_rate",
     .variable = "BODY_RATE",
     .kind = Kind::number,
     .fallback = "500",
     .meaning = "Bytes a second of a body, averaged over body_timeout; 0: no limit"},
    {.name = "write_timeout",
     .variable = "WRITE_TIMEOUT",
     .kind = Kind::duration,
     .fallback = "60s",
     .meaning = "Until a piece of an answer is taken"},
    {.name = "idle_timeout",
     .variable = "IDLE_TIMEOUT",
     .kind = Kind::duration,
     .fallback = "75s",
     .meaning = "Between two requests of a connection"},
};

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == '-') c = '_';
  }
  return out;
}

std::vector<std::string_view> names_in(std::initializer_list<std::span<const Setting>> tables) {
  std::vector<std::string_view> names;
  for (const auto table : tables)
    for (const Setting& setting : table) names.push_back(setting.name);
  return names;
}

/// Its names in the environment, the one that counts more first.
std::vector<std::string> variables_of(const Setting& setting, const std::string& prefix) {
  std::vector<std::string> names;
  for (const std::string_view name : {setting.variable, setting.also})
    if (!name.empty()) names.push_back(prefix + std::string(name));
  return names;
}

/// Kubernetes tells every container of a service `redis` by REDIS_PORT=tcp://10.0.0.7:6379.
bool is_service_link(const Setting& setting, std::string_view variable, std::string_view value) {
  return setting.kind == Kind::number && variable.ends_with("_PORT") &&
         (value.starts_with("tcp://") || value.starts_with("udp://"));
}

Error unknown(const std::string& source, const std::string& what, std::string_view name,
              const std::vector<std::string_view>& candidates) {
  std::string text = source + ": there is no " + what + " '" + std::string(name) + "'";
  const std::string meant = nearest(name, candidates);
  if (!meant.empty()) text += "; did you mean '" + meant + "'?";
  return {Errc::invalid_argument, std::move(text)};
}

/// Makes the plan, source by source.
class Planner {
 public:
  Planner(std::span<const RoleKind* const> kinds, const Sources& sources)
      : kinds_(kinds),
        sources_(sources),
        plan_{.daemon = Settings(kDaemon), .instances = {}, .warnings = {}} {}

  Result<Plan> make() {
    for (const Said& said : sources_.file)
      if (auto done = take(said); !done) return std::move(done).error();
    for (const std::string& role : sources_.roles)
      if (auto found = instance(role, "--role"); !found) return std::move(found).error();
    std::ranges::stable_sort(plan_.instances, {}, [this](const Instance& one) {
      return std::ranges::find(kinds_, one.kind) - kinds_.begin();
    });
    if (auto done = take_environment(); !done) return std::move(done).error();
    for (const std::string& flag : sources_.flags)
      if (auto done = take_flag(flag); !done) return std::move(done).error();
    return std::move(plan_);
  }

 private:
  struct Named {
    const RoleKind* kind = nullptr;
    std::string name;
    Instance* there = nullptr;  ///< unless it is new
  };

  /// `element` or `element.se-01`.
  Result<Named> look_up(const std::string& section, const std::string& source) {
    const std::size_t dot = section.find('.');
    const std::string role = section.substr(0, dot);
    const auto kind = std::ranges::find(kinds_, std::string_view(role), &RoleKind::name);
    if (kind == kinds_.end()) {
      std::vector<std::string_view> names{"daemon"};
      for (const RoleKind* known : kinds_) names.push_back(known->name);
      return unknown(source, "role", role, names);
    }
    const std::string name =
        dot == std::string::npos ? std::string((*kind)->instance) : section.substr(dot + 1);
    const auto found = std::ranges::find(plan_.instances, name, &Instance::name);
    if (found == plan_.instances.end()) return Named{.kind = *kind, .name = name};
    if (found->kind == *kind) return Named{.kind = *kind, .name = name, .there = &*found};
    return Error{Errc::invalid_argument, source + ": '" + name + "' is two roles"};
  }

  /// Made when it is not there yet.
  Result<Instance*> instance(const std::string& section, const std::string& source) {
    const auto named = look_up(section, source);
    if (!named) return named.error();
    if (named->there != nullptr) return named->there;
    Instance made{.kind = named->kind,
                  .name = named->name,
                  .site = Settings(kSite),
                  .role = Settings(named->kind->settings)};
    if (auto put = made.site.put("port", std::to_string(named->kind->port), "default"); !put)
      return std::move(put).error();
    plan_.instances.push_back(std::move(made));
    return &plan_.instances.back();
  }

  Result<void> take(const Said& said) {
    if (said.section == "daemon") {
      if (said.name.empty()) return {};
      if (!plan_.daemon.has(said.name))
        return unknown(said.source, "setting", said.name, names_in({kDaemon}));
      return plan_.daemon.put(said.name, said.value, said.source);
    }
    const auto found = instance(said.section, said.source);
    if (!found) return found.error();
    return put(**found, said);
  }

  static Result<void> put(Instance& one, const Said& said) {
    if (said.name.empty()) return {};
    if (one.role.has(said.name)) return one.role.put(said.name, said.value, said.source);
    if (one.site.has(said.name)) return one.site.put(said.name, said.value, said.source);
    return unknown(said.source, "setting", said.name, names_in({one.role.table(), kSite}));
  }

  Result<void> take_flag(const std::string& flag) {
    const std::size_t equals = flag.find('=');
    const std::size_t dot = flag.rfind('.', equals);
    if (equals == std::string::npos || dot == std::string::npos || dot == 0)
      return Error{Errc::invalid_argument, "--set: '" + flag + "' is not SECTION.NAME=VALUE"};
    const Said said{.section = flag.substr(0, dot),
                    .name = flag.substr(dot + 1, equals - dot - 1),
                    .value = flag.substr(equals + 1),
                    .source = "--set"};
    if (said.section == "daemon") return take(said);
    const auto named = look_up(said.section, said.source);
    if (!named) return named.error();
    if (named->there != nullptr) return put(*named->there, said);
    // What only tells a role something starts none: the name may be mistyped.
    const auto full_name = [](const RoleKind& kind, const std::string& name) {
      return std::string(kind.name) + "." + name;
    };
    std::vector<std::string> here;
    for (const Instance& one : plan_.instances) here.push_back(full_name(*one.kind, one.name));
    Error error = unknown(said.source, "instance", full_name(*named->kind, named->name),
                          {here.begin(), here.end()});
    if (here.empty()) error.message += "; --role or a section of --config starts one";
    return error;
  }

  Result<void> take_environment() {
    if (!sources_.environment) return {};
    if (auto done = take_variables(plan_.daemon, ""); !done) return done;
    const bool alone = plan_.instances.size() == 1;
    for (Instance& one : plan_.instances) {
      const std::string prefix = "ARTCACHE_" + upper(one.name) + "_";
      for (Settings* settings : {&one.site, &one.role}) {
        if (alone) {
          if (auto done = take_variables(*settings, ""); !done) return done;
        } else {
          warn_of_bare_names(*settings, prefix);
        }
        if (auto done = take_variables(*settings, prefix); !done) return done;
      }
    }
    warn_of_unread_names();
    return {};
  }

  /// A variable that is none of ours is nobody's business, unless the original reads it, or it
  /// looks like one.
  void warn_of_unread_names() {
    std::vector<std::string> known;
    const auto add = [&](const Settings& settings, const std::string& prefix) {
      for (const Setting& setting : settings.table())
        for (std::string& name : variables_of(setting, prefix)) known.push_back(std::move(name));
    };
    add(plan_.daemon, "");
    for (const Instance& one : plan_.instances)
      for (const Settings* settings : {&one.site, &one.role}) {
        add(*settings, "");
        add(*settings, "ARTCACHE_" + upper(one.name) + "_");
      }
    const std::vector<std::string_view> names(known.begin(), known.end());
    for (const std::string& variable : sources_.variables) {
      const std::size_t word = variable.find('_');
      if (word == std::string::npos || std::ranges::find(names, variable) != names.end()) continue;
      if (const std::string_view instead = original_only(variable); !instead.empty()) {
        plan_.warnings.push_back(variable + " has no effect: " + std::string(instead));
        continue;
      }
      const std::string meant = nearest(variable, names);
      if (meant.starts_with(variable.substr(0, word + 1)))
        plan_.warnings.push_back(variable + " is read by nobody here; did you mean " + meant + "?");
    }
  }

  Result<void> take_variables(Settings& settings, const std::string& prefix) {
    for (const Setting& setting : settings.table())
      for (const std::string& variable : variables_of(setting, prefix)) {
        auto value = sources_.environment(variable);
        if (!value) continue;
        if (is_service_link(setting, variable, *value)) {
          plan_.warnings.push_back(variable + " = '" + *value +
                                   "' comes from a service of Kubernetes and has no effect");
          continue;
        }
        if (auto done = settings.put(setting.name, *std::move(value), variable); !done) return done;
        break;
      }
    return {};
  }

  void warn_of_bare_names(const Settings& settings, const std::string& prefix) {
    for (const Setting& setting : settings.table())
      for (const std::string& variable : variables_of(setting, "")) {
        if (!sources_.environment(variable)) continue;
        std::string text = variable + " is ignored, since several roles run here; set " + prefix +
                           variable + " or the like";
        const bool said = std::ranges::any_of(plan_.warnings, [&](const std::string& warning) {
          return warning.starts_with(variable + " ");
        });
        if (!said) plan_.warnings.push_back(std::move(text));
      }
  }

  std::span<const RoleKind* const> kinds_;
  const Sources& sources_;
  Plan plan_;
};

/// As TOML has it.
std::string literal(const Settings& settings, const Setting& setting) {
  const std::string value = settings.shown(setting.name);
  if (setting.kind == Kind::number) return value;
  if (setting.kind == Kind::flag) return settings.flag(setting.name) ? "true" : "false";
  std::string quoted;
  append_json_string(quoted, value);  // TOML's basic strings are those of JSON
  return quoted;
}

void append_lines(std::string& out, const Settings& settings) {
  for (const Setting& setting : settings.table())
    out.append(setting.name)
        .append(" = ")
        .append(literal(settings, setting))
        .append("  # ")
        .append(settings.source(setting.name))
        .append("\n");
}

}  // namespace

std::filesystem::path Plan::data() const { return std::filesystem::absolute(daemon.text("data")); }

Result<Plan> make_plan(std::span<const RoleKind* const> kinds, const Sources& sources) {
  return Planner(kinds, sources).make();
}

std::string to_text(const Plan& plan) {
  std::string out = "[daemon]\n";
  append_lines(out, plan.daemon);
  for (const Instance& one : plan.instances) {
    out.append("\n[").append(one.kind->name).append(".").append(one.name).append("]\n");
    append_lines(out, one.site);
    append_lines(out, one.role);
  }
  return out;
}

std::span<const Setting> daemon_settings() { return kDaemon; }
std::span<const Setting> site_settings() { return kSite; }

}  // namespace artcache::config
