// SPDX-License-Identifier: Apache-2.0
#include "server/notify/plan_comments.h"

#include <utility>

#include "base/text.h"

namespace knock::notify {
namespace {

constexpr std::string_view kMark = "<!-- knock-review: ";  // review_footer()
constexpr std::string_view kTime = "| as of |";            // write_markdown()

bool good(const net::IncomingResponse& answer) {
  return answer.status >= 200 && answer.status < 300;
}

std::string without_time(std::string_view text) {
  std::string out;
  for (auto line : split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.starts_with(kTime)) out.append(line).push_back('\n');
  }
  // Forges take it off.
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

}  // namespace

bool same_plan(std::string_view one, std::string_view other) {
  return without_time(one) == without_time(other);
}

Result<net::IncomingResponse> PlanComments::write(const Outbox::Send& send, std::uint64_t pull,
                                                  const std::string& text) {
  if (auto known = known_.find(pull); known != known_.end()) {
    auto answer = edit(send, pull, known->second, text);
    bool gone =
        answer && (answer->status == 404 || answer->status == 403) && !is_rate_limited(*answer);
    if (!gone) return answer;
    // Somebody took it away, or the token is another user's by now.
    known_.erase(pull);
    who_.reset();
  }
  auto who = ask(send);
  if (!who) return std::move(who.error());
  if (*who == 0) return add(send, pull, text);
  auto found = look(send, pull);
  if (!found) return std::move(found.error());
  if (found->id == 0) return add(send, pull, text);
  remember(pull, found->id);
  if (same_plan(found->body, text)) return net::IncomingResponse{200, {}, {}};
  return edit(send, pull, found->id, text);
}

PlanComments::Step<std::uint64_t> PlanComments::ask(const Outbox::Send& send) {
  if (who_) return *who_;
  auto answer = send(ask_who(forge_));
  if (!answer) return tl::unexpected(std::move(answer));
  bool nobody = (answer->status == 403 || answer->status == 404) && !is_rate_limited(*answer);
  if (!nobody && !good(*answer)) return tl::unexpected(std::move(answer));
  who_ = 0;
  if (nobody) return *who_;
  auto id = read_id(answer->body);
  if (id) who_ = *id;
  return *who_;
}

PlanComments::Step<PlanComments::Found> PlanComments::look(const Outbox::Send& send,
                                                           std::uint64_t pull) {
  Found found;
  Pages walk(kMostComments);
  while (auto page = walk.next()) {
    auto seen = look_at_page(send, pull, *page, found);
    if (seen) {
      walk.read(seen->bytes, seen->more);
      continue;
    }
    // Ours is not so large.
    bool too_large = !seen.error() && is_too_large(seen.error().error());
    if (!too_large) return tl::unexpected(std::move(seen.error()));
    walk.too_large();
  }
  return found;
}

PlanComments::Step<PlanComments::Seen> PlanComments::look_at_page(const Outbox::Send& send,
                                                                  std::uint64_t pull, PageOf page,
                                                                  Found& found) {
  auto answer = send(list_comments(forge_, pull, page));
  if (!answer || !good(*answer)) return tl::unexpected(std::move(answer));
  auto comments = read_comments(forge_.type, answer->body, page.elements);
  if (!comments) return tl::unexpected(Result<net::IncomingResponse>(fail(comments.error())));
  for (ForgeComment& comment : *comments)
    if (comment.author == *who_ && comment.body.find(kMark) != std::string::npos)
      found = {comment.id, std::move(comment.body)};
  return Seen{answer->body.size(), has_next_page(*answer)};
}

Result<net::IncomingResponse> PlanComments::edit(const Outbox::Send& send, std::uint64_t pull,
                                                 std::uint64_t comment, const std::string& text) {
  return send(edit_message(forge_, pull, comment, text));
}

Result<net::IncomingResponse> PlanComments::add(const Outbox::Send& send, std::uint64_t pull,
                                                const std::string& text) {
  auto answer = send(comment_message(forge_, pull, text));
  if (!answer || !good(*answer)) return answer;
  if (auto id = read_id(answer->body)) remember(pull, *id);
  return answer;
}

void PlanComments::remember(std::uint64_t pull, std::uint64_t comment) {
  if (known_.size() >= kMostRemembered) known_.clear();
  known_[pull] = comment;
}

}  // namespace knock::notify
