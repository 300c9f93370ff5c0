// SPDX-License-Identifier: Apache-2.0
// Any bytes as a form, its Content-Type in the first line: refused, or the same parts however the
// body arrives, and whether they are read or skipped.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.hpp"
#include "http/multipart.hpp"

namespace {

using namespace artcache;        // NOLINT: a program of one file
using namespace artcache::http;  // NOLINT: likewise

void require(bool good) {
  if (!good) std::abort();
}

class Arriving final : public BodyReader {
 public:
  Arriving(std::string_view text, std::size_t piece) : text_(text), piece_(piece) {}
  Result<std::size_t> read(std::span<std::byte> into) override {
    const std::size_t bytes = std::min({into.size(), piece_, text_.size()});
    std::memcpy(into.data(), text_.data(), bytes);
    text_.remove_prefix(bytes);
    return bytes;
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return std::nullopt; }
  [[nodiscard]] bool at_end() const { return text_.empty(); }

 private:
  std::string_view text_;
  const std::size_t piece_;
};

enum class Contents : std::uint8_t { read, skipped };

struct Form {
  std::vector<std::string> parts;
  bool refused = false;
  friend bool operator==(const Form&, const Form&) = default;
};

Form read_form(std::string_view text, std::string_view boundary, std::size_t piece,
               Contents contents) {
  Arriving body(text, piece);
  MultipartReader reader(body, boundary);
  Form form;
  const auto refused = [&form](const Error& error) {
    require(error.code == Errc::invalid_argument);
    form.refused = true;
    return form;
  };
  while (true) {
    const auto head = reader.next();
    if (!head) return refused(head.error());
    if (!*head) break;
    std::string& part = form.parts.emplace_back((*head)->name + '\n' + (*head)->content_type);
    part += '\n' + (*head)->filename.value_or("-") + '\n';
    require(form.parts.size() <= MultipartReader::kPartsMost);
    if (contents == Contents::skipped) continue;
    const auto content = reader.read_text(text.size());
    if (!content) return refused(content.error());
    part += *content;
  }
  require(body.at_end());
  return form;
}

void check(std::string_view text) {
  const std::size_t line = std::min(text.find('\n'), text.size());
  const auto boundary = multipart_boundary(text.substr(0, line));
  if (!boundary) {
    require(boundary.error().code == Errc::invalid_argument);
    return;
  }
  text.remove_prefix(std::min(text.size(), line + 1));
  const Form whole = read_form(text, *boundary, SIZE_MAX, Contents::read);
  require(read_form(text, *boundary, 1 + text.size() % 5, Contents::read) == whole);
  const Form skipped = read_form(text, *boundary, 3, Contents::skipped);
  require(skipped.refused == whole.refused && skipped.parts.size() == whole.parts.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({reinterpret_cast<const char*>(data), size});
  return 0;
}
