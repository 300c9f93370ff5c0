// SPDX-License-Identifier: Apache-2.0
#include "cli/sample.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <artcache/file_entry.hpp>
#include <artcache/json_writer.hpp>
#include <artcache/storage_name.hpp>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace artcache::cli {
namespace {

constexpr std::uint64_t kFilesInFolder = 50;
constexpr std::uint64_t kProgressStep = 1000;
constexpr Timestamp kFirstUpload{std::chrono::seconds(1704067200)};  // 2024-01-01T00:00:00Z

/// SplitMix64: every file has a stream of its own, so files can be made in any order.
class Dice {
 public:
  Dice(std::uint64_t seed, std::uint64_t file)
      : state_(seed * 0x9e3779b97f4a7c15ULL ^ (file << 20)) {}
  std::uint64_t roll() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t limit) { return roll() % limit; }
  bool once_in(std::uint64_t n) { return below(n) == 0; }
  template <class T, std::size_t N>
  const T& pick(const std::array<T, N>& choices) {
    return choices[below(N)];
  }

 private:
  std::uint64_t state_;
};

struct Person {
  const char *id, *username, *fullname;
};
constexpr std::array<Person, 6> kPeople{{
    {"5b0e6c0e-1111-4222-8333-444455556666", "svc-ingest", nullptr},
    {"7c1d2e3f-0001-4a4b-8c8d-000000000001", "i.petrova", "Ирина Петрова"},
    {"7c1d2e3f-0002-4a4b-8c8d-000000000002", "a.smith", "Alice Smith"},
    {"7c1d2e3f-0003-4a4b-8c8d-000000000003", "сергей", "Сергей Иванов"},
    {"7c1d2e3f-0004-4a4b-8c8d-000000000004", "b.müller", "Björn Müller"},
    {"7c1d2e3f-0005-4a4b-8c8d-000000000005", "archive_bot", nullptr},
}};

constexpr std::array kStems{"quarterly_report-2024.final",
                            "Отчёт за квартал",
                            "invoice",
                            "Договор №17 (подписан)",
                            "meeting notes",
                            "plan",
                            "photo_001",
                            "Схема подключения",
                            "résumé",
                            "backup+log",
                            "данные",
                            "scan"};
struct Kind {
  const char *extension, *type;
};
constexpr std::array<Kind, 7> kKinds{{{".pdf", "application/pdf"},
                                      {".docx",
                                       "application/vnd.openxmlformats-officedocument."
                                       "wordprocessingml.document"},
                                      {".txt", "text/plain"},
                                      {".jpg", "image/jpeg"},
                                      {".tar.gz", "application/gzip"},
                                      {".csv", "text/csv"},
                                      {"", "application/octet-stream"}}};
constexpr std::array kTags{"finance", "2024", "отчёт", "draft", "signed", "архив", "hr", "legal"};
constexpr std::array kSentences{
    "Quarterly figures, checked by accounting.", "Подписанный экземпляр договора, скан с печатью.",
    "Notes of the weekly meeting: budget, hiring, and the move to the new office.",
    "Исходные данные для сводного отчёта; цифры предварительные."};

/// What the seeds' programs would have written for one upload.
struct Sample {
  FileId id;
  std::string name, stored_name, folder;
  Person person{};
  const char* type = "";
  Timestamp created, updated;
  std::string data;
  std::string checksum;
  std::optional<std::string> description;
  std::vector<std::string> tags;
  unsigned dialect = 1;
};

FileId make_id(Dice& dice, Timestamp created, bool ordered) {
  FileId::Bytes bytes{};
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(dice.roll());
  if (ordered) {
    const auto ms = static_cast<std::uint64_t>(created.micros()) / 1000;
    for (std::size_t i = 0; i < 6; ++i) bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  }
  bytes[6] = static_cast<std::uint8_t>((ordered ? 0x70 : 0x40) | (bytes[6] & 0x0f));
  bytes[8] = static_cast<std::uint8_t>(0x80 | (bytes[8] & 0x3f));
  return FileId(bytes);
}

