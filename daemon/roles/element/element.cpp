// SPDX-License-Identifier: Apache-2.0
#include "roles/element/element.hpp"

#include <algorithm>
#include <artcache/follower.hpp>
#include <chrono>
#include <cmath>
#include <mutex>
#include <utility>

#include "util/here.hpp"
#include "util/pause.hpp"
#include "util/try.hpp"

namespace artcache::element {
namespace {

// Says both what was configured and what it was changed to, so that a new configuration wins.
constexpr std::string_view kModeNote = "element_mode";
constexpr std::chrono::seconds kSettleRound{5};
constexpr std::string_view kRewindsDoubted = "artcache_log_rewinds_doubted_total";

FileSettings file_settings(const ElementSettings& settings, ElementMode mode) {
  FileSettings out;
  out.element = settings.id;
  out.mode = mode;
  out.ttl_hours = settings.ttl_hours;
  out.capacity_bytes = settings.capacity_bytes;
  out.upload_most = settings.upload_most;
  return out;
}

FileSettings refreshing(FileSettings settings, CacheRebuildService& caches) {
  settings.refresh = [&caches](const FileId& id) { return caches.queue_refresh(id); };
  return settings;
}

RebuildSettings rebuild_settings(const ElementSettings& settings, ElementMode mode) {
  RebuildSettings out;
  out.element = settings.id;
  out.table = settings.table;
  out.mode = mode;
  out.ttl_hours = settings.ttl_hours;
  out.details_most = settings.details_most;
  return out;
}

std::string note_of(ElementMode configured, ElementMode current) {
  return std::string(to_string(configured)) + ">" + std::string(to_string(current));
}

ElementParts with_locks(ElementParts parts, LockManager& locks) {
  parts.locks = &locks;
  return parts;
}

void slow_down(Services& services, const RunRates& rates) {
  IoBudget& budget = services.caches.budget();
  budget.set_files_per_second(rates.files_per_second);
  budget.set_bytes_per_second(rates.bytes_per_second);
}

bool may_change(ElementMode from, ElementMode to) {
  using enum ElementMode;
  return (from == rw && to == ro) || (from == ro && to == ar) || (from == ro && to == rw);
}

}  // namespace

Services::Services(const ElementParts& parts, const ElementSettings& settings, ElementMode m)
    : mode(m),
      caches(*parts.storage, *parts.index, *parts.locks, rebuild_settings(settings, m), parts.deps),
      files(*parts.storage, *parts.index, *parts.claims,
            refreshing(file_settings(settings, m), caches), parts.deps),
      deps_(parts.deps) {}

Services::~Services() { stop(); }

void Services::start() {
  refresher_ = std::jthread([this](std::stop_token stop) {
    Call call;
    call.stop = std::move(stop);
    const auto ended = caches.run(call);
    if (ended || ended.error().code == Errc::cancelled) return;
    const std::string cause = to_string(ended.error());
    const std::string source = util::here();
    const LogField fields[] = {{"cause", cause}, {"source", source}};
    deps_.logger->log(
        {LogLevel::error, "element", "expired entries are not refreshed any more", fields, {}});
  });
  settler_ = std::jthread([this](const std::stop_token& stop) {
    Call call;
    call.stop = stop;
    // The services of the mode before knew of some that these do not.
    settle_once(call);
    settle(stop);
  });
}

void Services::start_settling() {
  settler_ = std::jthread([this](const std::stop_token& stop) { settle(stop); });
}

/// What the start of a mode could not settle for good, and what has failed since.
void Services::settle(const std::stop_token& stop) {
  Call call;
  call.stop = stop;
  while (util::pause_for(kSettleRound, stop))
    if (files.unsettled() > 0) settle_once(call);
}

/// It says itself what it could not settle; without an index there will be another round.
void Services::settle_once(const Call& call) {
  const auto done = files.recover(call);
  if (done || done.error().code == Errc::cancelled) return;
  const std::string cause = to_string(done.error());
  const LogField fields[] = {{"cause", cause}};
  deps_.logger->log({LogLevel::warning,
                     "element",
                     "changes that were cut short could not be settled; tried again",
                     fields,
                     {}});
}

void Services::stop() {
  refresher_.request_stop();
  settler_.request_stop();
  if (refresher_.joinable()) refresher_.join();
  if (settler_.joinable()) settler_.join();
}

Element::Element(ElementSettings settings, const ElementParts& parts)
    : settings_(std::move(settings)),
      jobs_(parts.deps),
      locks_(*parts.locks, jobs_),
      parts_(with_locks(parts, locks_)),
      polls_(*parts.index, parts.deps),
      unrestricted_(parts_, settings_, ElementMode::edit),
      services_(std::make_shared<Services>(parts_, settings_, settings_.mode)) {
  set_run_rates(settings_.run_rates);
}

Result<void> Element::add_routes(http::Site& site) {
  for (const auto add :
       {add_cache_routes, add_job_routes, add_budget_routes, add_lock_routes, add_file_routes,
        add_upload_route, add_info_routes, add_mode_routes, add_log_routes})
    ARTCACHE_CHECK(add(*this, site));
  return {};
}

Result<void> Element::start(const Call& call) {
  ARTCACHE_TRY(const std::string note, parts_.index->note(kModeNote, call));
  const std::string configured = note_of(settings_.mode, settings_.mode);
  const std::size_t arrow = configured.find('>') + 1;
  auto mode = settings_.mode;
  if (note.substr(0, arrow) == configured.substr(0, arrow))
    mode = parse_element_mode(std::string_view(note).substr(arrow)).value_or(mode);
  auto made =
      mode == settings_.mode ? services() : std::make_shared<Services>(parts_, settings_, mode);
  if (auto recovered = made->files.recover(call); !recovered) return std::move(recovered).error();
  made->start();
  unrestricted_.start_settling();
  // From the beginning: what is there from its first event on seems never to have moved.
  const MetricLabel element[]{{"storage_element_id", settings_.id}};
  parts_.deps.metrics->count(kRewindsDoubted, element, 0);
  {
    const util::MutexLock held(mutex_);
    services_ = std::move(made);
    slow_down(*services_, run_rates_);
    started_ = true;
  }
  ARTCACHE_TRY(const IndexHead head, parts_.index->head(call));
  if (!settings_.rebuild_suspect || head.suspect_reason.empty()) return {};
  if (auto job = start_run(*this, "rebuild", {}, IfRefused::tries_on, call); !job)
    return std::move(job).error();
  return {};
}

void Element::stop() {
  polls_.stop();
  jobs_.stop();
  services()->stop();
  unrestricted_.stop();
}

std::shared_ptr<Services> Element::services() const {
  const util::MutexLock held(mutex_);
  return services_;
}

RunRates Element::run_rates() const {
  const util::MutexLock held(mutex_);
  return run_rates_;
}

void Element::set_run_rates(const RunRates& rates) {
  const util::MutexLock held(mutex_);
  run_rates_ = rates;
  slow_down(*services_, rates);
}

Result<void> Element::change_mode(ElementMode from, ElementMode to, const Call& call) {
  {
    // From here to the end, so that what runs is what was kept.
    const util::MutexLock held(mutex_);
    if (changing_) return Error{Errc::conflict, "Another transition is being made"};
    changing_ = true;
  }
  struct Ended {  // also by what is thrown
    Element& element;
    ~Ended() {
      const util::MutexLock held(element.mutex_);
      element.changing_ = false;
    }
  } const ended{*this};
  return change_alone(from, to, call);
}

Result<void> Element::change_alone(ElementMode from, ElementMode to, const Call& call) {
  const auto before = services();
  if (before->mode != from)
    return Error{Errc::conflict,
                 "The mode is " + std::string(to_string(before->mode)) + " since a moment ago"};
  if (!may_change(from, to))
    return Error{Errc::conflict, "Transition from " + std::string(to_string(from)) + " to " +
                                     std::string(to_string(to)) + " is not allowed"};
  ARTCACHE_CHECK(parts_.index->set_note(kModeNote, note_of(settings_.mode, to), 0, call));
  auto made = std::make_shared<Services>(parts_, settings_, to);
  bool started = false;
  {
    const util::MutexLock held(mutex_);
    started = started_;
    slow_down(*made, run_rates_);
    if (started) made->start();
    services_ = std::move(made);
  }
  before->stop();
  // What it has not settled is for those who may still write: they look again until it is.
  if (started && !may_write_files(to)) unrestricted_.settle_once(call);
  return {};
}

void Element::told(const Position& upto) {
  const util::MutexLock held(mutex_);
  for (Rewinds* one : {&believed_, &heard_})
    if (upto.epoch != one->told.epoch || upto.seq > one->told.seq) one->told = upto;
}

Result<bool> Element::is_news(Rewinds Element::*whose, const Position& seen, const Call& from) {
  const Position told = [&] {
    const util::MutexLock held(mutex_);
    return (this->*whose).told;
  }();
  ARTCACHE_TRY(const IndexHead head, parts_.index->head(from));
  bool again = false;
  if (told.epoch != 0 && told != head.position) {
    const auto slice = parts_.index->read_after(told, 1, from);
    if (!slice && slice.error().code != Errc::gone) return slice.error();
    again = !slice && was_rewound(head, told);
  }
  const util::MutexLock held(mutex_);
  // Other followers, and slower ones, come with the same news.
  Rewinds& known = this->*whose;
  if (seen.seq <= known.upto && !(again && told == known.told)) return false;
  known = {.upto = std::max(known.upto, seen.seq), .told = head.position};
  // What is believed need not be doubted any more.
  heard_ = {.upto = std::max(heard_.upto, known.upto), .told = head.position};
  return true;
}

void Element::doubted(const Position& seen, const Call& from) {
  // When the index cannot tell, the follower comes again.
  if (const auto news = is_news(&Element::heard_, seen, from); !news || !*news) return;
  const MetricLabel element[]{{"storage_element_id", settings_.id}};
  parts_.deps.metrics->count(kRewindsDoubted, element, 1);
  const std::string position = to_string(seen);
  const LogField fields[] = {{"position", position}};
  parts_.deps.logger->log({.level = LogLevel::warning,
                           .logger = "element",
                           .message = "A follower that may only read has seen later changes than "
                                      "the index has, and is not believed",
                           .fields = fields,
                           .request_id = from.request_id});
}

void Element::rewound(const Position& seen, const Call& from) {
  const auto news = is_news(&Element::believed_, seen, from);
  if (news && !*news) return;
  constexpr std::string_view kReason =
      "it was put back to an older state: a follower has seen later changes";
  const auto begin = [&]() -> Result<void> {
    if (!news) return news.error();
    ARTCACHE_CHECK(parts_.index->set_suspect(kReason, 0, from));
    ARTCACHE_TRY(
        const std::string job,
        start_run(*this, "rebuild_incremental", {.prune = Prune::yes}, IfRefused::tries_on, from));
    static_cast<void>(job);
    return {};
  };
  const auto begun = begin();
  const std::string position = to_string(seen);
  const std::string cause = begun ? std::string() : to_string(begun.error());
  const std::string source = util::here();
  const LogField fields[] = {{"position", position}, {"cause", cause}, {"source", source}};
  parts_.deps.logger->log({.level = begun ? LogLevel::warning : LogLevel::error,
                           .logger = "element",
                           .message = begun
                                          ? "The index was put back; it is compared with the files"
                                          : "The index was put back and cannot be compared",
                           .fields = fields,
                           .request_id = from.request_id});
  if (begun) return;
  const util::MutexLock held(mutex_);
  believed_.upto = 0;
}

double Element::Room::percent_used() const {
  if (total == 0) return 0;
  return std::round(static_cast<double>(taken()) * 10000 / static_cast<double>(total)) / 100;
}

Result<Element::Room> Element::room(const Call& call) const {
  ARTCACHE_TRY(const IndexHead head, parts_.index->head(call));
  Room room{.total = settings_.capacity_bytes.value_or(0),
            .used = head.bytes,
            .available = 0,
            .files = head.count,
            .index_trusted = head.suspect_reason.empty()};
  room.available = room.total > room.used ? room.total - room.used : 0;
  if (!parts_.storage->capabilities().reports_capacity) return room;
  ARTCACHE_TRY(const StorageCapacity disk, parts_.storage->capacity(call));
  if (settings_.capacity_bytes) {
    room.available = std::min(room.available, disk.available_bytes);
  } else {
    room.total = disk.total_bytes;
    room.available = disk.available_bytes;
  }
  return room;
}

}  // namespace artcache::element
