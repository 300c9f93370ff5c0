// SPDX-License-Identifier: Apache-2.0
#include "auth/jwt.hpp"

#include <array>
#include <artcache/json_writer.hpp>
#include <charconv>
#include <cmath>
#include <optional>

#include "auth/base64.hpp"
#include "common/json_object.hpp"
#include "util/try.hpp"

namespace artcache::auth {
namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;

Error refused(std::string_view why) {
  return {Errc::invalid_argument, "token: " + std::string(why)};
}

std::int64_t seconds_of(Timestamp time) {
  return duration_cast<seconds>(time.since_epoch()).count();
}

/// Three bytes become four digits. The digits 62 and 63, which base64url writes in its own way,
/// come only of the last six bits of a third byte: `>`, `?`, `~` and DEL among ASCII.
bool needs_escape(unsigned char c) { return c == '>' || c == '?' || c >= '~'; }

void append_escaped(std::string& out, unsigned code) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[code >> shift & 15];
}

/// One character of well-formed UTF-8, moved past.
unsigned next_character(std::string_view text, std::size_t& at) {
  const auto first = static_cast<unsigned char>(text[at++]);
  if (first < 0x80) return first;
  const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
  unsigned code = first & (0x3fU >> more);
  for (int i = 0; i < more; ++i) code = code << 6 | (static_cast<unsigned char>(text[at++]) & 0x3f);
  return code;
}

/// JSON as the writer makes it, hence UTF-8, in plain ASCII without the four, in whole threes.
std::string shell_proof(std::string_view json) {
  std::string out;
  out.reserve(json.size() + 8);
  for (std::size_t at = 0; at < json.size();) {
    const unsigned code = next_character(json, at);
    if (code >= 0x10000) {
      append_escaped(out, 0xd7c0 + (code >> 10));
      append_escaped(out, 0xdc00 + (code & 0x3ff));
    } else if (code > 0x7f || needs_escape(static_cast<unsigned char>(code))) {
      append_escaped(out, code);
    } else {
      out += static_cast<char>(code);
    }
  }
  out.append((3 - out.size() % 3) % 3, ' ');
  return out;
}

std::string payload_of(const Claims& claims) {
  JsonWriter json;
  json.begin_object()
      .member("sub", claims.subject)
      .member("type", claims.kind)
      .member("role", claims.role)
      .member("name", claims.name)
      .member("jti", claims.id);
  if (!claims.client_id.empty()) json.member("client_id", claims.client_id);
  if (claims.rate_limit != 0) json.member("rate_limit", claims.rate_limit);
  json.member("iat", seconds_of(claims.issued_at))
      .member("nbf", seconds_of(claims.not_before))
      .member("exp", seconds_of(claims.expires_at))
      .end_object();
  return std::move(json).str();
}

/// Reads claims out of the header or the payload.
class Members {
 public:
  static Result<Members> read(std::string_view json) {
    auto object = JsonMembers::parse(json);
    if (!object) return refused(object.error().message);
    return Members(std::move(*object));
  }

  [[nodiscard]] const util::JsonValue* find(std::string_view name) const {
    return object_.find(name);
  }

  /// Empty where it is missing or null.
  [[nodiscard]] Result<std::string> text(std::string_view name) const {
    const util::JsonValue* value = find(name);
    if (value == nullptr || value->kind == util::JsonKind::null) return std::string();
    if (value->kind != util::JsonKind::string) return refused("a claim that should be text is not");
    return decoded(*value);
  }

  /// A NumericDate: seconds, perhaps with a fraction.
  [[nodiscard]] Result<std::optional<Timestamp>> moment(std::string_view name) const {
    const util::JsonValue* value = find(name);
    if (value == nullptr) return std::optional<Timestamp>();
    ARTCACHE_TRY(const double at, number(*value));
    constexpr double kLast = 253402300799;  // the year 9999
    if (!(at >= 0 && at <= kLast)) return refused("a time is out of range");
    return std::optional(Timestamp(std::chrono::microseconds(std::llround(at * 1e6))));
  }

  [[nodiscard]] Result<std::uint32_t> count(std::string_view name) const {
    const util::JsonValue* value = find(name);
    if (value == nullptr || value->kind == util::JsonKind::null) return 0U;
    ARTCACHE_TRY(const double is, number(*value));
    if (!(is >= 0 && is <= 1e9) || is != std::floor(is)) return refused("a count is out of range");
    return static_cast<std::uint32_t>(is);
  }

