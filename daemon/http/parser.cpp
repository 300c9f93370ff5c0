// SPDX-License-Identifier: Apache-2.0
#include "http/parser.hpp"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/field.hpp>
#include <utility>

namespace artcache::http {
namespace {

namespace beast = boost::beast;
using Field = beast::http::field;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// Of a body in chunks that begins its last one: "0", a line end, and another one.
constexpr std::size_t kLastChunkLeast = 5;

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

class RequestParser::Impl final : public beast::http::basic_parser<true> {
 public:
  explicit Impl(const HeadLimits& limits) : limits_(limits) {
    header_limit(static_cast<std::uint32_t>(limits.bytes == 0 ? UINT32_MAX : limits.bytes));
    body_limit(boost::none);  // the connection counts: the limit is that of the route
  }

  void refuse(int status, std::string reason) {
    if (!refusal) refusal = Refusal{.status = status, .reason = std::move(reason)};
  }

  int version = 11;  ///< 10 for HTTP/1.0
  std::string method, target;
  Headers headers;
  Pieces* body = nullptr;
  Chunk chunk;
  std::optional<Refusal> refusal;
  bool expects_continue = false;

 private:
  void on_request_impl(beast::http::verb, beast::string_view method_text,
                       beast::string_view target_text, int version_number,
                       beast::error_code&) override {
    version = version_number;
    method = view(method_text);
    target = view(target_text);
  }
  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}

  void on_field_impl(Field name, beast::string_view name_text, beast::string_view value,
                     beast::error_code& error) override {
    if (is_header_done()) return;  // a trailer: nobody asks for one
    if (limits_.fields != 0 && headers.all().size() == limits_.fields) {
      refuse(431, "more than " + std::to_string(limits_.fields) + " header fields");
      error = beast::http::error::header_limit;
      return;
    }
    if (std::ranges::any_of(view(value), [](char c) { return is_control(c) && c != '\t'; }))
      refuse(400, "a control character in a header field");
    if (name == Field::content_length && std::exchange(has_length_, true))
      refuse(400, "more than one Content-Length");
    if (name == Field::transfer_encoding) check_coding(view(value));
    if (name == Field::host && std::exchange(has_host_, true)) refuse(400, "more than one Host");
    if (name == Field::expect) check_expectation(value);
    headers.add(std::string(view(name_text)), std::string(view(value)));
  }

  void check_coding(std::string_view value) {
    // Two readers of one connection must agree on where a request ends: nothing in doubt is taken.
    if (std::exchange(has_coding_, true)) refuse(400, "more than one Transfer-Encoding");
    if (!beast::iequals(beast::string_view(value.data(), value.size()), "chunked"))
      refuse(501, "a Transfer-Encoding other than chunked");
    if (version < 11) refuse(400, "Transfer-Encoding in HTTP/1.0");
  }

  void check_expectation(beast::string_view value) {
    if (beast::iequals(value, "100-continue"))
      expects_continue = version >= 11;
    else
      refuse(417, "an expectation other than 100-continue");
  }

  void on_header_impl(beast::error_code&) override {
    if (has_length_ && has_coding_) refuse(400, "both Content-Length and Transfer-Encoding");
    if (version >= 11 && !has_host_) refuse(400, "no Host");
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view piece, beast::error_code&) override {
    body->push_back(view(piece));
    return piece.size();
  }
  void on_chunk_header_impl(std::uint64_t size, beast::string_view, beast::error_code&) override {
    chunk = {.size = size, .left = size};
  }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view piece,
                                 beast::error_code&) override {
    chunk.left -= std::min<std::uint64_t>(chunk.left, piece.size());
    body->push_back(view(piece));
    return piece.size();
  }
  void on_finish_impl(beast::error_code&) override {}

  HeadLimits limits_;
  bool has_length_ = false, has_coding_ = false, has_host_ = false;
};

RequestParser::RequestParser(const HeadLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

std::size_t RequestParser::give(std::string_view bytes, Pieces& body) {
  impl_->body = &body;
  std::size_t taken = 0;
  const bool head_before = head_done();
  while (taken < bytes.size() && !body_done() && !refusal()) {
    // Beast ends the process when it is given less of the last chunk twice.
    const std::string_view left = bytes.substr(taken);
    if (head_done() && impl_->chunked() && left.front() == '0' && impl_->chunk.left == 0 &&
        left.size() < kLastChunkLeast)
      break;
    beast::error_code error;
    const std::size_t used = impl_->put({bytes.data() + taken, bytes.size() - taken}, error);
    taken += used;
    if (error == beast::http::error::need_more) break;
    if (error == beast::http::error::header_limit)
      impl_->refuse(431, "the header is too long");
    else if (error == beast::http::error::bad_version)
      impl_->refuse(505, "not HTTP/1.0 or HTTP/1.1");
    else if (error)
      impl_->refuse(400, error.message());
    if (head_done() && !head_before) break;
    if (used == 0) break;
  }
  return taken;
}

bool RequestParser::head_done() const { return impl_->is_header_done(); }
bool RequestParser::body_done() const { return impl_->is_done(); }
const std::optional<Refusal>& RequestParser::refusal() const { return impl_->refusal; }
std::string_view RequestParser::method() const { return impl_->method; }
const std::string& RequestParser::target() const { return impl_->target; }
Headers& RequestParser::headers() { return impl_->headers; }
bool RequestParser::keep_alive() const { return impl_->keep_alive(); }
bool RequestParser::is_http_1_0() const { return impl_->version < 11; }
bool RequestParser::expects_continue() const { return impl_->expects_continue; }

std::optional<std::uint64_t> RequestParser::length() const {
  if (impl_->chunked()) return std::nullopt;
  return impl_->content_length().value_or(0);
}

std::uint64_t RequestParser::left() const { return impl_->content_length_remaining().value_or(0); }
RequestParser::Chunk RequestParser::chunk() const { return impl_->chunk; }

std::optional<Method> parse_method(std::string_view word) {
  for (const Method method : {Method::get, Method::head, Method::post, Method::put, Method::patch,
                              Method::del, Method::options})
    if (to_string(method) == word) return method;
  return std::nullopt;
}

Result<Target> parse_target(std::string_view target) {
  const auto bad = [](const char* why) {
    return Error{Errc::invalid_argument, std::string("request target: ") + why};
  };
  for (const std::string_view scheme : {"http://", "https://"})
    if (target.starts_with(scheme)) {
      const std::size_t slash = target.find('/', scheme.size());
      target = slash == std::string_view::npos ? "/" : target.substr(slash);
    }
  const std::size_t question = target.find('?');
  Target parts{.raw_path = target.substr(0, question), .path = {}, .raw_query = {}};
  if (question != std::string_view::npos) parts.raw_query = target.substr(question + 1);
  if (!parts.raw_path.starts_with('/')) return bad("it does not begin with a slash");
  auto path = percent_decode(parts.raw_path, Escapes::of_path);
  if (!path) return bad("a % is not followed by two hexadecimal digits");
  if (std::ranges::any_of(*path, is_control)) return bad("a control character");
  for (std::string_view rest = *path; !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('/'));
    if (part == "." || part == "..") return bad("a part that is . or ..");
    rest.remove_prefix(part.size());
  }
  parts.path = *std::move(path);
  return parts;
}

}  // namespace artcache::http
