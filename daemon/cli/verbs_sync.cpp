// SPDX-License-Identifier: Apache-2.0
// sync and events: a replica of an index, and the changes of one as they come.
#include <CLI/CLI.hpp>
#include <artcache/follower.hpp>
#include <artcache/http_log.hpp>
#include <artcache/json_writer.hpp>
#include <cstdio>
#include <fstream>
#include <optional>
#include <thread>

#include "cli/place.hpp"
#include "cli/verbs.hpp"
#include "common/follow_json.hpp"
#include "common/s3_environment.hpp"

namespace artcache::cli {
namespace {

using namespace std::chrono_literals;

// --- where it comes from ------------------------------------------------------------------------

/// The log at an address: that of an index, which is opened here, or one that is served over HTTP.
struct Source {
  std::unique_ptr<MetadataStore> index;  ///< null over HTTP
  std::unique_ptr<LogSource> log;
};

constexpr std::uintmax_t kTokenMost = 64 * 1024;

/// Read before each request: whoever renews it needs to tell nobody.
Result<std::string> token_in(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (file)
    for (char c = 0; text.size() < kTokenMost && file.get(c);) text += c;
  const auto end = text.find_last_not_of(" \t\r\n");
  text.resize(end == std::string::npos ? 0 : end + 1);
  if (text.empty())
    return Error{Errc::unavailable, "--token-file: '" + path + "' holds no token at this moment"};
  return text;
}

Result<Source> open_source(const std::string& address, const std::string& token_file,
                           const Place& place) {
  Source source;
  const auto url = Url::parse(address);
  if (!url) return url.error();
  if (url->scheme() == "http" || url->scheme() == "https") {
    HttpLogSettings settings{.url = address, .token = {}};
    if (!token_file.empty())
      settings.token = [token_file](const Call&) { return token_in(token_file); };
    else if (const auto token = process_environment()("ARTCACHE_TOKEN"))
      settings.token = [token](const Call&) -> Result<std::string> { return *token; };
    auto log = open_http_log(settings, place.deps);
    if (!log) return std::move(log).error();
    source.log = std::move(*log);
    return source;
  }
  auto index = open_existing_index(Backends::builtin(), *url, place);
  if (!index) return std::move(index).error();
  source.index = std::move(*index);
  source.log = make_log_source(*source.index, place.deps);
  return source;
}

/// What a server says of a token does not tell where this program takes it from.
int fail_at_source(Error error) {
  if (error.message.find(", 401") != std::string::npos)
    error.message += "; ARTCACHE_TOKEN or --token-file has to hold a token of the element's admin";
  else if (error.message.find(", 403") != std::string::npos)
    error.message += "; the token's account needs the role auditor, operator or admin";
  return fail(error);
}

// --- sync ---------------------------------------------------------------------------------------

void add_token_file(CLI::App& verb, std::string& path) {
  verb.add_option("--token-file", path,
                  "Instead of ARTCACHE_TOKEN: a file that holds the token, read again for every "
                  "request, so that it may be renewed meanwhile");
}

struct SyncOptions : CommonOptions {
  std::string from, token_file;
  bool follow = false, replace = false;
  std::uint32_t batch = 1000;
  double audit_seconds = 3600;
};

void print_status(const SyncOptions& options, const FollowStatus& status,
                  const std::vector<DeadLetter>& dead, Timestamp now) {
  if (options.as_json) {
    JsonWriter json;
    json.begin_object();
    append_follow(json, status, now);
    // The same as digest_matches, under its older name.
    json.member("proven", status.proven);
    json.key("dead_letters").begin_array();
    for (const DeadLetter& letter : dead)
      json.begin_object()
          .member("file_id", letter.key)
          .member("seq", letter.seq)
          .member("reason", letter.reason)
          .end_object();
    print_line(json.end_array().end_object().str());
  } else if (!options.quiet) {
    std::printf("%s at %s, %llu applied, %llu mended%s\n",
                status.proven ? "in step" : std::string(to_string(status.state)).c_str(),
                to_string(status.position).c_str(), static_cast<unsigned long long>(status.applied),
                static_cast<unsigned long long>(status.mended),
                dead.empty() ? "" : ", except what could not be applied:");
    for (const DeadLetter& letter : dead)
      std::printf("  %s: %s\n", letter.key.c_str(), letter.reason.c_str());
  }
  std::fflush(stdout);
}

/// Nobody's own index shall be made a copy by a mistyped address. A copy that was cut off before it
/// knew how far it is, is one all the same.
Result<void> refuse_to_overwrite(LogSource& source, const std::string& name, MetadataStore& copy,
                                 const SyncOptions& options, const Call& call) {
  const auto theirs = source.head(call);
  if (!theirs) return theirs.error();
  const auto ours = copy.head(call);
  if (!ours) return ours.error();
  if (theirs->position.epoch == ours->position.epoch)
    return Error{Errc::invalid_argument, "sync: --from and --index are the same index"};
  const auto state = replica_state(copy, call);
  if (!state) return state.error();
  const bool follows = *state && (*state)->source == name;
  if (!follows && ours->count > 0 && !options.replace)
    return Error{Errc::conflict, "sync: '" + copy.describe() + "' holds " +
                                     std::to_string(ours->count) +
                                     " entries and has never followed this source; --replace makes "
                                     "it a copy and takes away what the source does not have"};
  return {};
}

/// Follows until Ctrl-C or --timeout; a line whenever what can be told has changed.
int follow(const SyncOptions& options, Follower& follower, const Place& place) {
  std::jthread teller([&](const std::stop_token& ended) {
    std::optional<Position> told;
    std::optional<FollowState> state;
    while (!ended.stop_requested()) {
      const FollowStatus now = follower.status();
      if (now.proven && (told != now.position || state != now.state)) {
        print_status(options, now, follower.dead_letters(), place.deps.clock->now());
        told = now.position;
      } else if (state != now.state && now.state == FollowState::waiting) {
        print_status(options, now, follower.dead_letters(), place.deps.clock->now());
      }
      state = now.state;
      std::this_thread::sleep_for(50ms);
    }
  });
  const auto ended = follower.run(place.call);
  if (!ended && (ended.error().code == Errc::cancelled || ended.error().code == Errc::timed_out))
    return kDone;
  return ended ? kDone : fail_at_source(ended.error());
}

int run_sync(const SyncOptions& options) {
  auto place = open_place(options, Needs::index, IfMissing::create);
  if (!place) return fail(place.error());
  const auto url = Url::parse(options.from);
  if (!url) return fail(url.error().in("--from"));
  const auto source = open_source(options.from, options.token_file, *place);
  if (!source) return fail(source.error().in("--from"));
  const auto sink = make_replica(*place->index, url->redacted(), place->deps);
  if (auto may =
          refuse_to_overwrite(*source->log, url->redacted(), *place->index, options, place->call);
      !may)
    return fail_at_source(may.error());
  FollowSettings settings;
  settings.batch = options.batch;
  settings.audit_interval = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(options.audit_seconds));
  settings.patience = 1s;
  Follower follower(*source->log, *sink, settings, place->deps);
  if (options.follow) return follow(options, follower, *place);
  const auto status = follower.catch_up(place->call);
  if (!status) return fail_at_source(status.error());
  const auto dead = follower.dead_letters();
  print_status(options, *status, dead, place->deps.clock->now());
  return dead.empty() ? kDone : kInconsistent;
}

void add_sync(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand(
      "sync",
      "Makes --index a copy of another index and proves it by the digest; exits with 2 if some "
      "records could not be applied");
  auto options = std::make_shared<SyncOptions>();
  add_common(*verb, *options, Needs::index);
  verb->add_option("--from", options->from,
                   "Address of the index to follow, or http://… of an element, with the token in "
                   "the environment variable ARTCACHE_TOKEN")
      ->required();
  add_token_file(*verb, options->token_file);
  verb->add_flag("--follow", options->follow, "Goes on until Ctrl-C or --timeout");
  verb->add_flag("--replace", options->replace,
                 "Lets an index that holds entries of its own become a copy");
  verb->add_option("--batch", options->batch, "Changes applied in one transaction")
      ->check(CLI::Range(std::uint32_t{1}, static_cast<std::uint32_t>(kApplyMost)))
      ->capture_default_str();
  verb->add_option("--audit-every", options->audit_seconds,
                   "With --follow: compares the digests every so many seconds, too")
      ->check(CLI::Range(0.1, 1e9))
      ->capture_default_str();
  verb->callback([options, &code] { code = run_sync(*options); });
}

// --- events -------------------------------------------------------------------------------------

struct EventOptions : CommonOptions {
  std::string from, token_file, after;
  bool all = false, once = false;
  std::uint64_t limit = 0;
};

std::string_view name_of(LogRow::Kind kind) {
  switch (kind) {
    case LogRow::Kind::put:
      return "put";
    case LogRow::Kind::remove:
      return "remove";
    case LogRow::Kind::reset:
      return "reset";
  }
  return "";
}

/// What the payload says is told by its name only: `get ID` shows the rest as it is now.
std::string filename_in(const LogRow& row) {
  if (row.kind != LogRow::Kind::put) return {};
  const auto entry = parse_content(row.record.payload);
  return entry ? entry->original_filename : std::string();
}

void print_event(const EventOptions& options, const LogRow& row) {
  if (options.as_json) {
    JsonWriter json;
    json.begin_object()
        .member("event", name_of(row.kind))
        .member("seq", row.position.seq)
        .member("position", to_string(row.position))
        .member("committed_at", to_string(row.committed_at));
    if (row.kind != LogRow::Kind::reset)
      json.member("file_id", row.record.key).member("content_hash", to_string(row.record.hash));
    if (row.kind == LogRow::Kind::put) json.member("original_filename", filename_in(row));
    print_line(json.end_object().str());
  } else {
    std::printf("%s  %8llu  %-6s  %s  %s\n", to_string(row.committed_at).substr(0, 19).c_str(),
                static_cast<unsigned long long>(row.position.seq),
                std::string(name_of(row.kind)).c_str(), row.record.key.c_str(),
                filename_in(row).c_str());
  }
}

/// Where to begin: behind --after, at the oldest change there is, or at the end.
Result<Position> begin_of(LogSource& log, const EventOptions& options, const Call& call) {
  if (!options.after.empty()) {
    auto position = parse_position(options.after);
    if (!position) return std::move(position).error().in("--after");
    return position;
  }
  auto head = log.head(call);
  if (!head) return std::move(head).error();
  if (!options.all || head->oldest_seq > head->position.seq) return head->position;
  if (head->oldest_seq == 1) return Position{.epoch = head->position.epoch, .seq = 0, .digest = {}};
  return Error{Errc::gone, "events: the log has forgotten what was before seq " +
                               std::to_string(head->oldest_seq) +
                               "; --after a position that it has, or without --all from now on"};
}

int run_tail(const EventOptions& options) {
  const std::string& address = options.from.empty() ? options.index : options.from;
  if (address.empty())
    return fail({Errc::invalid_argument, "events: --index or --from says whose changes"});
  CommonOptions common = options;
  common.index = address;
  Url unused;
  const auto place = begin_place(common, &unused);
  if (!place) return fail(place.error());
  const auto source = open_source(address, options.token_file, *place);
  if (!source)
    return fail(options.from.empty() ? advised(Error(source.error()).in("--index"))
                                     : Error(source.error()).in("--from"));
  const auto& log = source->log;
  auto position = begin_of(*log, options, place->call);
  if (!position) return fail_at_source(position.error());
  std::uint64_t left = options.limit == 0 ? ~std::uint64_t{0} : options.limit;
  while (left > 0) {
    const auto limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, 1000));
    const auto slice = log->read_after(*position, limit, options.once ? 0ms : 1000ms, place->call);
    if (!slice) {
      const Errc why = slice.error().code;
      if (!options.once && (why == Errc::cancelled || why == Errc::timed_out)) return kDone;
      return fail_at_source(slice.error());
    }
    for (const LogRow& row : slice->rows) print_event(options, row);
    std::fflush(stdout);
    left -= slice->rows.size();
    if (!slice->rows.empty()) position = slice->rows.back().position;
    if (options.once && slice->rows.empty()) break;
  }
  return kDone;
}

void add_events(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand("events", "The changes of an index, from its log");
  verb->require_subcommand(1);
  auto* tail = verb->add_subcommand("tail", "Prints each change as it is committed, until Ctrl-C");
  auto options = std::make_shared<EventOptions>();
  add_common(*tail, *options, Needs::index);
  hide_options(*tail, {"--locks", "--element"});
  // Either of them.
  tail->get_option("--index")->required(false);
  tail->add_option("--from", options->from,
                   "Instead of --index: http://… of an element, with the token in the environment "
                   "variable ARTCACHE_TOKEN");
  add_token_file(*tail, options->token_file);
  auto* all = tail->add_flag("--all", options->all, "Begins with the first change that there was");
  tail->add_option("--after", options->after, "Begins behind this position, as --json prints it")
      ->excludes(all);
  tail->add_flag("--once", options->once, "Ends when all there is was printed");
  tail->add_option("--limit", options->limit, "Ends after so many; 0 for never")
      ->capture_default_str();
  tail->callback([options, &code] { code = run_tail(*options); });
}

}  // namespace

void add_sync_verbs(CLI::App& app, int& code) {
  add_sync(app, code);
  add_events(app, code);
}

}  // namespace artcache::cli
