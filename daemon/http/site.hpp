// SPDX-License-Identifier: Apache-2.0
// One role on one port: its routes, who may call them, and its limits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.hpp"

namespace artcache::http {

/// Runs on a thread of the bounded pool: may wait. When the queue is full: 503, Retry-After.
using Handler = std::function<Reply(Request&)>;
/// Runs on the I/O thread, where every connection of it waits meanwhile: microseconds only, no
/// body, no disk, no lock that another one holds for long, such as a point read of a local index.
/// Nothing: that takes longer, and the route's Handler is to answer.
using QuickHandler = std::function<std::optional<Reply>(Request&)>;

/// Gives the answer of a request that has none yet, once, from any thread; at once or hours later.
/// When the client has gone, the answer goes nowhere.
using Answer = std::function<void(Reply)>;
/// For long polls: runs on the I/O thread, returns at once, and holds no thread while it waits. Its
/// call.stop is set as soon as the server begins to stop: then it is to answer with what it has.
using LateHandler = std::function<void(const Request&, Answer)>;

/// Who may call a route. Fills in Request::identity or says why not (401, 403, 429), before the
/// body is read and before anything is told about what exists. Runs on the I/O thread.
using Guard = std::function<std::optional<Problem>(Request&)>;

/// A field of a query, or of a header, for the OpenAPI document. The handler reads it.
struct QueryField {
  std::string_view name, type, meaning;  ///< type: "string", "number", …
};

/// A member of a body, for the OpenAPI document. The handler reads it.
struct BodyField {
  enum class Need : std::uint8_t { optional, needed };
  /// type: "string", "integer", "boolean", "date-time", "object", "strings" (a list), "file"
  std::string_view name, type;
  Need need = Need::optional;
};

/// What a handler reads.
struct BodyShape {
  enum class Media : std::uint8_t {
    none,  ///< it reads no body
    json,
    json_or_form,  ///< application/x-www-form-urlencoded, too
    form_data,     ///< multipart/form-data
    frames,        ///< those of the log
  };
  Media media = Media::none;
  std::span<const BodyField> fields = {};  ///< of a lasting array
};

/// Whose threads a handler and the stream that it answers with run on.
enum class Threads : std::uint8_t {
  workers,
  lasting,  ///< a share of their own, for what lasts by design; 503 when all of them are taken
};

/// A route that takes no longer body gets it whole: until then its sender occupies no thread.
inline constexpr std::uint64_t kReadWhole = 1024 * 1024;

struct Route {
  Method method = Method::get;
  /// `/api/v1/files/{id}`; `{name}` is one part of the path. A last `/` is as good as none.
  std::string pattern;
  Handler handler = {};     ///< this
  QuickHandler quick = {};  ///< tried before it; alone when it always answers
  LateHandler late = {};    ///< or this one alone
  Guard guard = {};         ///< none: open to everybody
  Threads threads = Threads::workers;
  /// Up to kReadWhole the body is there before the handler is called.
  std::uint64_t body_most = 1024 * 1024;
  std::string summary = {};  ///< one line for people: the OpenAPI document and --routes
  std::span<const QueryField> query = {};    ///< of a lasting array: those that need a word
  std::span<const QueryField> headers = {};  ///< likewise: conditions and ranges
  BodyShape body = {};
};

/// What a site allows its clients. A value of 0 means no limit.
struct Limits {
  std::size_t header_most = 16 * 1024;  ///< bytes of request line and header
  std::size_t header_fields_most = 100;
  std::size_t connections_most = 10'000;
  std::chrono::milliseconds header_timeout{10'000};      ///< from the first byte to the end of them
  std::chrono::milliseconds first_byte_timeout{15'000};  ///< until an announced body begins
  std::chrono::milliseconds body_timeout{60'000};        ///< between two pieces of a body
  std::uint64_t body_rate = 500;  ///< bytes a second of a body, averaged over body_timeout
  std::chrono::milliseconds write_timeout{60'000};  ///< until a piece of an answer is taken
  std::chrono::milliseconds idle_timeout{75'000};   ///< between two requests of a connection
  std::size_t gzip_from = 1024;  ///< JSON of so many bytes is compressed if the client takes it
};

struct Cors {
  std::vector<std::string> origins;  ///< "*" for every one; empty: none
};

class Site {
 public:
  /// `name` stands in logs and metrics: "se-01", "admin".
  explicit Site(std::string name, ProblemRenderer render = render_detail);

  /// Errors: conflict (two routes for one method and pattern), invalid_argument (a bad pattern).
  Result<void> add(Route route);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }
  Limits limits;
  Cors cors;

  /// The route of a method and a path as it was sent, and the decoded values of its `{names}`.
  struct Match {
    const Route* route = nullptr;
    Pairs values;
    std::vector<Method> allowed;  ///< when only the method does not fit: 405 and Allow
  };
  /// A part that is a word goes before a `{name}`, from the left. HEAD finds that of GET, but
  /// for what lasts. Safe to call from any thread once nobody adds.
  [[nodiscard]] Match find(Method method, std::string_view path) const;
  [[nodiscard]] Response render(const Problem& problem, const Request& request) const;

 private:
  std::string name_;
  ProblemRenderer render_;
  std::vector<Route> routes_;  // by pattern; '{' comes behind what words are made of
};

}  // namespace artcache::http
