// SPDX-License-Identifier: Apache-2.0
// doctor: how an index is, and the one command that mends each thing that can be wrong.
#include <CLI/CLI.hpp>
#include <array>
#include <artcache/follower.hpp>
#include <artcache/json_writer.hpp>
#include <cstdio>
#include <optional>
#include <string_view>

#include "cli/place.hpp"
#include "cli/verbs.hpp"

namespace artcache::cli {
namespace {

struct Remedy {
  FindingKind kind;
  std::string_view command;
};
/// In the order in which they are to be done. A lost sidecar is both of the first two, and its
/// entry is then all that is left of it: nothing that removes entries may come before it is written
/// anew.
constexpr std::array<Remedy, kFindingKinds> kRemedies{{
    {FindingKind::orphan_data, "artcache repair --from index; without an entry: remove the file"},
    {FindingKind::orphan_cache,
     "artcache repair --from index; what it leaves without a data file: "
     "artcache rebuild --incremental --prune"},
    {FindingKind::orphan_attr, "artcache rebuild --incremental"},
    {FindingKind::stale, "artcache rebuild --incremental"},
    {FindingKind::expired, "artcache cleanup"},
    {FindingKind::unreadable, "mend or remove the sidecar, then: artcache repair --from index"},
    {FindingKind::missing_data, "restore the data file from a backup, or: artcache rm ID"},
    {FindingKind::size_mismatch, "restore the data file from a backup, or: artcache rm ID"},
    {FindingKind::bad_checksum, "restore the data file from a backup, or: artcache rm ID"},
    {FindingKind::pending, "artcache repair --from index"},
}};

struct State {
  IndexHead head;
  Position counted;  // where the rows were added up
  Digest digest;
  std::uint64_t rows = 0;
  std::vector<LockHolder> holders;
  std::string last_run, last_check;
  std::optional<ReplicaState> copy;  // nothing: an index of its own

