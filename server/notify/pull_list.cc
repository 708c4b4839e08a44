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
  if (++asked_ >= kTriesLargeAfter) {
    asked_ = 0;
    sizes_.clear();
  }
  Pulls out;
  Pages walk(PullQueue::kMost, sizes_);
  std::map<std::size_t, Page> pages;
  while (auto page = walk.next()) {
    auto first = (page->number - 1) * page->elements;
    auto at = pages_.find(first);
    bool same = at != pages_.end() && at->second.of == *page;
    auto one = ask_one(*page, same ? &at->second : nullptr, now);
    if (!one && is_too_large(one.error())) {
      walk.too_large();
      continue;
    }
    if (!one) return fail(std::move(one.error()));
    out.open.insert(out.open.end(), one->pulls.begin(), one->pulls.end());
    walk.read(one->bytes, one->more);
    pages.emplace(first, *std::move(one));
  }
  out.more = walk.more();
  out.left_out = walk.left_out();
  pages_ = std::move(pages);
  sizes_ = walk.sizes();
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
  if (!answer) {
    if (is_too_large(answer.error())) return fail(std::move(answer.error()));
    return fail(answer.error().kind, words_for(answer.error()));
  }
  if (answer->status == 304 && known) {
    Page same = *before;
    same.bytes = 0;
    return same;
  }
  if (answer->status != 200) return no_list(*answer, now);
  Page out;
  out.of = page;
  out.bytes = answer->body.size();
  KNOCK_ASSIGN(out.pulls, read_pulls(forge_.type, answer->body, branch_, page.elements));
  out.more = has_next_page(*answer);
  out.tag = header_of(*answer, "etag");
  bool sound = out.tag.size() <= kLongestTag && out.tag.find_first_of("\r\n") == std::string::npos;
  if (!sound) out.tag.clear();
  return out;
}

}  // namespace knock::notify
