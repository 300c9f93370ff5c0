// SPDX-License-Identifier: Apache-2.0
#include "http/multipart.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "text_body.hpp"

namespace artcache::http {
namespace {

struct Part {
  PartHead head;
  std::string content;
};

Result<std::vector<Part>> read_parts(BodyReader& body, std::string_view boundary) {
  MultipartReader reader(body, boundary);
  std::vector<Part> parts;
  for (;;) {
    auto head = reader.next();
    if (!head) return head.error();
    if (!*head) return parts;
    auto content = reader.read_text(1 << 20);
    if (!content) return content.error();
    parts.push_back({std::move(**head), std::move(*content)});
  }
}

Result<std::vector<Part>> read_parts(const std::string& text, std::string_view boundary = "xYz",
                                     std::size_t piece = SIZE_MAX) {
  TextBody body(text, piece);
  return read_parts(body, boundary);
}

const std::string kForm =
    "preamble\r\n--xYz\r\n"
    "Content-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".txt\"\r\n"
    "content-type: text/plain\r\n\r\n"
    "one\r\n--xY\r\n-\r--xYz\r\n\r\n"
    "\r\n--xYz  \r\n"
    "Content-Disposition: form-data; name=description\r\n\r\n"
    "\r\n--xYz--\r\nepilogue";

TEST_SUITE("multipart") {
  TEST_CASE("parts are the same wherever the body is cut into pieces") {
    for (std::size_t piece = 1; piece <= kForm.size(); ++piece) {
      const auto parts = read_parts(kForm, "xYz", piece);
      REQUIRE(parts);
      REQUIRE(parts->size() == 2);
      CHECK((*parts)[0].head.name == "file");
      CHECK((*parts)[0].head.filename == "a \"b\".txt");
      CHECK((*parts)[0].head.content_type == "text/plain");
      CHECK((*parts)[0].content == "one\r\n--xY\r\n-\r--xYz\r\n\r\n");
      CHECK((*parts)[1].head.name == "description");
      CHECK_FALSE((*parts)[1].head.filename);
      CHECK((*parts)[1].content.empty());
    }
  }

  TEST_CASE("one cut in two at every place is the same as a whole one") {
    for (std::size_t at = 1; at < kForm.size(); ++at) {
      TextBody body(kForm, SIZE_MAX, at);
      const auto parts = read_parts(body, "xYz");
      REQUIRE(parts);
      CHECK(parts->size() == 2);
      CHECK((*parts)[0].content == "one\r\n--xY\r\n-\r--xYz\r\n\r\n");
    }
  }

  TEST_CASE("a body that ends in front of its last boundary is refused, wherever it ends") {
    const std::size_t whole = kForm.find("--xYz--") + 7;
    for (std::size_t length = 0; length < whole; ++length) {
      const auto parts = read_parts(kForm.substr(0, length));
      REQUIRE_FALSE(parts);
      CHECK(parts.error().code == Errc::invalid_argument);
    }
    CHECK(read_parts(kForm.substr(0, whole)));
  }

  TEST_CASE("a part larger than every buffer arrives whole, with what looks like boundaries") {
    std::string content;
    for (int i = 0; content.size() < 400'000; ++i)
      content += i % 3 == 0 ? "\r\n--xY" : i % 3 == 1 ? "\r\n--" : "\r\r\n" + std::to_string(i);
    const std::string form =
        "--xYz\r\nContent-Disposition: form-data; name=f\r\n\r\n" + content + "\r\n--xYz--";
    for (const std::size_t piece : {std::size_t{1000}, std::size_t{65536}, SIZE_MAX}) {
      const auto parts = read_parts(form, "xYz", piece);
      REQUIRE(parts);
      CHECK(parts->front().content == content);
    }
  }

  TEST_CASE("a part that nobody reads is skipped") {
    TextBody body(kForm, 7);
    MultipartReader reader(body, "xYz");
    CHECK((*reader.next())->name == "file");
    CHECK((*reader.next())->name == "description");
    CHECK_FALSE(*reader.next());
    CHECK_FALSE(*reader.next());
    CHECK(body.left() == 0);
  }

  TEST_CASE("a form without parts has none") {
    const auto parts = read_parts("--xYz--\r\n");
    REQUIRE(parts);
    CHECK(parts->empty());
  }

  TEST_CASE("headers that are none, too long or hostile are refused") {
    const auto refused = [](const std::string& header) {
      const auto parts = read_parts("--xYz\r\n" + header + "\r\n\r\nx\r\n--xYz--");
      return !parts && parts.error().code == Errc::invalid_argument;
    };
    const std::string good = "Content-Disposition: form-data; name=a";
    CHECK_FALSE(refused(good));
    CHECK(refused(""));
    CHECK(refused("Content-Type: text/plain"));
    CHECK(refused("Content-Disposition: form-data; filename=a"));
    CHECK(refused("Content-Disposition: attachment; name=a"));
    CHECK(refused(good + "\r\nno colon"));
    CHECK(refused(good + "\r\n: nothing"));
    CHECK(refused(good + std::string("\0", 1)));
    CHECK(refused(good + "\nX: y"));
    CHECK(refused(good + "\r\nX: " + std::string(MultipartReader::kHeadMost, 'y')));
    CHECK(refused("X: " + std::string(200'000, 'y')));
  }

  TEST_CASE("what stands behind a boundary, and more parts than are taken, are refused") {
    CHECK_FALSE(read_parts("--xYzz\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--xYz--"));
    std::string many;
    for (std::size_t i = 0; i <= MultipartReader::kPartsMost; ++i)
      many += "--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n";
    CHECK_FALSE(read_parts(many + "--xYz--"));
  }

  TEST_CASE("a name in another alphabet is read from either form of it") {
    const auto name = [](const std::string& parameters) {
      const auto parts = read_parts("--xYz\r\nContent-Disposition: form-data; name=f; " +
                                    parameters + "\r\n\r\nx\r\n--xYz--");
      return parts->front().head.filename.value_or("none");
    };
    CHECK(name("filename=\"отчёт.pdf\"") == "отчёт.pdf");
    CHECK(name("filename*=UTF-8''%D0%BE.pdf; filename=x.pdf") == "о.pdf");
    CHECK(name("filename=x.pdf; filename*=latin1''%D0") == "x.pdf");
    CHECK(name("filename=x.pdf; filename*=UTF-8''%zz") == "x.pdf");
    CHECK(name("filename=\"C:\\dir\\a.txt\"") == "C:\\dir\\a.txt");
    CHECK(name("filename=\"a;name=b\"") == "a;name=b");
    CHECK(name("filename=\"\"").empty());
    CHECK(name("x") == "none");
  }

  TEST_CASE("a text above its limit is refused without being held") {
    TextBody body(kForm, 3);
    MultipartReader reader(body, "xYz");
    REQUIRE(reader.next());
    const auto text = reader.read_text(4);
    REQUIRE_FALSE(text);
    CHECK(text.error().code == Errc::no_space);
  }

  TEST_CASE("an error of the body is handed on") {
    TextBody body(kForm.substr(0, 150), 10);
    body.fail_at_end({Errc::timed_out, "body: too slow"});
    const auto parts = read_parts(body, "xYz");
    REQUIRE_FALSE(parts);
    CHECK(parts.error().code == Errc::timed_out);
  }

  TEST_CASE("the boundary is what Content-Type says, if it may be one") {
    const auto boundary = [](std::string_view type) {
      return multipart_boundary(type).value_or("refused");
    };
    CHECK(boundary("multipart/form-data; boundary=abc") == "abc");
    CHECK(boundary("Multipart/Form-Data;charset=utf-8; Boundary=\"a b:c\" ") == "a b:c");
    CHECK(boundary("multipart/mixed; boundary=abc") == "refused");
    CHECK(boundary("multipart/form-data") == "refused");
    CHECK(boundary("multipart/form-data; boundary=") == "refused");
    CHECK(boundary("multipart/form-data; boundary=\"a\r\nb\"") == "refused");
    CHECK(boundary("multipart/form-data; boundary=\"a \"") == "refused");
    CHECK(boundary("multipart/form-data; boundary=" + std::string(71, 'a')) == "refused");
    CHECK(boundary("") == "refused");
  }
}

}  // namespace
}  // namespace artcache::http
