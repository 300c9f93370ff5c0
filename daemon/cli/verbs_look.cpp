// SPDX-License-Identifier: Apache-2.0
// get, list, search, locks: what an index holds.
#include <CLI/CLI.hpp>
#include <artcache/element.hpp>
#include <artcache/json_writer.hpp>
#include <cstdio>
#include <optional>

#include "cli/files.hpp"
#include "cli/place.hpp"
#include "cli/verbs.hpp"
#include "common/entry_json.hpp"
#include "common/lock_json.hpp"

namespace artcache::cli {

std::string entry_json(const IndexedEntry& row, JsonWriter::Layout layout) {
  JsonWriter json(layout);
  json.begin_object();
  append_entry(json, row, system_clock().now());
  return std::move(json.end_object()).str();
}

namespace {

/// One line for people; --json is for programs.
void print_row(const IndexedEntry& row) {
  std::printf("%s  %12llu  %s  %s\n", to_string(row.entry.id).c_str(),
              static_cast<unsigned long long>(row.entry.file_size),
              to_string(row.entry.created_at).substr(0, 19).c_str(),
              row.entry.original_filename.c_str());
}

// --- get ----------------------------------------------------------------------------------------

struct GetOptions : CommonOptions {
  std::string id, content;
};

int run_get(const GetOptions& options) {
  const auto id = FileId::parse(options.id);
  if (!id) return fail(id.error().in("get"));
  if (!options.content.empty()) {
    if (options.storage.empty())
      return fail({Errc::invalid_argument, "get: --content needs --storage"});
    auto place = open_place(options, Needs::index_and_storage);
    if (!place) return fail(place.error());
    const auto written = write_content(*place, options, *id, options.content);
    if (!written) return fail(written.error());
    // Standard output may be the file.
    if (options.as_json && options.content != "-")
      print_object({{"file_id", to_string(*id)}, {"written", options.content}});
    return kDone;
  }
  auto place = open_place(options, Needs::index);
  if (!place) return fail(place.error());
  const auto row = place->index->find(*id, place->call);
  if (!row) return fail(row.error());
  if (!*row) return fail({Errc::not_found, "get: the index has no entry '" + options.id + "'"});
  print_line(entry_json(**row, JsonWriter::Layout::indented));
  return kDone;
}

void add_get(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand("get", "Shows one entry as JSON; exits with 4 if there is none");
  auto options = std::make_shared<GetOptions>();
  verb->add_option("ID", options->id, "Its file id")->required();
  add_common(*verb, *options, Needs::index);
  verb->add_option("--content", options->content,
                   "Writes the data there instead, - for standard output, and verifies it");
  verb->get_option("--storage")
      ->group("Options")
      ->description("Address of the storage, for --content")
      ->envname("ARTCACHE_STORAGE");
  verb->callback([options, &code] { code = run_get(*options); });
}

// --- list and search ----------------------------------------------------------------------------

struct ListOptions : CommonOptions {
  std::string user, type, tag, extension, filename;
  std::uint64_t limit = 0;
  bool oldest_first = false;
  std::string query, mode_name = "words";
  std::uint64_t offset = 0;
};

std::optional<std::string> maybe(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

EntryFilter filter_of(const ListOptions& options) {
  return {.username = maybe(options.user),
          .content_type = maybe(options.type),
          .tag = maybe(options.tag),
          .extension = maybe(options.extension),
          .filename = maybe(options.filename)};
}

void add_filters(CLI::App& verb, ListOptions& options) {
  verb.add_option("--user", options.user, "Only files created by this user name");
  verb.add_option("--type", options.type, "Only files of this content type");
  verb.add_option("--tag", options.tag, "Only files with this tag");
  verb.add_option("--extension", options.extension, "Only files with this ending, such as pdf");
  verb.add_option("--filename", options.filename, "Only files of exactly this original name");
}

/// One JSON object a line: as many entries as there are fit into no memory.
void print_entry(const IndexedEntry& row, bool as_json) {
  if (as_json)
    print_line(entry_json(row, JsonWriter::Layout::compact));
  else
    print_row(row);
}

int run_list(const ListOptions& options) {
  auto place = open_place(options, Needs::index);
  if (!place) return fail(place.error());
  PageRequest request{.filter = filter_of(options)};
  if (options.oldest_first) request.order = SortOrder::ascending;
  std::uint64_t left = options.limit == 0 ? ~0ULL : options.limit;
  do {
    request.limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, kPageMost));
    const auto page = place->index->page(request, place->call);
    if (!page) return fail(page.error());
    for (const IndexedEntry& row : page->entries) print_entry(row, options.as_json);
    left -= page->entries.size();
    request.cursor = page->next_cursor;
  } while (left > 0 && !request.cursor.empty());
  return kDone;
}

void add_list(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand(
      "list", "Lists entries, the newest first; with --json a JSON object a line");
  auto options = std::make_shared<ListOptions>();
  add_common(*verb, *options, Needs::index);
  add_filters(*verb, *options);
  verb->add_option("--limit", options->limit, "No more than so many; 0 for all")
      ->capture_default_str();
  verb->add_flag("--oldest-first", options->oldest_first, "The other way round");
  verb->callback([options, &code] { code = run_list(*options); });
}

int run_search(const ListOptions& options) {
  auto place = open_place(options, Needs::index);
  if (!place) return fail(place.error());
  SearchRequest request{.query = options.query, .filter = filter_of(options)};
  if (options.mode_name == "prefix") request.mode = MatchMode::prefix;
  if (options.mode_name == "exact") request.mode = MatchMode::exact;
  request.limit = static_cast<std::uint32_t>(options.limit == 0 ? 100 : options.limit);
  request.offset = options.offset;
  const auto page = place->index->search(request, place->call);
  if (!page) return fail(page.error());
  for (const IndexedEntry& row : page->entries) print_entry(row, options.as_json);
  if (!options.as_json && !options.quiet)
    std::fprintf(stderr, "%llu of %s%llu shown\n",
                 static_cast<unsigned long long>(page->entries.size()),
                 page->total_kind == TotalKind::exact ? "" : "at least ",
                 static_cast<unsigned long long>(page->total));
  return page->entries.empty() ? exit_code(Errc::not_found) : kDone;
}

void add_search(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand(
      "search", "Finds entries by words of name, tags, description and user; exits with 4 if none");
  auto options = std::make_shared<ListOptions>();
  verb->add_option("QUERY", options->query, "Words, in any form; or an id")->required();
  add_common(*verb, *options, Needs::index);
  add_filters(*verb, *options);
  verb->add_option("--match", options->mode_name, "words: whole words in any form")
      ->check(CLI::IsMember({"words", "prefix", "exact"}))
      ->capture_default_str();
  verb->add_option("--limit", options->limit, "No more than so many; 0 for 100")
      ->check(CLI::Range(0U, kPageMost));
  verb->add_option("--offset", options->offset, "Leaves out so many")->capture_default_str();
  verb->callback([options, &code] { code = run_search(*options); });
}

// --- locks --------------------------------------------------------------------------------------

struct LockOptions : CommonOptions {
  std::string class_name, new_name;
};

int run_locks_list(const LockOptions& options) {
  auto place = open_place(options, Needs::index);
  if (!place) return fail(place.error());
  const auto holders = place->locks->list(options.element, place->call);
  if (!holders) return fail(holders.error());
  if (options.as_json) {
    JsonWriter json;
    json.begin_array();
    for (const LockHolder& holder : *holders) append_holder(json, holder);
    print_line(std::move(json.end_array()).str());
    return kDone;
  }
  for (const LockHolder& h : *holders)
    std::printf("%s  %-18s  fence %llu  on %s  for %.0f s, %.0f s left  %s  %s%s\n",
                h.element.c_str(), std::string(to_string(h.lock_class)).c_str(),
                static_cast<unsigned long long>(h.fence), h.host.c_str(),
                std::chrono::duration<double>(h.age).count(),
                std::chrono::duration<double>(h.expires_in).count(), h.operation.c_str(),
                h.progress.c_str(), h.asked_to_yield ? "  asked to yield" : "");
  if (holders->empty())
    print_line("nobody holds a lock" +
               (options.element.empty() ? "" : " of '" + options.element + "'"));
  return kDone;
}

/// The lock of another element is what one meets who leaves --element out.
Error not_held(const Place& place, const LockOptions& options) {
  std::string text = "locks: nobody holds " + options.class_name + " of '" + place.element + "'";
  if (const auto holders = place.locks->list("", place.call))
    for (const LockHolder& holder : *holders)
      if (to_string(holder.lock_class) == options.class_name)
        text += "; it is held for '" + holder.element + "': --element " + holder.element;
  return {Errc::not_found, std::move(text)};
}

int run_locks_break(const LockOptions& options) {
  auto place = open_place(options, Needs::index);
  if (!place) return fail(place.error());
  const auto lock_class = parse_lock_class(options.class_name);
  const auto broken = place->locks->force_break(place->element, *lock_class, place->call);
  if (!broken) return fail(broken.error());
  if (!*broken) return fail(not_held(*place, options));
  if (options.as_json)
    print_object({{"broken", options.class_name}, {"element", place->element}});
  else
    print_line("taken away; whoever held it changes nothing any more");
  return kDone;
}

/// Whoever worked under the old name would not be met any more.
int run_locks_rename(const LockOptions& options) {
  auto place = open_place(options, Needs::index);
  if (!place) return fail(place.error());
  // The index has those who write files, a server of locks of its own those of other indexes, too.
  for (const auto& holders :
       {place->claims->list("", place->call), place->locks->list(place->element, place->call)}) {
    if (!holders) return fail(holders.error());
    if (!holders->empty())
      return fail({Errc::busy, "locks: '" + holders->front().operation + "' of '" +
                                   holders->front().element + "' holds one; stop who it is"});
  }
  const auto renamed = rename_element(*place->index, options.new_name, place->call);
  if (!renamed) return fail(renamed.error());
  if (options.as_json)
    print_object({{"element", options.new_name}});
  else
    print_line("the index is of element '" + options.new_name + "'");
  return kDone;
}

void add_locks(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand("locks", "Shows who holds the locks of an index, or breaks one");
  verb->require_subcommand(1);
  auto* list = verb->add_subcommand("list", "Who holds what, where, since when, and until when");
  auto list_options = std::make_shared<LockOptions>();
  add_common(*list, *list_options, Needs::index);
  list->callback([list_options, &code] { code = run_locks_list(*list_options); });
  auto* take = verb->add_subcommand(
      "break", "Takes a lock away; safe, because its holder's next commit is refused");
  auto break_options = std::make_shared<LockOptions>();
  take->add_option("CLASS", break_options->class_name, "Which one")
      ->required()
      ->check(
          CLI::IsMember({"manual_rebuild", "manual_check", "lazy_rebuild", "background_cleanup"}));
  add_common(*take, *break_options, Needs::index);
  take->callback([break_options, &code] { code = run_locks_break(*break_options); });
  auto* rename = verb->add_subcommand("rename", "Gives the element of an index another name");
  auto rename_options = std::make_shared<LockOptions>();
  rename->add_option("NAME", rename_options->new_name, "The new one")->required();
  add_common(*rename, *rename_options, Needs::index);
  rename->callback([rename_options, &code] { code = run_locks_rename(*rename_options); });
}

}  // namespace

void add_look_verbs(CLI::App& app, int& code) {
  add_get(app, code);
  add_list(app, code);
  add_search(app, code);
  add_locks(app, code);
}

}  // namespace artcache::cli
