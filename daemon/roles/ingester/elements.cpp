// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/elements.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/json_object.hpp"
#include "common/json_read.hpp"
#include "util/try.hpp"

namespace artcache::ingester {
namespace {

// Who finds no element asks again, but not for every request that finds none.
constexpr std::chrono::seconds kRefreshPause{1};
constexpr std::chrono::seconds kListenPause{1};
// Who waits for its turn looks so often whether its call has ended.
constexpr std::chrono::milliseconds kTurnLook{100};
constexpr auto kSaid = [](const auto& source) { return source.has_value(); };

std::uint64_t bytes_of(const std::optional<std::int64_t>& number) {
  return number ? static_cast<std::uint64_t>(std::max<std::int64_t>(0, *number)) : 0;
}

}  // namespace

Result<ElementView> parse_element_info(std::string_view json, std::string_view url) {
  JsonObject info{std::string(json)};
  ElementView out{.id = info.text("element_id").value_or(""), .url = std::string(url)};
  const auto mode = parse_element_mode(info.text("mode").value_or(""));
  out.priority = info.number("priority").value_or(out.priority);
  const auto total = info.number("capacity_bytes"), used = info.number("used_bytes");
  const auto available = info.number("available_bytes");
  const std::string status = info.text("status").value_or("");
  if (!info.problems().empty() || out.id.empty() || !mode || !total || !used)
    return Error{Errc::corrupt, "element: what it says of itself is not whole"};
  out.mode = *mode;
  out.total = bytes_of(total);
  out.used = bytes_of(used);
  // An element of the original does not say it.
  out.available = available ? bytes_of(available) : out.total - std::min(out.total, out.used);
  out.healthy = status == "operational";
  return out;
}

Result<std::vector<std::string>> parse_element_list(std::string_view json) {
  const Error wrong{Errc::corrupt, "the admin's list of elements is none"};
  const auto whole = JsonMembers::parse(json);
  const util::JsonValue* list = whole ? whole->find("storage_elements") : nullptr;
  if (list == nullptr || list->kind != util::JsonKind::array) return wrong;
  std::vector<std::string> out;
  util::JsonScanner scanner(list->text);
  util::JsonValue element;
  if (!scanner.enter_array()) return wrong;
  while (scanner.next_element(element)) {
    JsonObject one{std::string(element.text)};
    if (auto url = one.text("api_url")) out.push_back(*std::move(url));
  }
  return out;
}

Elements::Elements(ElementsSettings settings, std::vector<ElementSource> sources,
                   web::HttpClient& http, const Deps& deps)
    : settings_(settings),
      sources_(std::move(sources)),
      http_(http),
      deps_(deps),
      told_(sources_.size()) {
  for (const ElementSource& source : sources_)
    answering_.emplace_back(source.name, "ingester", deps_);
}

void Elements::start() {
  if (!threads_.empty()) return;
  threads_.emplace_back([this](std::stop_token stop) { run(stop); });
  for (const ElementSource& source : sources_)
    if (source.listen)
      threads_.emplace_back([this, &source](std::stop_token stop) { listen(source, stop); });
}

void Elements::stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
  {
    const util::MutexLock lock(mutex_);
    wake_.notify_all();
    turn_.notify_all();
  }
  threads_.clear();
}

void Elements::run(std::stop_token stop) {
  Call call;
  call.stop = stop;
  while (!stop.stop_requested()) {
    {
      const util::MutexLock lock(mutex_);
      while (asking_ && !stop.stop_requested()) turn_.wait(mutex_);
      if (stop.stop_requested()) return;
      asking_ = true;
    }
    poll(call);
    MetricLabel why[]{{"source", "poll"}};
    {
      const util::MutexLock lock(mutex_);
      if (!stop.stop_requested() && !news_) wake_.wait_for(mutex_, settings_.poll_every);
      if (std::exchange(news_, false)) why[0].value = "channel";
    }
    deps_.metrics->count("ingester_se_config_reload_total", why, 1);
  }
}

void Elements::listen(const ElementSource& source, std::stop_token stop) {
  Call call;
  call.stop = stop;
  const auto tell = [this] {
    const util::MutexLock lock(mutex_);
    news_ = true;
    wake_.notify_all();
  };
  while (!stop.stop_requested()) {
    const auto heard = source.listen(tell, call);
    if (stop.stop_requested()) return;
    if (!heard)
      log(LogLevel::debug, "News of elements is not heard; they are asked all the same",
          source.name, heard.error().message);
    const util::MutexLock lock(mutex_);
    if (!stop.stop_requested()) wake_.wait_for(mutex_, kListenPause);
  }
}

void Elements::refresh(const Call& call) {
  {
    const util::MutexLock lock(mutex_);
    while (asking_) {
      // One source that is slow to answer would else hold up all who find no element.
      if (polled_within(settings_.known_most) || !call.check("elements", *deps_.clock)) return;
      turn_.wait_for(mutex_, kTurnLook);
    }
    if (polled_within(kRefreshPause)) return;
    asking_ = true;
  }
  poll(call);
}

bool Elements::polled_within(std::chrono::nanoseconds time) const {
  return polled_ && deps_.clock->steady() - *polled_ < time;
}

