// SPDX-License-Identifier: Apache-2.0
// The requests by which notices travel. Pure; a secret is put in by sign() and authorize() alone,
// just before sending.
//
// Facts: a webhook's signature is the HMAC of the body, as in GitHub's X-Hub-Signature-256. GitHub:
// POST /repos/OWNER/REPO/statuses/SHA {state: pending|success|failure|error, context, description,
// target_url}, POST /repos/OWNER/REPO/issues/NUMBER/comments {body}, PATCH
// …/issues/comments/ID {body}, `Authorization: Bearer`.
// GitLab: POST /projects/ID/statuses/SHA {state: pending|running|success|failed|canceled, name,
// description, target_url}, POST /projects/ID/merge_requests/IID/notes {body}, PUT …/notes/ID
// {body}, `PRIVATE-TOKEN`; ID is the path with %2F for its slashes.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/secret.h"
#include "net/http_client.h"
#include "schemas/config/notify.h"
#include "server/notify/notice.h"

namespace knock::notify {

/// Whether this webhook is to be told.
bool wants(const WebhookSettings& hook, const Notice& notice);
/// {"knock_notice": 1, id, event, at, owner, sentence, revision, target}. `id` is the same at every
/// try, so that whoever is told twice can see it.
net::OutgoingRequest webhook_message(const WebhookSettings& hook, const Notice& notice,
                                     const OwnerId& owner, const std::string& id);
/// X-Knock-Signature-256: sha256=HEX, over the body.
void sign(net::OutgoingRequest& request, const Secret& secret);

struct CommitStatus {
  std::string commit;
  std::string context;  // "knock/policy": is it in force; "knock/plan": what would it do
  CommitState state = CommitState::pending;
  std::string description;
};
/// A whole commit id: a folder's revision is none, and forges know nothing of it.
bool is_commit(const std::string& revision);
net::OutgoingRequest status_message(const ForgeSettings& forge, const CommitStatus& status,
                                    const std::string& controller_url);
/// `footer` stays whole where the plan is too long.
std::string comment_text(const std::string& markdown, const std::string& footer);
net::OutgoingRequest comment_message(const ForgeSettings& forge, std::uint64_t pull,
                                     const std::string& text);
net::OutgoingRequest edit_message(const ForgeSettings& forge, std::uint64_t pull,
                                  std::uint64_t comment, const std::string& text);

/// A page of several elements may be larger than this, because strangers write texts into each
/// (pages.h). One element is not: a text of 1,048,576 characters has up to 12 bytes for each of them in
/// JSON (two \\uXXXX), which leaves 4 MiB for what is beside it.
inline constexpr std::size_t kPage = 100, kLargestPage = 8u << 20, kLargestElement = 16u << 20;
constexpr std::size_t largest_page(std::size_t elements) {
  return elements == 1 ? kLargestElement : kLargestPage;
}
/// Pages count from 1.
struct PageOf {
  std::size_t number = 1, elements = kPage;
  bool operator==(const PageOf&) const = default;
};
/// Open ones that go to `branch`, updated last first.
net::OutgoingRequest list_pulls(const ForgeSettings& forge, const std::string& branch, PageOf page);
/// Oldest first.
net::OutgoingRequest list_comments(const ForgeSettings& forge, std::uint64_t pull, PageOf page);
/// Whose the token is.
net::OutgoingRequest ask_who(const ForgeSettings& forge);
void authorize(net::OutgoingRequest& request, const ForgeSettings& forge, const Secret& token);

}  // namespace knock::notify
