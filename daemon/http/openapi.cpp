// SPDX-License-Identifier: Apache-2.0
#include "http/openapi.hpp"

#include <algorithm>
#include <artcache/json_writer.hpp>
#include <artcache/version.hpp>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace artcache::http {
namespace {

std::vector<std::string_view> names_in(std::string_view pattern) {
  std::vector<std::string_view> names;
  for (std::size_t at = 0; (at = pattern.find('{', at)) != std::string_view::npos; ++at)
    names.push_back(pattern.substr(at + 1, pattern.find('}', at) - at - 1));
  return names;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

/// `get_api_v1_files_file_id`: one of its kind, since method and pattern are.
std::string operation_id(const Route& route) {
  std::string id = lower(to_string(route.method)) + route.pattern;
  std::erase_if(id, [](char c) { return c == '{' || c == '}'; });
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  for (char& c : id)
    if (!is_word(c)) c = '_';
  return id;
}

using Media = BodyShape::Media;

bool takes_body(const Route& route) { return route.body.media != Media::none; }

std::vector<std::string_view> names_of(Media media) {
  switch (media) {
    case Media::none:
      return {};
    case Media::json:
      return {"application/json"};
    case Media::json_or_form:
      return {"application/json", "application/x-www-form-urlencoded"};
    case Media::form_data:
      return {"multipart/form-data"};
    case Media::frames:
      break;
  }
  return {"application/octet-stream"};
}

void append_type(JsonWriter& json, std::string_view type) {
  json.begin_object();
  if (type == "strings") {
    json.member("type", "array").key("items").begin_object().member("type", "string").end_object();
  } else if (type == "date-time" || type == "file") {
    json.member("type", "string").member("format", type == "file" ? "binary" : type);
  } else {
    json.member("type", type);
  }
  json.end_object();
}

void append_schema(JsonWriter& json, const BodyShape& body) {
  json.key("schema").begin_object();
  if (body.media == Media::frames) {
    json.member("type", "string").member("format", "binary").end_object();
    return;
  }
  json.member("type", "object").key("properties").begin_object();
  for (const BodyField& field : body.fields) append_type(json.key(field.name), field.type);
  json.end_object();
  std::vector<std::string_view> needed;
  for (const BodyField& field : body.fields)
    if (field.need == BodyField::Need::needed) needed.push_back(field.name);
  if (!needed.empty()) {  // an empty list is none that OpenAPI knows
    json.key("required").begin_array();
    for (const std::string_view name : needed) json.value(name);
    json.end_array();
  }
  json.end_object();
}

bool is_needed(const BodyShape& body) {
  return body.media == Media::frames ||
         std::ranges::any_of(body.fields, [](const BodyField& field) {
           return field.need == BodyField::Need::needed;
         });
}

void append_parameters(JsonWriter& json, const Route& route) {
  const auto names = names_in(route.pattern);
  if (names.empty() && route.query.empty() && route.headers.empty()) return;
  json.key("parameters").begin_array();
  for (const std::string_view name : names) {
    json.begin_object().member("name", name).member("in", "path").member("required", true);
    json.key("schema").begin_object().member("type", "string").end_object().end_object();
  }
  const auto append = [&](std::span<const QueryField> fields, std::string_view in) {
    for (const QueryField& field : fields) {
      json.begin_object().member("name", field.name).member("in", in).member("required", false);
      json.member("description", field.meaning);
      append_type(json.key("schema"), field.type);
      json.end_object();
    }
  };
  append(route.query, "query");
  append(route.headers, "header");
  json.end_array();
}

void append_body(JsonWriter& json, const BodyShape& body) {
  json.key("requestBody").begin_object().member("required", is_needed(body));
  json.key("content").begin_object();
  for (const std::string_view media : names_of(body.media)) {
    json.key(media).begin_object();
    append_schema(json, body);
    json.end_object();
  }
  json.end_object().end_object();
}

void append_refusal(JsonWriter& json, std::string_view status, std::string_view why) {
  json.key(status).begin_object().member("description", why).key("content").begin_object();
  json.key("application/json").begin_object().key("schema").begin_object();
  json.member("$ref", "#/components/schemas/Problem");
  json.end_object().end_object().end_object().end_object();
}

bool tells_header(const Route& route, std::string_view name) {
  return std::ranges::find(route.headers, name, &QueryField::name) != route.headers.end();
}

void append_responses(JsonWriter& json, const Route& route) {
  json.key("responses").begin_object();
  json.key("2XX").begin_object().member("description", route.summary).end_object();
  if (route.guard) {
    append_refusal(json, "401", "No token, or one that opens nothing");
    append_refusal(json, "403", "A token without the role that this needs");
  }
  if (!names_in(route.pattern).empty()) append_refusal(json, "404", "There is no such thing");
  if (tells_header(route, "If-None-Match"))
    json.key("304").begin_object().member("description", "The client has it already").end_object();
  if (tells_header(route, "If-Match"))
    append_refusal(json, "412", "It is not as the condition says");
  if (takes_body(route)) append_refusal(json, "413", "A body that is longer than allowed");
  if (tells_header(route, "Range"))
    append_refusal(json, "416", "A range that begins behind the end");
  if (takes_body(route) || !route.query.empty())
    append_refusal(json, "422", "A body or parameter that is not what it must be");
  append_refusal(json, "default", "What else went wrong");
  json.end_object();
}

void append_operation(JsonWriter& json, const Route& route) {
  json.key(lower(to_string(route.method))).begin_object();
  json.member("operationId", operation_id(route)).member("summary", route.summary);
  append_parameters(json, route);
  if (takes_body(route)) append_body(json, route.body);
  json.key("security").begin_array();
  if (route.guard) json.begin_object().key("token").begin_array().end_array().end_object();
  json.end_array();
  append_responses(json, route);
  json.end_object();
}

void append_components(JsonWriter& json) {
  json.key("components").begin_object();
  json.key("securitySchemes").begin_object().key("token").begin_object();
  json.member("type", "http").member("scheme", "bearer").member("bearerFormat", "JWT");
  json.end_object().end_object();
  json.key("schemas").begin_object().key("Problem").begin_object().member("type", "object");
  json.member("description", "What went wrong, in the words of this role").end_object();
  json.end_object().end_object();
}

}  // namespace

std::string openapi(const Site& site) {
  JsonWriter json;
  json.begin_object().member("openapi", "3.0.3").key("info").begin_object();
  json.member("title", "artcached " + site.name()).member("version", version()).end_object();
  json.key("paths").begin_object();
  std::string_view open;  // the pattern whose methods are being written; they stand side by side
  for (const Route& route : site.routes()) {
    if (route.pattern == kOpenApiPath) continue;
    if (route.pattern != open) {
      if (!open.empty()) json.end_object();
      json.key(route.pattern).begin_object();
      open = route.pattern;
    }
    append_operation(json, route);
  }
  if (!open.empty()) json.end_object();
  json.end_object();
  append_components(json);
  return std::move(json.end_object()).str();
}

}  // namespace artcache::http