void Elements::poll(const Call& call) {
  const Turn turn(*this);
  ask_all(call);
}

Elements::Turn::~Turn() {
  const util::MutexLock lock(elements_.mutex_);
  elements_.asking_ = false;
  elements_.turn_.notify_all();
}

void Elements::ask_all(const Call& call) {
  const std::set<std::string> all = addresses(call);
  {
    const util::MutexLock lock(mutex_);
    std::erase_if(known_, [&](const auto& one) { return !all.contains(one.first); });
  }
  for (const std::string& url : all) note(url, ask(url, call));
  if (call.stop.stop_requested()) return;
  {
    const util::MutexLock lock(mutex_);
    polled_ = deps_.clock->steady();
    complete_ = known_.size() == all.size() && std::ranges::all_of(told_, kSaid);
  }
  const auto views = now();
  deps_.metrics->gauge("ingester_se_endpoints_count", {}, static_cast<double>(all.size()));
  const auto healthy = std::ranges::count_if(views, &ElementView::healthy);
  deps_.metrics->gauge("storage_elements_available", {}, static_cast<double>(healthy));
}

std::set<std::string> Elements::addresses(const Call& call) {
  std::set<std::string> all;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    auto said = sources_[i].addresses(call.within(settings_.poll_most, *deps_.clock));
    if (!call.stop.stop_requested())
      answering_[i].note(said ? Result<void>() : Result<void>(said.error()));
    if (said) told_[i] = *std::move(said);
    if (!told_[i]) continue;
    for (std::string url : *told_[i]) {
      while (url.ends_with('/')) url.pop_back();
      if (!url.empty()) all.insert(std::move(url));
    }
  }
  return all;
}

Result<ElementView> Elements::ask(const std::string& url, const Call& call) const {
  const web::HttpRequest request{.url = url + "/api/v1/info"};
  const auto begun = deps_.clock->steady();
  auto reply = http_.send(request, call.within(settings_.poll_most, *deps_.clock));
  const std::chrono::duration<double> took = deps_.clock->steady() - begun;
  deps_.metrics->observe("capacity_poll_duration_seconds", {}, took.count());
  if (!reply) return std::move(reply).error();
  if (reply->head.status != 200)
    return Error{Errc::unavailable, "it answers " + std::to_string(reply->head.status)};
  return parse_element_info(reply->body, url);
}

void Elements::note(const std::string& url, const Result<ElementView>& said) {
  if (!said && said.error().code == Errc::cancelled) return;
  bool was = false, is = false;
  {
    const util::MutexLock lock(mutex_);
    const auto found = known_.find(url);
    was = found != known_.end() && found->second.view.healthy;
    if (said)
      known_[url] = {.view = *said, .heard = deps_.clock->steady()};
    else if (found != known_.end())
      found->second.view.healthy = false;
    is = said && said->healthy;
  }
  if (!said) deps_.metrics->count("capacity_poll_failures_total", {}, 1);
  if (was == is) return;
  deps_.metrics->count("ingester_se_config_changes_total", {}, 1);
  const std::string_view why =
      said ? to_string(said->mode) : std::string_view(said.error().message);
  log(is ? LogLevel::info : LogLevel::warning,
      is ? "A storage element takes files" : "A storage element takes no files", url, why);
}

std::vector<ElementView> Elements::now() const {
  const util::MutexLock lock(mutex_);
  std::vector<ElementView> out;
  if (!polled_) return out;
  const auto moment = deps_.clock->steady();
  for (const auto& [url, known] : known_) {
    ElementView view = known.view;
    view.healthy = view.healthy && moment - known.heard < settings_.trust;
    // At two addresses it is one all the same.
    const auto twin = std::ranges::find(out, view.id, &ElementView::id);
    if (twin == out.end())
      out.push_back(std::move(view));
    else if (!twin->healthy)
      *twin = std::move(view);
  }
  return out;
}

std::vector<Elements::SourceState> Elements::sources() const {
  std::vector<SourceState> out;
  for (const Answering& one : answering_) out.push_back({one.who(), one.state()});
  return out;
}

bool Elements::complete() const {
  const util::MutexLock lock(mutex_);
  return complete_;
}

std::optional<ElementView> Elements::find(std::string_view id) const {
  const auto all = now();
  const auto found = std::ranges::find(all, id, &ElementView::id);
  if (found == all.end()) return std::nullopt;
  return *found;
}

void Elements::note_dead(std::string_view id) {
  const util::MutexLock lock(mutex_);
  for (auto& [url, known] : known_)
    if (known.view.id == id) known.view.healthy = false;
}

void Elements::note_stored(std::string_view id, std::uint64_t bytes) {
  const util::MutexLock lock(mutex_);
  for (auto& [url, known] : known_) {
    if (known.view.id != id) continue;
    known.view.used += bytes;
    known.view.available -= std::min(known.view.available, bytes);
  }
}

void Elements::log(LogLevel level, std::string_view message, std::string_view url,
                   std::string_view reason) const {
  const LogField fields[]{{"element", url}, {"reason", reason}};
  deps_.logger->log({.level = level,
                     .logger = "ingester",
                     .message = message,
                     .fields = fields,
                     .request_id = {}});
}

}  // namespace artcache::ingester