 private:
  static Result<double> number(const util::JsonValue& value) {
    double out = 0;
    const std::string_view text = value.text;
    if (value.kind != util::JsonKind::number)
      return refused("a claim that should be a number is not");
    const auto end = std::from_chars(text.data(), text.data() + text.size(), out);
    if (end.ec != std::errc()) return refused("a number is out of range");
    return out;
  }

  explicit Members(JsonMembers object) : object_(std::move(object)) {}
  JsonMembers object_;
};

Result<std::string> key_id_of(std::string_view header) {
  ARTCACHE_TRY(const Members members, Members::read(header));
  ARTCACHE_TRY(const std::string algorithm, members.text("alg"));
  if (algorithm != "RS256") return refused("its algorithm is not RS256");
  // Says "refuse me unless you understand …", and nothing that it could name is understood here.
  if (members.find("crit") != nullptr) return refused("it asks for extensions");
  return members.text("kid");
}

Result<void> read_times(const Members& members, Claims& out) {
  ARTCACHE_TRY(const auto expires, members.moment("exp"));
  if (!expires) return refused("it never expires");
  ARTCACHE_TRY(const auto issued, members.moment("iat"));
  ARTCACHE_TRY(const auto begins, members.moment("nbf"));
  out.expires_at = *expires;
  out.issued_at = issued.value_or(Timestamp());
  out.not_before = begins.value_or(out.issued_at);
  return {};
}

/// Tokens of older issuers say `access` and leave the kind to the client's id.
std::string kind_of(std::string type, std::string_view client_id) {
  if (type != "access") return type;
  return client_id.starts_with("sa_") ? "service_account" : "admin_user";
}

Result<Claims> read_claims(std::string_view payload) {
  ARTCACHE_TRY(const Members members, Members::read(payload));
  Claims out;
  ARTCACHE_TRY(out.subject, members.text("sub"));
  ARTCACHE_TRY(std::string type, members.text("type"));
  ARTCACHE_TRY(out.role, members.text("role"));
  ARTCACHE_TRY(out.name, members.text("name"));
  if (out.name.empty()) {
    ARTCACHE_TRY(out.name, members.text("username"));
  }
  ARTCACHE_TRY(out.id, members.text("jti"));
  ARTCACHE_TRY(out.client_id, members.text("client_id"));
  ARTCACHE_TRY(out.rate_limit, members.count("rate_limit"));
  if (out.subject.empty() || type.empty() || out.role.empty() || out.name.empty())
    return refused("it misses one of sub, type, role and name");
  out.kind = kind_of(std::move(type), out.client_id);
  ARTCACHE_CHECK(read_times(members, out));
  return out;
}

}  // namespace

Result<std::string> mint(const Claims& claims, const PrivateKey& key) {
  JsonWriter header;
  header.begin_object()
      .member("alg", "RS256")
      .member("typ", "JWT")
      .member("kid", key.public_key().id())
      .end_object();
  std::string out = base64url(header.str()) + "." + base64url(shell_proof(payload_of(claims)));
  ARTCACHE_TRY(const std::string signature, key.sign(out));
  return out + "." + base64url(signature);
}

Result<UnverifiedToken> take_apart(std::string_view token) {
  if (token.size() > kTokenMost) return refused("too long");
  const std::size_t first = token.find('.');
  const std::size_t last = token.rfind('.');
  if (first == last || token.find('.', first + 1) != last) return refused("not three parts");
  const auto header = from_base64url(token.substr(0, first));
  const auto payload = from_base64url(token.substr(first + 1, last - first - 1));
  auto signature = from_base64url(token.substr(last + 1));
  if (!header || !payload || !signature) return refused("not base64url");

  UnverifiedToken out;
  ARTCACHE_TRY(out.key_id, key_id_of(*header));
  ARTCACHE_TRY(out.claims, read_claims(*payload));
  out.signed_part = token.substr(0, last);
  out.signature = std::move(*signature);
  return out;
}

Result<void> check_times(const Claims& claims, Timestamp now, std::chrono::seconds leeway) {
  if (now < claims.not_before - leeway) return refused("not valid yet");
  if (now >= claims.expires_at + leeway) return Error{Errc::gone, "token: expired"};
  return {};
}

}  // namespace artcache::auth
