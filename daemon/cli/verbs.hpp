// SPDX-License-Identifier: Apache-2.0
// The verbs of `artcache`. Each adds its options and sets the exit code when it is called.
#pragma once

#include <artcache/result.hpp>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace CLI {
class App;
}

namespace artcache::cli {

inline constexpr int kDone = 0;
inline constexpr int kInconsistent = 2;
inline constexpr int kUsage = 64;

/// Adds every verb to `app`; the one that is called leaves its exit code in `exit_code`.
void add_verbs(CLI::App& app, int& exit_code);

void add_reconcile_verbs(CLI::App& app, int& code);
void add_watch(CLI::App& app, int& code);
void add_look_verbs(CLI::App& app, int& code);
void add_sync_verbs(CLI::App& app, int& code);
void add_file_verbs(CLI::App& app, int& code);
void add_doctor(CLI::App& app, int& code);
void add_migrate(CLI::App& app, int& code);

/// Prints one line on stdout.
void print_line(const std::string& text);
/// Prints one JSON object of texts on stdout.
void print_object(std::initializer_list<std::pair<std::string_view, std::string_view>> members);
/// Prints one line `artcache: …` on stderr and returns the exit code of the table.
int fail(const Error& error);
/// The same where the verb knows better what to do; a second line, or none where it is null.
int fail(const Error& error, const char* advice);
/// For --json: from now on fail() prints an object with the member `error` on stdout, too.
void tell_errors_as_json();

}  // namespace artcache::cli
