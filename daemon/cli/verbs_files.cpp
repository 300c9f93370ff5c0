// SPDX-License-Identifier: Apache-2.0
// put, rm, and the content of get: files of an element.
#include <CLI/CLI.hpp>
#include <array>
#include <artcache/file_service.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "cli/files.hpp"
#include "cli/place.hpp"
#include "cli/verbs.hpp"

namespace artcache::cli {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin && file != stdout) std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

Error file_error(const std::string& name) {
  const Errc code = errno == ENOENT   ? Errc::not_found
                    : errno == EISDIR ? Errc::invalid_argument
                    : errno == ENOSPC ? Errc::no_space
                                      : Errc::unavailable;
  return Error{code, "file '" + name + "': " + std::strerror(errno)};
}

Result<File> open_named(const std::string& name, const char* mode, std::FILE* standard) {
  std::error_code unknown;
  if (std::filesystem::is_directory(name, unknown)) {
    errno = EISDIR;  // to read from one is what fopen() lets begin
    return file_error(name);
  }
  File file(name == "-" ? standard : std::fopen(name.c_str(), mode));
  if (file == nullptr) return file_error(name);
  return file;
}

class FileSource final : public ByteSource {
 public:
  FileSource(std::FILE* file, std::string name) : file_(file), name_(std::move(name)) {}
  Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) override {
    if (auto go_on = call.check("put"); !go_on) return std::move(go_on).error();
    const std::size_t bytes = std::fread(buffer.data(), 1, buffer.size(), file_);
    if (bytes == 0 && std::ferror(file_) != 0) return file_error(name_);
    return bytes;
  }

 private:
  std::FILE* file_;
  const std::string name_;
};

// --- put ----------------------------------------------------------------------------------------

struct PutOptions : CommonOptions {
  std::string file, id, name, type = "application/octet-stream", user = "artcache", description;
  std::string checksum, retention;
  std::vector<std::string> tags;
  std::uint64_t max_size = 0;
};

Result<UploadRequest> request_of(const PutOptions& options) {
  UploadRequest request;
  if (options.file == "-" && options.name.empty())
    return Error{Errc::invalid_argument, "--name has to say what standard input is called"};
  if (!options.id.empty()) {
    const auto id = FileId::parse(options.id);
    if (!id) return id.error().in("--id");
    request.id = *id;
  }
  if (!options.checksum.empty()) {
    const auto sum = Sha256Sum::parse(options.checksum);
    if (!sum) return sum.error().in("--checksum");
    request.checksum = *sum;
  }
  request.original_filename = options.name;
  if (options.name.empty())
    request.original_filename = std::filesystem::path(options.file).filename().string();
  request.content_type = options.type;
  request.created_by_id = request.created_by_username = options.user;
  if (!options.description.empty()) request.description = options.description;
  if (!options.retention.empty()) request.retention_policy = options.retention;
  request.tags = options.tags;
  std::error_code unknown;
  const auto size = std::filesystem::file_size(options.file, unknown);
  if (options.file != "-" && !unknown) request.size = size;
  return request;
}

int run_put(const PutOptions& options) {
  const auto request = request_of(options);
  if (!request) return fail(request.error().in("put"));
  const auto file = open_named(options.file, "rb", stdin);
  if (!file) return fail(file.error().in("put"));
  auto place = open_place(options, Needs::index_and_storage, IfMissing::create);
  if (!place) return fail(place.error());
  FileService files = make_file_service(
      *place, options, options.max_size > 0 ? std::optional(options.max_size) : std::nullopt);
  FileSource source(file->get(), options.file);
  const auto row = files.upload(*request, source, place->call);
  if (!row) return fail(row.error());
  print_line(options.as_json ? entry_json(*row, JsonWriter::Layout::indented)
                             : to_string(row->entry.id));
  return kDone;
}

