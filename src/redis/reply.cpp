// SPDX-License-Identifier: Apache-2.0
#include "redis/reply.hpp"

#include <hiredis/hiredis.h>

#include <array>
#include <charconv>
#include <utility>

#include "util/utf8.hpp"

namespace artcache::redis {
namespace {

constexpr std::size_t kTextShown = 200;

/// The object of a task: the reply itself, or its place in the array around it.
Reply* place(const redisReadTask* task) {
  if (task->parent == nullptr) return new Reply();
  auto* around = static_cast<Reply*>(task->parent->obj);
  return &around->items[static_cast<std::size_t>(task->idx)];
}

/// hiredis is C: nothing may be thrown through it. Null means that memory is out.
template <class Fill>
void* make(const redisReadTask* task, const Fill& fill) noexcept {
  try {
    Reply* const reply = place(task);
    fill(*reply);
    return reply;
  } catch (...) {
    return nullptr;
  }
}

Reply::Kind kind_of(int type) {
  switch (type) {
    case REDIS_REPLY_STRING:
      return Reply::Kind::text;
    case REDIS_REPLY_STATUS:
      return Reply::Kind::status;
    case REDIS_REPLY_ERROR:
      return Reply::Kind::error;
    case REDIS_REPLY_INTEGER:
      return Reply::Kind::integer;
    case REDIS_REPLY_ARRAY:
      return Reply::Kind::array;
    default:
      return Reply::Kind::nil;
  }
}

void* make_text(const redisReadTask* task, char* text, std::size_t size) {
  return make(task, [&](Reply& reply) {
    reply.kind = kind_of(task->type);
    reply.text.assign(text, size);
  });
}

void* make_array(const redisReadTask* task, int items) {
  if (items < 0 || items > ReplyReader::kItemsMost) return nullptr;
  return make(task, [&](Reply& reply) {
    reply.kind = Reply::Kind::array;
    reply.items.resize(static_cast<std::size_t>(items));
  });
}

void* make_integer(const redisReadTask* task, long long number) {
  return make(task, [&](Reply& reply) {
    reply.kind = Reply::Kind::integer;
    reply.integer = number;
  });
}

void* make_nil(const redisReadTask* task) {
  return make(task, [](Reply& reply) { reply.kind = Reply::Kind::nil; });
}

/// Only ever called for the outermost one.
void free_reply(void* reply) { delete static_cast<Reply*>(reply); }

redisReplyObjectFunctions functions{make_text, make_array, make_integer, make_nil, free_reply};

struct Code {
  std::string_view word;
  Errc code;
};
constexpr Code kCodes[] = {
    {"NOAUTH", Errc::invalid_argument}, {"WRONGPASS", Errc::invalid_argument},
    {"NOPERM", Errc::invalid_argument}, {"LOADING", Errc::unavailable},
    {"READONLY", Errc::unavailable},    {"MASTERDOWN", Errc::unavailable},
    {"BUSY", Errc::unavailable},        {"TRYAGAIN", Errc::unavailable},
    {"CLUSTERDOWN", Errc::unavailable}, {"NOREPLICAS", Errc::unavailable},
    {"MISCONF", Errc::unavailable},     {"OOM", Errc::no_space},
    {"MOVED", Errc::unsupported},       {"CROSSSLOT", Errc::unsupported},
    {"WRONGTYPE", Errc::corrupt},       {"ERR", Errc::unsupported},
};

Error broken(std::string_view cause) {
  return Error{Errc::corrupt, "redis: an answer that is none: " + std::string(cause)};
}

}  // namespace

Error error_of(const Reply& reply) {
  const std::string_view word = std::string_view(reply.text).substr(0, reply.text.find(' '));
  Errc code = Errc::unsupported;
  for (const Code& one : kCodes)
    if (one.word == word) code = one.code;
  // Older servers say so without a word for it.
  if (reply.text.find("invalid password") != std::string::npos ||
      reply.text.find("AUTH") != std::string::npos)
    code = Errc::invalid_argument;
  return Error{code, "redis: the server says: " + util::printable(reply.text, kTextShown)};
}

/// By hand: with hiredis a command of many words takes longer to put together than to carry out.
void append_command(std::string& out, Args args) {
  std::size_t room = 16;
  for (const std::string_view arg : args) room += arg.size() + 16;
  out.reserve(out.size() + room);
  std::array<char, 32> head;
  const auto count = [&](char mark, std::size_t number) {
    head[0] = mark;
    char* end = std::to_chars(head.data() + 1, head.data() + head.size() - 2, number).ptr;
    *end++ = '\r';
    *end++ = '\n';
    out.append(head.data(), end);
  };
  count('*', args.size());
  for (const std::string_view arg : args) {
    count('$', arg.size());
    out.append(arg).append("\r\n", 2);
  }
}

void ReplyReader::Free::operator()(redisReader* reader) const { redisReaderFree(reader); }

ReplyReader::ReplyReader() : reader_(redisReaderCreateWithFunctions(&functions)) {}

Result<void> ReplyReader::feed(std::string_view bytes) {
  if (!reader_) return Error{Errc::no_space, "redis: no memory for answers"};
  unread_ += bytes.size();
  if (unread_ > kBytesMost) return broken("longer than 64 MiB");
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK)
    return broken(util::printable(reader_->errstr, kTextShown));
  return {};
}

Result<std::optional<Reply>> ReplyReader::next() {
  if (!reader_) return Error{Errc::no_space, "redis: no memory for answers"};
  void* found = nullptr;
  if (redisReaderGetReply(reader_.get(), &found) != REDIS_OK)
    return broken(util::printable(reader_->errstr, kTextShown));
  if (found == nullptr) return std::optional<Reply>();
  const std::unique_ptr<Reply> reply(static_cast<Reply*>(found));
  unread_ = reader_->len - reader_->pos;
  return std::optional<Reply>(std::move(*reply));
}

}  // namespace artcache::redis
