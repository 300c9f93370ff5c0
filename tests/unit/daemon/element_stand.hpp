// SPDX-License-Identifier: Apache-2.0
// One element on a folder and an SQLite index, asked as the server would ask it, without one.
#pragma once

#include <artcache/backends.hpp>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "roles/element/element.hpp"
#include "run_route.hpp"
#include "support/counted_metrics.hpp"
#include "support/kept_log.hpp"
#include "support/temp_dir.hpp"
#include "text_body.hpp"
#include "tokens.hpp"
#include "util/json_scan.hpp"

namespace artcache::element {

/// An answer as the client has it.
struct Answer {
  int status = 0;
  http::Headers headers;
  std::string body;
  bool waited = true;  ///< for a worker

  [[nodiscard]] std::string header(std::string_view name) const {
    return std::string(headers.find(name).value_or("none"));
  }
  /// The member of the body as it is spelled there, a text without its quotes; `a.b` goes deeper.
  [[nodiscard]] std::string at(std::string_view path) const {
    std::string_view json = body;
    for (bool more = true; more;) {
      const std::string_view name = path.substr(0, path.find('.'));
      more = name.size() < path.size();
      path.remove_prefix(more ? name.size() + 1 : name.size());
      util::JsonScanner scanner(json);
      util::JsonValue key, value;
      bool found = false;
      if (scanner.enter_object())
        while (!found && scanner.next_member(key, value)) found = key.spelled() == name;
      if (!found) return "missing";
      json = value.text;
      if (!more && value.kind == util::JsonKind::string) return std::string(value.spelled());
    }
    return std::string(json);
  }
};

struct Ask {
  http::Method method = http::Method::get;
  std::string target = {};
  std::string body = {};
  http::Headers headers = {};
  std::string role = "admin";  ///< of the token; empty: no token
  std::string kind = "service_account";
  std::size_t piece = SIZE_MAX;   ///< in which the body arrives
  std::optional<Error> cut = {};  ///< what the body ends with
  Call call = {};
};

class Stand {
 public:
  explicit Stand(const ElementSettings& settings = {}, auth::GateOptions options = {})
      : gate(verifier, Deps{.clock = &clock}, std::move(options)) {
    auth::must(ring.set({auth::our_key().public_key()}));
    const Deps deps{.clock = &clock};
    const Backends backends = Backends::builtin();
    std::filesystem::create_directories(folder / "files");
    storage = auth::must(
        backends.open_storage(auth::must(Url::parse("file://" + (folder / "files"))), deps, {}));
    index = auth::must(
        backends.open_index(auth::must(Url::parse("sqlite://" + (folder / "index.db"))), deps, {}));
    locks = auth::must(make_lock_manager(*index->locks(), deps));
    start(settings);
    // A new index cannot tell what is not there before it was compared once.
    if (!settings.rebuild_suspect) auth::must(element->services()->caches.rebuild_full({}, {}));
  }

  void start(const ElementSettings& settings) {
    element.reset();
    site = std::make_unique<http::Site>(settings.id);
    element = std::make_unique<Element>(
        settings, ElementParts{.storage = storage.get(),
                               .index = index.get(),
                               .locks = locks.get(),
                               .claims = locks.get(),
                               .gate = &gate,
                               .deps = {.clock = &clock, .logger = &log, .metrics = &metrics}});
    auth::must(element->add_routes(*site));
    auth::must(element->start({}));
  }

  Answer ask(Ask what) {
    http::Request request;
    request.method = what.method;
    request.target = what.target;
    request.path = what.target.substr(0, what.target.find('?'));
    if (request.path.size() < what.target.size())
      request.query = auth::must(http::parse_pairs(what.target.substr(request.path.size() + 1)));
    request.headers = std::move(what.headers);
    request.call = what.call;
    if (!what.role.empty()) request.headers.add("Authorization", "Bearer " + token(what));
    const auto match = site->find(what.method, request.path);
    if (match.route == nullptr)
      return {.status = match.allowed.empty() ? 404 : 405, .headers = {}, .body = {}};
    request.values = match.values;
    http::TextBody body(std::move(what.body), what.piece);
    if (what.cut) body.fail_at_end(*what.cut);
    request.body = &body;
    if (match.route->guard)
      if (auto problem = match.route->guard(request))
        return finish(site->render(*problem, request), request.call);
    http::Ran ran = http::run_route(*match.route, request);
    if (auto* problem = ran.reply.problem())
      return finish(site->render(*problem, request), request.call);
    Answer answer = finish(std::move(*ran.reply.response()), request.call);
    answer.waited = !ran.quick;
    return answer;
  }
  Answer get(std::string target) { return ask({.target = std::move(target)}); }
  Answer post(std::string target, std::string body = {}) {
    return ask(
        {.method = http::Method::post, .target = std::move(target), .body = std::move(body)});
  }
  Answer patch(std::string target, std::string body) {
    return ask(
        {.method = http::Method::patch, .target = std::move(target), .body = std::move(body)});
  }

  /// `fields` are whole parts, in front of the file.
  static Ask upload_of(const std::string& content, const std::string& fields = {},
                       const std::string& behind = {}) {
    return {
        .method = http::Method::post,
        .target = "/api/v1/files/upload",
        .body = fields +
                "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"plan.txt\"\r\n"
                "Content-Type: text/plain\r\n\r\n" +
                content + "\r\n" + behind + "--B--\r\n",
        .headers = {{"Content-Type", "multipart/form-data; boundary=B"}}};
  }
  static std::string field(const std::string& name, const std::string& value) {
    return "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
  }
  std::string upload(const std::string& content) {
    const Answer answer = ask(upload_of(content));
    REQUIRE_MESSAGE(answer.status == 201, answer.body);
    return answer.at("file_id");
  }

  [[nodiscard]] std::size_t files_on_disk() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "files")) {
      const std::string path = entry.path().string();
      if (entry.is_regular_file() && path.find("/.artcache/") == std::string::npos) ++count;
    }
    return count;
  }

  test::TempDir folder;
  test::FakeClock clock;
  test::KeptLog log;
  test::CountedMetrics metrics;
  auth::KeyRing ring;
  auth::Verifier verifier{ring, clock};
  auth::Gate gate;
  std::unique_ptr<StorageBackend> storage;
  std::unique_ptr<MetadataStore> index;
  std::unique_ptr<LockManager> locks;
  std::unique_ptr<http::Site> site;
  std::unique_ptr<Element> element;

 private:
  [[nodiscard]] std::string token(const Ask& what) const {
    auth::Claims claims = auth::sample_claims(clock.now());
    claims.role = what.role;
    claims.kind = what.kind;
    return auth::must(auth::mint(claims, auth::our_key()));
  }

  static Answer finish(http::Response response, const Call& call) {
    Answer answer{.status = response.status,
                  .headers = std::move(response.headers),
                  .body = std::move(response.body)};
    if (!response.stream) return answer;
    std::byte piece[1000];
    for (;;) {
      const auto bytes = response.stream->read(piece, call);
      if (!bytes) {
        answer.body += "<" + to_string(bytes.error()) + ">";
        return answer;
      }
      if (*bytes == 0) return answer;
      answer.body.append(reinterpret_cast<const char*>(piece), *bytes);
    }
  }
};

}  // namespace artcache::element