void add_put(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand("put", "Stores a file and prints its id");
  auto options = std::make_shared<PutOptions>();
  verb->add_option("FILE", options->file, "What to store; - for standard input")->required();
  add_common(*verb, *options, Needs::index_and_storage);
  verb->add_option("--id", options->id, "Its id; with one the command may be repeated");
  verb->add_option("--name", options->name, "Its name; that of FILE otherwise");
  verb->add_option("--type", options->type, "Its content type")->capture_default_str();
  verb->add_option("--user", options->user, "Who stores it")->capture_default_str();
  verb->add_option("--description", options->description, "For people, and for search");
  verb->add_option("--tag", options->tags, "May be given several times");
  verb->add_option("--retention", options->retention, "Such as permanent or temporary");
  verb->add_option("--checksum", options->checksum, "SHA-256 that its bytes must have");
  verb->add_option("--max-size", options->max_size, "What all files of the element may take: 10G")
      ->transform(CLI::AsSizeValue(false));
  verb->callback([options, &code] { code = run_put(*options); });
}

// --- rm -----------------------------------------------------------------------------------------

struct RemoveOptions : CommonOptions {
  std::string id;
};

int run_rm(const RemoveOptions& options) {
  const auto id = FileId::parse(options.id);
  if (!id) return fail(id.error().in("rm"));
  auto place = open_place(options, Needs::index_and_storage);
  if (!place) return fail(place.error());
  FileService files = make_file_service(*place, options);
  if (const auto removed = files.remove(*id, place->call); !removed) return fail(removed.error());
  if (options.as_json) print_object({{"removed", to_string(*id)}});
  return kDone;
}

void add_rm(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand("rm", "Removes a file with its sidecar and its entry");
  auto options = std::make_shared<RemoveOptions>();
  verb->add_option("ID", options->id, "Its file id")->required();
  add_common(*verb, *options, Needs::index_and_storage);
  verb->callback([options, &code] { code = run_rm(*options); });
}

Result<void> write_all(Download& download, std::FILE* file, const std::string& name,
                       const Call& call) {
  std::array<std::byte, 64 * std::size_t{1024}> buffer{};
  while (true) {
    const auto bytes = download.read(buffer, call);
    if (!bytes) return bytes.error();
    if (*bytes == 0) break;
    if (std::fwrite(buffer.data(), 1, *bytes, file) != *bytes) return file_error(name);
  }
  if (std::fflush(file) != 0) return file_error(name);
  return {};
}

}  // namespace

FileService make_file_service(const Place& place, const CommonOptions& options,
                              std::optional<std::uint64_t> capacity) {
  FileSettings settings;
  settings.element = place.element;
  settings.mode = parse_element_mode(options.mode).value_or(ElementMode::edit);
  settings.capacity_bytes = capacity;
  return {*place.storage, *place.index, *place.claims, std::move(settings), place.deps};
}

Result<void> write_content(const Place& place, const CommonOptions& options, const FileId& id,
                           const std::string& name) {
  FileService files = make_file_service(place, options);
  const auto download = files.download(id, {.verify = Verify::yes}, place.call);
  if (!download) return download.error();
  std::error_code unknown;
  const bool special = name == "-" || (std::filesystem::exists(name, unknown) &&
                                       !std::filesystem::is_regular_file(name, unknown));
  if (special) {
    const auto file = open_named(name, "wb", stdout);
    return file ? write_all(**download, file->get(), name, place.call) : file.error();
  }
  // Under its name only once every byte was verified.
  const std::string part = name + ".part";
  auto written = [&]() -> Result<void> {
    const auto file = open_named(part, "wb", stdout);
    if (!file) return file.error();
    return write_all(**download, file->get(), part, place.call);
  }();
  if (written && std::rename(part.c_str(), name.c_str()) != 0) written = file_error(name);
  if (!written) std::remove(part.c_str());
  return written;
}

void add_file_verbs(CLI::App& app, int& code) {
  add_put(app, code);
  add_rm(app, code);
}

}  // namespace artcache::cli
