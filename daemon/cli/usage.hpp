// SPDX-License-Identifier: Apache-2.0
// What is said of a command line that means nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace artcache::cli {

/// The name that a word was probably meant to be; empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& names);

/// The verb that the first words name, `locks list` as well as `list`; null when they name none.
CLI::App* called_verb(CLI::App& app, const std::vector<std::string>& arguments);

/// Whether an option, without its dashes, stands among the arguments.
bool is_given(const std::vector<std::string>& arguments, const std::string& option);

/// No number of ours may be negative, which CLI11 would take for a very large one, and no seconds
/// may be more than a clock counts.
void refuse_wrong_numbers(CLI::App& app);

/// What to say of a first word that is no verb: CLI11 would only miss one.
std::optional<std::string> unknown_verb(const CLI::App& app,
                                        const std::vector<std::string>& arguments);
/// What to say of a word that a verb does not take.
std::string unexpected_word(const CLI::App& app);
/// What to say of an option that is missing or says nothing, and where it came from.
std::string wrong_option(const CLI::ParseError& error, const CLI::App* verb,
                         const std::vector<std::string>& arguments);

}  // namespace artcache::cli
