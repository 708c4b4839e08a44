// SPDX-License-Identifier: Apache-2.0
// The plan of a pull request in one comment of ours: written where there is none, and written over
// where there is one, also after a restart, and when an answer was lost on the way back. What counts
// as ours is what the token's own user wrote, with a review hash at its end: whoever may comment can
// write such a hash too.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "server/notify/forge_replies.h"
#include "server/notify/message.h"
#include "server/notify/outbox.h"
#include "server/notify/pages.h"

namespace knock::notify {

/// One thread.
class PlanComments {
 public:
  explicit PlanComments(const ForgeSettings& forge) : forge_(forge) {}

  /// One try. The last answer decides; what is there already, but for the time in it, is an answer
  /// without one.
  Result<net::IncomingResponse> write(const Outbox::Send& send, std::uint64_t pull,
                                      const std::string& text);

 private:
  static constexpr std::size_t kMostComments = 1000, kMostRemembered = 1000;
  struct Found {
    std::uint64_t id = 0;  // 0: none
    std::string body;
  };
  /// A value, or the answer with which the try ends.
  template <class T>
  using Step = tl::expected<T, Result<net::IncomingResponse>>;
  /// 0: of a token that is nobody's (an app's) nobody can say which comments are its own.
  Step<std::uint64_t> ask(const Outbox::Send& send);
  /// The last one of ours.
  Step<Found> look(const Outbox::Send& send, std::uint64_t pull);
  struct Seen {
    std::size_t bytes = 0;
    bool more = false;
  };
  /// The same of one page.
  Step<Seen> look_at_page(const Outbox::Send& send, std::uint64_t pull, PageOf page, Found& found);
  Result<net::IncomingResponse> edit(const Outbox::Send& send, std::uint64_t pull,
                                     std::uint64_t comment, const std::string& text);
  Result<net::IncomingResponse> add(const Outbox::Send& send, std::uint64_t pull,
                                    const std::string& text);
  void remember(std::uint64_t pull, std::uint64_t comment);

  const ForgeSettings& forge_;
  std::optional<std::uint64_t> who_;              // 0: nobody
  std::map<std::uint64_t, std::uint64_t> known_;  // of a pull request: our comment
};

/// Whether both say the same of the same change: a plan says when it was made.
bool same_plan(std::string_view one, std::string_view other);

}  // namespace knock::notify
