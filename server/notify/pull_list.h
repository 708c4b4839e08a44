// SPDX-License-Identifier: Apache-2.0
// The open pull requests of one branch, asked of the forge page by page; a page that did not change
// since the last time is not sent again (ETag). One thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/secret.h"
#include "net/http_client.h"
#include "server/notify/forge_replies.h"
#include "server/notify/message.h"
#include "server/notify/pages.h"

namespace knock::notify {

class PullList {
 public:
  static constexpr Duration kTimeLimit = Duration::seconds(10);  // of one page

  /// So often with small pages where they had to be small; then they may be large again.
  static constexpr int kTriesLargeAfter = 10;

  using Token = std::function<Result<Secret>()>;
  PullList(const ForgeSettings& forge, std::string branch, std::unique_ptr<net::HttpClient> client,
           Token token);

  struct Pulls {
    std::vector<OpenPull> open;  // at most PullQueue::kMost: those updated last
    bool more = false;           // there are others
    std::size_t left_out = 0;    // too large, each alone
  };
  /// Errors are in words of ours. `rate_limited` with retry_after: it asks to be left alone.
  Result<Pulls> ask(Instant now);

 private:
  struct Page {
    PageOf of;
    std::string tag;        // "": none was given
    std::size_t bytes = 0;  // that were sent now
    std::vector<OpenPull> pulls;
    bool more = false;
  };
  Result<Page> ask_one(PageOf page, const Page* before, Instant now);

  const ForgeSettings& forge_;
  std::string branch_;
  std::unique_ptr<net::HttpClient> client_;
  Token token_;
  std::map<std::size_t, Page> pages_;  // by their first element, as they were last
  Pages::Sizes sizes_;
  int asked_ = 0;  // since it began with the largest pages
};

}  // namespace knock::notify