  [[nodiscard]] bool sums_agree() const {
    return counted.digest == digest && (counted != head.position || rows == head.count);
  }
  /// Why it may be wrong; empty: it is trusted. Of a copy its source knows that.
  [[nodiscard]] std::string suspect_reason() const {
    if (!copy) return head.suspect_reason;
    const std::string at = to_string(copy->standing.source);
    if (!copy->whole) return "it does not hold what its source did at " + at;
    const std::size_t dead = copy->standing.dead.size();
    if (dead == 0) return {};
    return std::to_string(dead) + " records of its source could not be applied";
  }
  /// What mends an index that is not trusted, or that does not add up.
  [[nodiscard]] std::string remedy() const {
    return copy ? "artcache sync --from " + copy->source : "artcache rebuild";
  }
};

Result<State> examine(Place& place) {
  State state;
  auto head = place.index->head(place.call);
  if (!head) return std::move(head).error();
  state.head = *head;
  const auto add = [&](std::span<const KeyAndHash> rows) -> Result<void> {
    for (const KeyAndHash& row : rows) state.digest += Digest::of(to_string(row.id), row.hash);
    state.rows += rows.size();
    return {};
  };
  const auto counted = place.index->scan(add, place.call);
  if (!counted) return counted.error();
  state.counted = *counted;
  auto holders = place.locks->list("", place.call);
  if (!holders) return std::move(holders).error();
  state.holders = std::move(*holders);
  const auto run = place.index->note(kLastRunNote, place.call);
  const auto check = place.index->note(kLastCheckNote, place.call);
  auto copy = replica_state(*place.index, place.call);
  if (!copy) return std::move(copy).error();
  state.copy = std::move(*copy);
  if (run) state.last_run = *run;
  if (check) state.last_check = *check;
  return state;
}

void print_json(const State& state) {
  JsonWriter json(JsonWriter::Layout::indented);
  json.begin_object()
      .member("position", to_string(state.head.position))
      .member("entries", state.head.count)
      .member("bytes", state.head.bytes)
      .member("oldest_seq", state.head.oldest_seq)
      .member("generation", state.head.generation)
      .member("fence", state.head.fence)
      .member("digest_agrees", state.sums_agree())
      .member("trusted", state.suspect_reason().empty())
      .member("suspect_reason", state.suspect_reason())
      .member("copy_of", state.copy ? state.copy->source : "")
      .member("copied_to", state.copy ? to_string(state.copy->standing.source) : "")
      .member("last_run", state.last_run)
      .member("last_check", state.last_check)
      .member("locks_held", state.holders.size());
  json.key("remedies").begin_object();
  if (!state.copy)
    for (const Remedy& remedy : kRemedies) json.member(to_string(remedy.kind), remedy.command);
  const std::string remedy = state.remedy();
  json.member("suspect", remedy).member("wrong digest", remedy).end_object();
  print_line(std::move(json.end_object()).str());
}

std::string or_never(const std::string& text) { return text.empty() ? "never" : text; }

void print_remedies(const State& state) {
  const std::string remedy = state.remedy();
  if (!state.copy) {
    std::printf(
        "\nwhat a check may find, and what mends it, in this order, with the same --index and its "
        "--storage:\n");
    for (const Remedy& each : kRemedies)
      std::printf("  %-14s %s\n", std::string(to_string(each.kind)).c_str(),
                  std::string(each.command).c_str());
  }
  if (!state.suspect_reason().empty()) std::printf("  %-14s %s\n", "suspect", remedy.c_str());
  if (!state.sums_agree()) std::printf("  %-14s %s\n", "wrong digest", remedy.c_str());
}

void print_state(const Place& place, const State& state) {
  const IndexHead& head = state.head;
  char epoch[20];
  std::snprintf(epoch, sizeof epoch, "%016llx",
                static_cast<unsigned long long>(head.position.epoch));
  std::printf("index        %s\n", place.index->describe().c_str());
  std::printf("epoch        %s\n", epoch);
  std::printf("seq          %llu, the log reaches back to %llu\n",
              static_cast<unsigned long long>(head.position.seq),
              static_cast<unsigned long long>(head.oldest_seq));
  std::printf("digest       %s, %s just now\n", to_string(head.position.digest).c_str(),
              state.sums_agree() ? "verified over all entries" : "WRONG when added up");
  std::printf("entries      %llu with %llu bytes\n", static_cast<unsigned long long>(head.count),
              static_cast<unsigned long long>(head.bytes));
  const std::string reason = state.suspect_reason();
  std::printf("trusted      %s\n", reason.empty() ? "yes" : ("NO: " + reason).c_str());
  if (state.copy) {
    std::printf("copy of      %s\n", state.copy->source.c_str());
    std::printf("copied to    %s\n", to_string(state.copy->standing.source).c_str());
  } else {
    std::printf("last rebuild %s\n", or_never(state.last_run).c_str());
    std::printf("last check   %s\n", or_never(state.last_check).c_str());
  }
  if (state.holders.empty()) std::printf("locks        nobody holds one\n");
  for (const LockHolder& holder : state.holders)
    std::printf("lock         %s of '%s' on %s: %s %s\n",
                std::string(to_string(holder.lock_class)).c_str(), holder.element.c_str(),
                holder.host.c_str(), holder.operation.c_str(), holder.progress.c_str());
  print_remedies(state);
}

int run_doctor(const CommonOptions& options) {
  auto place = open_place(options, Needs::index);
  if (!place) return fail(place.error());
  const auto state = examine(*place);
  if (!state) return fail(state.error());
  if (options.as_json)
    print_json(*state);
  else
    print_state(*place, *state);
  return state->sums_agree() && state->suspect_reason().empty() ? kDone : kInconsistent;
}

}  // namespace

void add_doctor(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand(
      "doctor", "Says how an index is, and what mends it; exits with 2 when it is not trusted");
  auto options = std::make_shared<CommonOptions>();
  add_common(*verb, *options, Needs::index);
  verb->callback([options, &code] { code = run_doctor(*options); });
}

}  // namespace artcache::cli
