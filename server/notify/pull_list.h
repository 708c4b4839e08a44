// SPDX-License-Identifier: Apache-2.0
// The open pull requests of one branch, asked of the forge page by page; a page that did not change
// since the last time is not sent again (ETag). One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/secret.h"
#include "net/http_client.h"
#include "server/notify/forge_replies.h"
#include "server/notify/message.h"

namespace knock::notify {

class PullList {
 public:
  static constexpr Duration kTimeLimit = Duration::seconds(10);  // of one page

  using Token = std::function<Result<Secret>()>;
  PullList(const ForgeSettings& forge, std::string branch, std::unique_ptr<net::HttpClient> client,
           Token token);

  struct Pulls {
    std::vector<OpenPull> open;  // at most PullQueue::kMost: those updated last
    bool more = false;           // there are others
  };
  /// Errors are in words of ours. `rate_limited` with retry_after: it asks to be left alone.
  Result<Pulls> ask(Instant now);

 private:
  struct Page {
    std::string tag;  // "": none was given
    std::vector<OpenPull> pulls;
    bool more = false;
  };
  Result<Pulls> ask_all(Instant now);
  Result<Page> ask_one(PageOf page, const Page* before, Instant now);

  const ForgeSettings& forge_;
  std::string branch_;
  std::unique_ptr<net::HttpClient> client_;
  Token token_;
  std::size_t elements_ = kPage;
  std::vector<Page> pages_;  // as they were last
};

}  // namespace knock::notify