std::string sha256_of(std::string_view data) {
  Sha256Sum sum;
  EVP_Q_digest(nullptr, "SHA256", nullptr, data.data(), data.size(), sum.bytes.data(), nullptr);
  return to_string(sum);
}

std::string make_data(Dice& dice) {
  std::string data;
  const std::uint64_t size = dice.once_in(50) ? 0 : 16 + dice.below(1024);
  while (data.size() < size) data.append(dice.pick(kSentences)).push_back('\n');
  data.resize(size);
  return data;
}

Sample make_one(std::uint64_t seed, std::uint64_t index) {
  Dice dice(seed, index);
  Sample s;
  s.created = kFirstUpload + std::chrono::hours(index / kFilesInFolder) +
              std::chrono::microseconds(dice.below(3'600'000'000));
  s.updated = dice.once_in(5) ? s.created + std::chrono::hours(dice.below(2000)) : s.created;
  // Most files are of today's programs; the rest is what older ones left behind.
  constexpr std::array<unsigned, 10> kDialects{1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
  s.dialect = dice.pick(kDialects);
  s.id = make_id(dice, s.created, s.dialect <= 2);
  s.person = dice.pick(kPeople);
  const Kind kind = dice.pick(kKinds);
  s.type = kind.type;
  s.name = std::string(dice.pick(kStems)) + kind.extension;
  s.folder = storage_folder(s.created);
  s.stored_name = storage_filename(s.name, s.person.username, s.created, s.id);
  s.data = make_data(dice);
  s.checksum = sha256_of(s.data);
  if (!dice.once_in(3)) s.description = dice.pick(kSentences);
  for (std::uint64_t n = dice.below(4); n > 0; --n) {
    const std::string tag = dice.pick(kTags);
    if (std::ranges::find(s.tags, tag) == s.tags.end()) s.tags.push_back(tag);
  }
  return s;
}

void member_or_null(JsonWriter& json, std::string_view name,
                    const std::optional<std::string>& text) {
  json.key(name);
  text ? json.value(*text) : json.null();
}

void put_tags(JsonWriter& json, const Sample& s) {
  json.key("tags").begin_array();
  for (const auto& tag : s.tags) json.value(tag);
  json.end_array();
}

/// v1 and v2, as today's programs write them.
void write_today(JsonWriter& json, const Sample& s) {
  if (s.dialect == 2) json.member("schema_version", "2.0");
  json.member("file_id", to_string(s.id))
      .member("original_filename", s.name)
      .member("storage_filename", s.stored_name)
      .member("file_size", s.data.size())
      .member("content_type", s.type)
      .member("created_at", to_string(s.created))
      .member("updated_at", to_string(s.updated))
      .member("created_by_id", s.person.id)
      .member("created_by_username", s.person.username);
  json.key("created_by_fullname");
  s.person.fullname != nullptr ? json.value(s.person.fullname) : json.null();
  member_or_null(json, "description", s.description);
  json.key("version").null();
  json.member("storage_path", s.folder).member("checksum", s.checksum);
  if (!s.tags.empty()) put_tags(json, s);
  json.key("metadata").begin_object().member("source", "sample").member("pages", 12).end_object();
  if (s.dialect == 2)
    json.key("custom_attributes").begin_object().member("department", "archive").end_object();
}

void write_legacy(JsonWriter& json, const Sample& s) {
  json.member("file_id", to_string(s.id))
      .member("original_filename", s.name)
      .member("storage_filename", s.stored_name)
      .member("storage_path", s.folder.substr(0, s.folder.size() - 1))
      .member("file_size", s.data.size())
      .member("mime_type", s.type)
      .member("sha256", s.checksum)
      .member("uploaded_at", to_string(s.created))
      .member("uploaded_by", s.person.username);
  json.key("uploader_full_name");
  s.person.fullname != nullptr ? json.value(s.person.fullname) : json.null();
  member_or_null(json, "description", s.description);
  json.member("version", 1);
  put_tags(json, s);
  json.member("retention_days", 365);
  json.member("created_at", to_string(s.created)).member("updated_at", to_string(s.updated));
}

void write_go(JsonWriter& json, const Sample& s) {
  std::string uploaded_at = to_string(s.created, TimestampStyle::zulu);
  uploaded_at.insert(uploaded_at.size() - 1, "789");  // nanoseconds
  json.member("file_id", to_string(s.id))
      .member("original_filename", s.name)
      .member("storage_path", s.folder + s.stored_name)
      .member("content_type", s.type)
      .member("size", s.data.size())
      .member("checksum", s.checksum)
      .member("uploaded_by", s.person.username)
      .member("uploaded_at", uploaded_at)
      .member("status", "active")
      .member("retention_policy", "temporary")
      .member("ttl_days", 30);
  put_tags(json, s);
  if (s.description) json.member("description", *s.description);
}

std::string sidecar_of(const Sample& s) {
  JsonWriter json(JsonWriter::Layout::indented);
  json.begin_object();
  if (s.dialect <= 2)
    write_today(json, s);
  else if (s.dialect == 3)
    write_legacy(json, s);
  else
    write_go(json, s);
  return std::move(json.end_object()).str();
}

/// Hands out the numbers of files to make and gathers what became of them.
class Run {
 public:
  Run(StorageBackend& storage, const SampleRequest& request, const SampleProgress& progress,
      const Call& call)
      : storage_(storage), request_(request), progress_(progress), call_(call) {}

  void work() {
    while (!failed_) {
      const std::uint64_t index = next_++;
      if (index >= request_.files) return;
      if (auto made = make(index); !made) return note(std::move(made).error());
    }
  }
  Result<SampleResult> result() {
    if (error_) return *std::move(error_);
    return result_;
  }

 private:
  Result<void> make(std::uint64_t index) {
    if (auto go_on = call_.check("sample"); !go_on) return go_on;
    const Sample sample = make_one(request_.seed, index);
    const std::string path = sample.folder + sample.stored_name;
    const std::string sidecar = sidecar_of(sample);
    if (request_.with_data)
      if (auto put = storage_.put({path}, sample.data, call_); !put) return std::move(put).error();
    if (auto put = storage_.put({path + std::string(kSidecarSuffix)}, sidecar, call_); !put)
      return std::move(put).error();
    const std::scoped_lock guard(mutex_);
    result_.data_bytes += request_.with_data ? sample.data.size() : 0;
    result_.sidecar_bytes += sidecar.size();
    if (++result_.files % kProgressStep == 0 && progress_) progress_(result_.files);
    return {};
  }
  void note(Error error) {
    failed_ = true;
    const std::scoped_lock guard(mutex_);
    if (!error_) error_ = std::move(error);
  }

  StorageBackend& storage_;
  const SampleRequest& request_;
  const SampleProgress& progress_;
  const Call& call_;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  SampleResult result_;
  std::optional<Error> error_;
};

}  // namespace

Result<SampleResult> make_sample(StorageBackend& storage, const SampleRequest& request,
                                 const SampleProgress& progress, const Call& call) {
  Run run(storage, request, progress, call);
  std::vector<std::jthread> threads;
  const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1U, 8U);
  for (unsigned i = 0; i < count; ++i) threads.emplace_back([&run] { run.work(); });
  threads.clear();
  return run.result();
}

SampleSidecar sample_sidecar(std::uint64_t seed, std::uint64_t number) {
  const Sample sample = make_one(seed, number);
  return {(sample.folder + sample.stored_name).append(kSidecarSuffix), sidecar_of(sample)};
}

}  // namespace artcache::cli
