// SPDX-License-Identifier: Apache-2.0
// What a handler is given and what it answers. Nothing here knows of sockets or coroutines.
#pragma once

#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace artcache::http {

enum class Method : std::uint8_t { get, head, post, put, patch, del, options };
/// "GET", "HEAD", …
std::string_view to_string(Method method);

/// Header fields in the order they came; names compare without case.
class Headers {
 public:
  struct Field {
    std::string name, value;
  };
  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  /// The first field of that name; nothing when there is none.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  void add(std::string name, std::string value);
  /// Replaces every field of that name.
  void set(std::string_view name, std::string value);
  [[nodiscard]] const std::vector<Field>& all() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

/// Decoded `name=value` pairs in their order: of a query, a form, or the parts `{name}` of a path.
class Pairs {
 public:
  void add(std::string name, std::string value);
  /// The last pair of that name, as every form parser has it.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const { return find(name).has_value(); }
  [[nodiscard]] std::vector<std::string_view> every(std::string_view name) const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const {
    return pairs_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

/// In a path a `+` is a plus, in a query or a form it is a blank.
enum class Escapes : std::uint8_t { of_path, of_form };
/// Puts in what `%41` and the like stand for. Nothing when an escape is broken.
std::optional<std::string> percent_decode(std::string_view text, Escapes escapes);
/// Of a query or of a form body. Errors: invalid_argument (a broken escape).
Result<Pairs> parse_pairs(std::string_view text);

/// The body of a request while it arrives. Reading waits for the client, at most as long as the
/// limits of the site allow between two reads; never on the I/O thread.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  /// Fills as much of `into` as there is; 0 at the end. Errors: timed_out (the client is too slow),
  /// cancelled (it went away), no_space (longer than the limit of the route: 413),
  /// invalid_argument (bad chunking, or shorter than said).
  virtual Result<std::size_t> read(std::span<std::byte> into) = 0;
  /// As announced; nothing for a chunked body.
  [[nodiscard]] virtual std::optional<std::uint64_t> length() const = 0;
};

/// All of a body that is small. Errors: those of read(), no_space when it is longer than `most`.
Result<std::string> read_all(BodyReader& body, std::size_t most);

/// On whose behalf a request is made, as its token says. Filled in by the guard of the route.
struct Identity {
  std::string id;                         ///< of the account: claim `sub`
  std::string name;                       ///< of the account or person
  std::string client_id;                  ///< of a service account; empty for a person
  std::string role;                       ///< in lower case: "admin", "operator", "user", …
  std::string kind;                       ///< "service_account" or "admin_user"
  std::uint32_t requests_per_minute = 0;  ///< 0: no limit
};

struct Request {
  Method method = Method::get;
  std::string target;  ///< as sent, for logs and links
  std::string path;    ///< decoded; begins with '/', has no `.`, `..` or NUL in it
  Pairs query;
  Pairs values;  ///< of the `{names}` in the pattern of the route
  Headers headers;
  std::string peer;            ///< address of the client
  BodyReader* body = nullptr;  ///< never null in a handler
  Call call;  ///< its request_id is that of the request; stops when the client or server goes
  std::optional<Identity> identity;  ///< there when the route has a guard
};

/// The body of an answer that is not in memory. Read on a worker, not on the I/O thread.
class BodySource {
 public:
  virtual ~BodySource() = default;
  /// Fills as much of `into` as there is; 0 at the end. An error cuts the connection, so that the
  /// client sees that the body is not whole.
  virtual Result<std::size_t> read(std::span<std::byte> into, const Call& call) = 0;
  /// How many bytes there are in all; nothing for a body that is sent in chunks.
  [[nodiscard]] virtual std::optional<std::uint64_t> length() const = 0;
};

struct Response {
  int status = 200;
  Headers headers = {};
  std::string body = {};
  std::unique_ptr<BodySource> stream = {};  ///< instead of `body`
};

/// `body` is JSON already.
Response json_response(int status, std::string body);

/// One field that was refused, as in FastAPI's list of a 422.
struct FieldProblem {
  std::vector<std::string> where = {};  ///< "body", "file_id"; "query", "limit"; "path", "id"
  std::string message = {};             ///< "Input should be a valid UUID"
  std::string type = {};                ///< "uuid_parsing", "missing", "int_parsing", …
};

/// An answer that is no success. Each role has one renderer that gives it its body.
struct Problem {
  int status = 500;
  std::string detail = {};  ///< for people
  std::vector<FieldProblem> fields = {};
  Headers headers = {};   ///< Retry-After, WWW-Authenticate, Allow
  std::string code = {};  ///< a word for machines, where the role has one; else made of the status
  std::string details = {};  ///< a JSON object with more of it, where the role has one
  std::string cause = {};    ///< for the log, never for the client
};

/// The Problem that says what an error of the library says: its status, and Retry-After for busy,
/// lease_lost and unavailable. The message of an internal error goes to the log only.
Problem to_problem(const Error& error);

/// What a handler returns: an answer, or why there is none.
class Reply {
 public:
  Reply(Response response) : state_(std::move(response)) {}  // NOLINT: implicit
  Reply(Problem problem) : state_(std::move(problem)) {}     // NOLINT: implicit
  Reply(const Error& error) : state_(to_problem(error)) {}   // NOLINT: implicit
  [[nodiscard]] Response* response() { return std::get_if<Response>(&state_); }
  [[nodiscard]] Problem* problem() { return std::get_if<Problem>(&state_); }

 private:
  std::variant<Response, Problem> state_;
};

/// Makes the answer to a problem; for every problem of a site, also 404, 405, 413, 422, 429, 500.
using ProblemRenderer = std::function<Response(const Problem&, const Request&)>;
/// `{"detail": "…"}`, or FastAPI's list of fields with a 422. Element, admin, ingester, query.
Response render_detail(const Problem& problem, const Request& request);

}  // namespace artcache::http
