// SPDX-License-Identifier: Apache-2.0
// An admin on SQLite in a folder that goes away, or on PostgreSQL where a test is given one, whose
// routes are called as the server would: guard first, then the handler.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/jwt.hpp"
#include "common/json_object.hpp"
#include "roles/admin/admin.hpp"
#include "run_route.hpp"
#include "server_database.hpp"
#include "support/fake_clock.hpp"
#include "support/kept_log.hpp"
#include "support/passing_log.hpp"
#include "support/temp_dir.hpp"
#include "tokens.hpp"

namespace artcache::admin {

using auth::must;

class TextBody final : public http::BodyReader {
 public:
  explicit TextBody(std::string_view text) : rest_(text) {}
  Result<std::size_t> read(std::span<std::byte> into) override {
    const std::size_t size = std::min(into.size(), rest_.size());
    std::memcpy(into.data(), rest_.data(), size);
    rest_.remove_prefix(size);
    return size;
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return rest_.size(); }

 private:
  std::string_view rest_;
};

/// An answer as the client sees it.
struct Seen {
  int status = 0;
  std::string body = {};
  http::Headers headers = {};

  /// The text of a member, or the JSON of one that is no text; "" when it is not there.
  [[nodiscard]] std::string operator[](std::string_view member) const {
    const JsonMembers object = must(JsonMembers::parse(body));
    const auto* value = object.find(member);
    if (value == nullptr) return {};
    return value->kind == util::JsonKind::string ? decoded(*value) : std::string(value->text);
  }
};

struct Asked {
  std::string body = {}, token = {}, content_type = "application/json", peer = "192.0.2.1";
};

inline Options quick_options() {
  Options out;
  out.hash_cost = {16, 1, 1};
  out.accounts = {{.name = "admin-service",
                   .client_id = "sa_prod_admin_service_11710636",
                   .secret = "Test-Password123"}};
  out.user = InitialUser{.username = "root", .password = "Root-Password1", .email = ""};
  return out;
}

/// That of the admin, emptied.
inline std::optional<std::string> server_database() {
  return test::server_database(
      "admin",
      "service_accounts, admin_users, jwt_keys, storage_elements, audit_log, files, "
      "file_cleanup_queue, file_registry_sync, file_registry_dead_letters");
}

/// Something else happens when somebody looks at it the next time.
class InterruptedClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override {
    if (interrupt) std::exchange(interrupt, {})();
    return clock_.now();
  }
  [[nodiscard]] SteadyTime steady() const override { return clock_.steady(); }
  void advance(std::chrono::nanoseconds by) { clock_.advance(by); }

  mutable std::function<void()> interrupt = {};  ///< for tests of one thread

 private:
  test::FakeClock clock_;
};

class Bench {
 public:
  explicit Bench(Options options = quick_options()) {
    options.database = server_database().value_or("sqlite://" + (dir_ / "admin.db"));
    options_ = std::move(options);
    reopen();
  }

  void reopen() {
    admin_.reset();
    const Fetch fetch = [this](const std::string& url, const Call&) -> Result<std::string> {
      asked_.push_back(url);
      if (info_.empty()) return Error{Errc::unavailable, "nobody there"};
      return info_;
    };
    Outside outside{.fetch = fetch};
    outside.send = [this](const web::HttpRequest& request, const Call&) -> Result<web::HttpReply> {
      sent.push_back(request);
      if (!element) return Error{Errc::unavailable, "nobody there"};
      return element(request);
    };
    outside.open_log = [this](const std::string& url, const Token& token,
                              const Reject&) -> Result<std::unique_ptr<LogSource>> {
      ARTCACHE_TRY(log_token_, token({}));
      if (const auto at = logs.find(url); at != logs.end())
        return std::unique_ptr<LogSource>(std::make_unique<test::PassingLog>(*at->second));
      return Error{Errc::invalid_argument, "no such element"};
    };
    admin_ = must(Admin::open(options_, {.clock = &clock, .logger = &log}, std::move(outside), {}));
  }

  Seen send(http::Method method, const std::string& target, const Asked& asked = {}) {
    http::Request request;
    request.method = method;
    request.path = target.substr(0, target.find('?'));
    if (const auto at = target.find('?'); at != std::string::npos)
      request.query = must(http::parse_pairs(target.substr(at + 1)));
    request.peer = asked.peer;
    request.call.request_id = "request-7";
    request.headers.add("Content-Type", asked.content_type);
    if (!asked.token.empty()) request.headers.add("Authorization", "Bearer " + asked.token);
    TextBody body(asked.body);
    request.body = &body;
    http::Site& site = admin_->site();
    const auto match = site.find(method, request.path);
    if (match.route == nullptr) return {.status = match.allowed.empty() ? 404 : 405};
    request.values = match.values;
    if (match.route->guard)
      if (auto problem = match.route->guard(request)) return seen(site.render(*problem, request));
    if (before_handler) before_handler();
    http::Reply reply = http::run_route(*match.route, request).reply;
    if (auto* response = reply.response()) return seen(std::move(*response));
    return seen(site.render(*reply.problem(), request));
  }
  Seen get(const std::string& target, const std::string& token) {
    return send(http::Method::get, target, {.token = token});
  }
  Seen post(const std::string& target, std::string body, std::string token = {}) {
    return send(http::Method::post, target, {.body = std::move(body), .token = std::move(token)});
  }

  Seen token_for(const std::string& client, const std::string& secret) {
    return post("/api/v1/auth/token",
                R"({"client_id":")" + client + R"(","client_secret":")" + secret + R"("})");
  }
  std::string service_token() {
    return token_for("admin-service", "Test-Password123")["access_token"];
  }
  Seen login(const std::string& name, const std::string& password) {
    return post("/api/v1/admin-auth/login",
                R"({"username":")" + name + R"(","password":")" + password + R"("})");
  }
  /// Of a new account.
  std::string token_as(const std::string& role, const std::string& name) {
    const Seen made = post("/api/v1/service-accounts",
                           R"({"name":")" + name + R"(","role":")" + role + R"("})", root_token());
    REQUIRE(made.status == 201);
    return token_for(made["client_id"], made["client_secret"])["access_token"];
  }
  std::string root_token() { return login("root", "Root-Password1")["access_token"]; }

  /// What every storage element answers from now on; empty: it is away.
  void answer_info(std::string json) { info_ = std::move(json); }
  /// The token with which a log was opened last. Not while another thread may follow.
  [[nodiscard]] const std::string& log_token() const { return log_token_; }
  Admin& admin() { return *admin_; }
  [[nodiscard]] const test::TempDir& dir() const { return dir_; }
  [[nodiscard]] const std::string& database() const { return options_.database; }

  /// Where every request has been let in and nothing else was done yet.
  std::function<void()> before_handler = {};
  InterruptedClock clock;
  test::KeptLog log;
  /// What elements answer to requests about files; empty: they are away.
  std::function<web::HttpReply(const web::HttpRequest&)> element = {};
  std::vector<web::HttpRequest> sent = {};      ///< those that were asked
  std::map<std::string, LogSource*> logs = {};  ///< of elements, by their address

 private:
  static Seen seen(http::Response response) {
    return {response.status, std::move(response.body), std::move(response.headers)};
  }

  test::TempDir dir_;
  Options options_;
  std::string info_, log_token_;
  std::vector<std::string> asked_;
  std::unique_ptr<Admin> admin_;
};

}  // namespace artcache::admin
