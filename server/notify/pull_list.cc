// SPDX-License-Identifier: Apache-2.0
#include "server/notify/pull_list.h"

#include <utility>

#include "server/notify/outbox.h"
#include "server/notify/pull_queue.h"

namespace knock::notify {
namespace {

constexpr std::size_t kLongestTag = 200;

tl::unexpected<Error> no_list(const net::IncomingResponse& answer, Instant now) {
  Error error{is_rate_limited(answer) ? ErrorKind::rate_limited : ErrorKind::unavailable,
              words_for(answer),
              {},
              wait_asked_for(answer, now)};
  return fail(std::move(error));
}

}  // namespace

PullList::PullList(const ForgeSettings& forge, std::string branch,
                   std::unique_ptr<net::HttpClient> client, Token token)
    : forge_(forge),
      branch_(std::move(branch)),
      client_(std::move(client)),
      token_(std::move(token)) {}

Result<PullList::Pulls> PullList::ask(Instant now) {
  auto pulls = ask_all(now);
  if (pulls || pulls.error().kind != ErrorKind::invalid || elements_ == kSmallPage) return pulls;
  // Perhaps only too large: texts of strangers are in it.
  elements_ = kSmallPage;
  pages_.clear();
  return ask_all(now);
}

Result<PullList::Pulls> PullList::ask_all(Instant now) {
  Pulls out;
  std::vector<Page> pages;
  for (PageOf page{1, elements_}; out.open.size() < PullQueue::kMost; ++page.number) {
    if ((page.number - 1) * page.elements >= PullQueue::kMost) break;
    const Page* before = page.number <= pages_.size() ? &pages_[page.number - 1] : nullptr;
    KNOCK_ASSIGN(auto one, ask_one(page, before, now));
    out.open.insert(out.open.end(), one.pulls.begin(), one.pulls.end());
    out.more = one.more;
    pages.push_back(std::move(one));
    if (!out.more) break;
  }
  pages_ = std::move(pages);
  return out;
}

Result<PullList::Page> PullList::ask_one(PageOf page, const Page* before, Instant now) {
  auto request = list_pulls(forge_, branch_, page);
  bool known = before != nullptr && !before->tag.empty();
  if (known) request.headers.emplace_back("If-None-Match", before->tag);
  auto token = token_();
  if (!token)
    return fail(ErrorKind::unavailable, "its token cannot be read: " + token.error().text());
  authorize(request, forge_, *token);
  auto answer = client_->send(request, Deadline::in(kTimeLimit));
  if (!answer) return fail(answer.error().kind, words_for(answer.error().kind));
  if (answer->status == 304 && known) return *before;
  if (answer->status != 200) return no_list(*answer, now);
  Page out;
  KNOCK_ASSIGN(out.pulls, read_pulls(forge_.type, answer->body, branch_, page.elements));
  out.more = has_next_page(*answer);
  out.tag = header_of(*answer, "etag");
  bool sound = out.tag.size() <= kLongestTag && out.tag.find_first_of("\r\n") == std::string::npos;
  if (!sound) out.tag.clear();
  return out;
}

}  // namespace knock::notify
