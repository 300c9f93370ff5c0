// SPDX-License-Identifier: Apache-2.0
// What a follower does next, given what has happened: no waiting, no I/O, no clock.
#pragma once

#include <artcache/follower.hpp>
#include <span>
#include <string>

namespace artcache::sync {

/// One thing to do. What came of it is told by the on_…() of the same line.
enum class Step : std::uint8_t {
  look,    ///< ask the replica where it stands: on_standing()
  resume,  ///< find the row after which the replica was cut off: on_resumed()
  read,    ///< read the log and apply it: on_rows(), on_gone()
  copy,    ///< a snapshot into an empty replica: on_copied()
  mend,    ///< compare by buckets and make good: on_mended()
  retry,   ///< fetch what could not be applied once more: on_retried()
  pause,   ///< wait for pause_for(): on_paused()
};

/// The digest that the source has when the replica is in step but for its dead letters.
Digest expected_digest(const Standing& standing);

class FollowMachine {
 public:
  explicit FollowMachine(const FollowSettings& settings) : settings_(settings) {}

  [[nodiscard]] Step next() const { return next_; }
  /// From `pause_least` doubling to `pause_most`; `random` from 0 to 1 takes up to a quarter off.
  [[nodiscard]] std::chrono::nanoseconds pause_for(double random) const;

  void on_standing(const Standing& standing, Timestamp now);
  /// `found`: the log has told of exactly what the replica holds; it stands there.
  void on_resumed(bool found);
  /// Somebody else says that the source is there. It is asked; what it answers counts.
  void on_heard(std::uint64_t epoch, std::uint64_t seq);
  void on_asked() { asked_ = hint_; }
  /// The head of the source, and whether the rows that were applied ended at a reset.
  void on_rows(const IndexHead& source, std::size_t rows, bool reset);
  /// The log cannot vouch for the position: `why` in its words.
  void on_gone(std::string why);
  /// `upto`: the replica may hold anything up to there, so that digests agree again from there on.
  /// Of epoch 0 when it was no snapshot but what an earlier one has left.
  void on_copied(const Position& upto);
  void on_mended(const Position& upto, std::uint64_t differences);
  void on_error(const Error& error);
  void on_paused();
  /// Time to compare although nothing seems wrong.
  void on_audit_due();
  /// Time to try what could not be applied; nothing while something else is to be done.
  void on_retry_due();
  void on_retried();
  /// What could not be applied by now, wherever the replica stands.
  void on_dead(std::span<const DeadLetter> dead);

  /// True when the replica is proven to be where the source is, as far as that has answered since
  /// the last error.
  [[nodiscard]] bool in_step() const;
  /// The source has answered since the last error.
  [[nodiscard]] bool heard() const { return heard_; }
  /// All but age, in_step and running.
  [[nodiscard]] const FollowStatus& status() const { return status_; }

 private:
  /// What somebody else has said of the source, since it was asked.
  struct Hint {
    std::uint64_t epoch = 0, seq = 0;
    bool operator==(const Hint&) const = default;
  };

  void mend(std::string why);
  void heard_of(const Position& source);
  void measure_lag();
  void answered();

  /// Digests that differ after so many mendings in a row are an error, with pauses.
  static constexpr unsigned kMendingsMost = 3;

  FollowSettings settings_;
  FollowStatus status_;
  Step next_ = Step::look;
  std::uint64_t agrees_from_ = 0;  // before this seq the digests cannot agree
  unsigned failures_in_row_ = 0, mendings_in_row_ = 0;
  bool heard_ = false;
  Hint hint_, asked_;
};

}  // namespace artcache::sync
