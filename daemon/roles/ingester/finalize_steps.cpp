// SPDX-License-Identifier: Apache-2.0
// What a finalize does at its elements.
#include <utility>

#include "common/tags_field.hpp"
#include "roles/ingester/finalize_edits.hpp"
#include "roles/ingester/finalizer.hpp"
#include "util/hash.hpp"
#include "util/try.hpp"

namespace artcache::ingester {
namespace {

constexpr std::size_t kSaidMost = 1000;  // of a value in the log
constexpr std::size_t kPiece = 64 * std::size_t{1024};

/// What the copy says of itself beside its bytes: all that the source said at the base, but for how
/// long.
FormFields fields_behind(const Finalize& job, const Editable& said, const FileFacts& facts) {
  FormFields out;
  const auto add = [&](const char* name, std::optional<std::string> value) {
    if (value && !value->empty()) out.emplace_back(name, *std::move(value));
  };
  add("description", job.description ? job.description : said.description);
  add("version", said.version);
  add("uploaded_by_fullname", facts.created_by_fullname);
  if (said.tags && !said.tags->empty()) out.emplace_back("tags", list_of_tags(*said.tags));
  add("metadata", job.metadata ? job.metadata : said.metadata);
  add("custom_attributes", said.custom_attributes);
  out.emplace_back("retention_policy", "permanent");
  return out;
}

/// An edit is always later.
bool is_as_made(const FileFacts& copy) { return copy.updated_at == copy.created_at; }

Error answered(const web::HttpReply& reply) {
  Error error = refusal("the target", reply);
  if (reply.head.status == 507) error.code = Errc::no_space;
  if (reply.head.status == 409) error.code = Errc::conflict;
  return error;
}

}  // namespace

/// What a form cannot say, as a tag with a comma in it. From its 201 on the copy is the one that
/// the registry shows, and that is edited: what somebody has edited since is no lack of it.
Result<void> Finalizer::tell_as_made(const Finalize& job, const FileFacts& copy,
                                     const ElementView& target, const Call& call) {
  if (!job.base || !is_as_made(copy)) return {};
  const CopyEdits told = edits_when_made(job, *job.base, copy.said);
  if (!told.patch) return {};
  return parts_.client->change(target.url, job.file, *told.patch, copy.tag, call);
}

/// What both say since the base, put together in the copy.
Result<void> Finalizer::carry_edits(Finalize& job, const FileFacts& source, const FileFacts& copy,
                                    const ElementView& target, const Call& call) {
  const CopyEdits edits = edits_since_base(job, source.said, copy.said);
  if (edits.patch)
    ARTCACHE_CHECK(parts_.client->change(target.url, job.file, *edits.patch, copy.tag, call));
  for (const EditConflict& one : edits.conflicts)
    log(LogLevel::error, "Both copies of a file were edited; the permanent one stays as it is",
        to_string(job.file),
        one.field + ": at " + job.source + " " + one.source.substr(0, kSaidMost) + ", at " +
            job.target + " " + one.copy.substr(0, kSaidMost));
  job.base = source.said;
  return {};
}

Result<void> Finalizer::copy(Finalize& job, const Call& call) {
  ARTCACHE_TRY(const ElementView source, reachable(job.source));
  ARTCACHE_TRY(const ElementView target, reachable(job.target));
  ARTCACHE_TRY(const FileFacts facts, needed(source, job.file, call));
  // An attempt before this one may have come further than was written down.
  ARTCACHE_TRY(const auto there, parts_.client->find(target.url, job.file, call));
  if (there && there->checksum == facts.checksum && there->size == facts.size) {
    // One that an earlier version has sent has no base.
    if (!job.base && is_as_made(*there)) job.base = facts.said;
    return tell_as_made(job, *there, target, call);
  }
  if (!job.base) {
    // Before the copy can be there: whatever becomes of the answer, what it was made with is known.
    // Every attempt sends that, for one of which nothing was heard may still come to something.
    job.base = facts.said;
    ARTCACHE_CHECK(
        parts_.database->write(call, [&](db::Session& s) { return store_base(s, job); }));
  }
  ARTCACHE_CHECK(send_copy(job, facts, source, target, call));
  ARTCACHE_TRY(const FileFacts made, needed(target, job.file, call));
  return tell_as_made(job, made, target, call);
}

Result<void> Finalizer::send_copy(const Finalize& job, const FileFacts& facts,
                                  const ElementView& source, const ElementView& target,
                                  const Call& call) {
  ARTCACHE_TRY(const auto bytes, parts_.client->download(source.url, job.file, call));
  FormFields before{{"file_id", to_string(job.file)},
                    {"file_size", std::to_string(facts.size)},
                    {"checksum", facts.checksum},
                    {"uploaded_by_id", facts.created_by_id},
                    {"uploaded_by_username", facts.created_by_username}};
  FormFile file{.filename = facts.original_filename, .content_type = facts.content_type};
  file.rest = [&](std::span<std::byte> into) { return bytes->read(into, call); };
  MultipartBody body(before, std::move(file),
                     [&]() -> Result<FormFields> { return fields_behind(job, *job.base, facts); });
  ARTCACHE_TRY(const auto reply, parts_.client->store(target.url, body, call));
  if (reply.head.status != 201) return answered(reply);
  parts_.elements->note_stored(target.id, facts.size);
  return {};
}

Result<void> Finalizer::verify(Finalize& job, const Call& call) {
  ARTCACHE_TRY(const ElementView source, reachable(job.source));
  ARTCACHE_TRY(const ElementView target, reachable(job.target));
  ARTCACHE_TRY(const auto bytes, parts_.client->download(target.url, job.file, call));
  util::Sha256 sum;
  std::vector<std::byte> piece(kPiece);
  for (;;) {
    ARTCACHE_TRY(const std::size_t read, bytes->read(piece, call));
    if (read == 0) break;
    sum.update(std::span(piece).first(read));
  }
  std::string hex;
  util::append_hex(hex, sum.finish());
  // Only now, since reading may take long and an edit may have come meanwhile.
  ARTCACHE_TRY(const FileFacts facts, needed(source, job.file, call));
  if (hex == facts.checksum) {
    ARTCACHE_TRY(const FileFacts copy, needed(target, job.file, call));
    return carry_edits(job, facts, copy, target, call);
  }
  parts_.deps.metrics->count("finalize_checksum_mismatch_total", {}, 1);
  return Error{Errc::corrupt, "the copy has checksum " + hex + ", the source " + facts.checksum};
}

}  // namespace artcache::ingester
