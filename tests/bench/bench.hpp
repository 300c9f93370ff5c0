// SPDX-License-Identifier: Apache-2.0
// A figure is what one operation takes, divided by what its floor or peer takes in the same run.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace artcache::bench {

struct Options {
  std::string folder = "/tmp";  ///< where stores and indexes are made
  std::uint64_t files = 100'000;
  std::string only;  ///< figures whose group begins with this
  std::string json_file;
};

enum class Better : std::uint8_t { lower, higher };

struct Figure {
  std::string group = {}, name = {};
  double value = 0;  ///< in `unit`
  double floor = 0;  ///< of the same kind; 0: the figure stands alone
  std::string unit = {};
  std::string floor_name = {};
  double must = 0, aim = 0;
  Better better = Better::lower;

  [[nodiscard]] double ratio() const { return floor > 0 ? value / floor : value; }
  [[nodiscard]] bool good_enough() const {
    return better == Better::lower ? ratio() <= must : ratio() >= must;
  }
};

using Seconds = std::chrono::duration<double>;

/// Seconds that one run takes.
double time_of(const std::function<void()>& work);

/// The best times of both, run by turns so that both see the same machine.
struct Pair {
  double ours = 0, floor = 0;
};
Pair best_of(int rounds, const std::function<void()>& ours, const std::function<void()>& floor);

/// Peak memory in MiB of a process that does nothing but `work`.
double peak_memory_of(const std::function<void()>& work);

/// Ends the run with a message when something that must work does not.
[[noreturn]] void give_up(const std::string& message);
template <class R>
auto must(R result) {
  if (!result) give_up(to_string(result.error()));
  if constexpr (!std::is_void_v<typename R::value_type>) return std::move(*result);
}

std::vector<Figure> storage_figures(const Options& options);
std::vector<Figure> codec_figures(const Options& options);
std::vector<Figure> index_figures(const Options& options);
std::vector<Figure> load_figures(const Options& options);
std::vector<Figure> reconcile_figures(const Options& options);
std::vector<Figure> scale_figures(const Options& options);
/// Runs the program artcache, which must stand beside this one.
std::vector<Figure> memory_figures(const Options& options);
std::vector<Figure> watch_figures(const Options& options);
std::vector<Figure> locks_figures(const Options& options);
std::vector<Figure> files_figures(const Options& options);
std::vector<Figure> follow_figures(const Options& options);
/// These start servers; without them there are no figures.
std::vector<Figure> follow_postgres_figures(const Options& options);
std::vector<Figure> postgres_figures(const Options& options);
std::vector<Figure> s3_figures(const Options& options);

}  // namespace artcache::bench
