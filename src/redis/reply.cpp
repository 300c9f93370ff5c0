// SPDX-License-Identifier: Apache-2.0
#include "redis/reply.hpp"

#include <hiredis/hiredis.h>

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
void append_command(std::string& out, Args args, Args more) {
  constexpr std::size_t kHeadMost = 32;  // a mark, a number, two ends of lines
  std::size_t room = kHeadMost;
  for (const Args words : {args, more})
    for (const std::string_view word : words) room += word.size() + kHeadMost;
  const std::size_t begin = out.size();
  out.resize(begin + room);
  char* to = out.data() + begin;
  const auto end_line = [&to] {
    *to++ = '\r';
    *to++ = '\n';
  };
  const auto count = [&](char mark, std::size_t number) {
    *to++ = mark;
    to = std::to_chars(to, to + kHeadMost, number).ptr;
    end_line();
  };
  count('*', args.size() + more.size());
  for (const Args words : {args, more}) {
    for (const std::string_view word : words) {
      count('$', word.size());
      to += word.copy(to, word.size());
      end_line();
    }
  }
  out.resize(static_cast<std::size_t>(to - out.data()));
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
