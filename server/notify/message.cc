// SPDX-License-Identifier: Apache-2.0
#include "server/notify/message.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/sha256.h"
#include "base/text.h"

namespace knock::notify {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestDescription = 140;  // GitHub refuses longer ones
constexpr std::size_t kLongestComment = 60'000;   // the same, beyond 65,536 characters
constexpr std::size_t kLongestAnswer = 1u << 20;  // it repeats the comment, and who wrote it

net::OutgoingRequest get(std::string url, std::size_t largest) {
  net::OutgoingRequest out;
  out.url = std::move(url);
  out.headers = {{"User-Agent", "knock/" KNOCK_VERSION}};
  out.response_bytes = largest;
  return out;
}

net::OutgoingRequest post(std::string url, const json::object& body) {
  net::OutgoingRequest out;
  out.method = "POST";
  out.url = std::move(url);
  out.headers = {{"Content-Type", "application/json"}, {"User-Agent", "knock/" KNOCK_VERSION}};
  out.body = json::serialize(body);
  out.response_bytes = kLongestAnswer;
  return out;
}

/// At most so many bytes, and no part of a character.
std::string cut(std::string text, std::size_t most, std::string_view end) {
  if (text.size() <= most) return text;
  std::size_t at = most - end.size();
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
  return text.substr(0, at) + std::string(end);
}

std::string state_word(ForgeSettings::Type type, CommitState state) {
  switch (state) {
    case CommitState::pending:
      return "pending";
    case CommitState::success:
      return "success";
    case CommitState::failure:
      return type == ForgeSettings::Type::gitlab ? "failed" : "failure";
  }
  return "pending";
}

std::string in_path(const std::string& project) {
  std::string out;
  for (char c : project) out += c == '/' ? std::string("%2F") : std::string(1, c);
  return out;
}

std::string project_url(const ForgeSettings& forge) {
  bool github = forge.type == ForgeSettings::Type::github;
  return forge.api + (github ? "/repos/" + forge.project : "/projects/" + in_path(forge.project));
}

}  // namespace

bool wants(const WebhookSettings& hook, const Notice& notice) {
  auto group = notice.event.substr(0, notice.event.find('.'));
  return hook.events.empty() ||
         std::find(hook.events.begin(), hook.events.end(), group) != hook.events.end();
}

net::OutgoingRequest webhook_message(const WebhookSettings& hook, const Notice& notice,
                                     const OwnerId& owner, const std::string& id) {
  json::object body{{"knock_notice", 1},          {"id", id},
                    {"event", notice.event},      {"at", to_string(notice.at)},
                    {"owner", owner.to_string()}, {"sentence", notice.sentence}};
  if (!notice.revision.empty()) body["revision"] = notice.revision;
  if (!notice.target.empty()) body["target"] = notice.target;
  auto out = post(hook.url, body);
  out.headers.emplace_back("X-Knock-Event", notice.event);
  out.headers.emplace_back("X-Knock-Delivery", id);
  return out;
}

void sign(net::OutgoingRequest& request, const Secret& secret) {
  request.headers.emplace_back("X-Knock-Signature-256",
                               "sha256=" + to_hex(hmac_sha256(secret.reveal(), request.body)));
}

bool is_commit(const std::string& revision) {
  return revision.size() == 40 &&
         revision.find_first_not_of("0123456789abcdef") == std::string::npos;
}

net::OutgoingRequest status_message(const ForgeSettings& forge, const CommitStatus& status,
                                    const std::string& controller_url) {
  json::object body{{"state", state_word(forge.type, status.state)},
                    {"description", cut(status.description, kLongestDescription, "...")}};
  if (!controller_url.empty()) body["target_url"] = controller_url;
  body[forge.type == ForgeSettings::Type::github ? "context" : "name"] = status.context;
  return post(project_url(forge) + "/statuses/" + status.commit, body);
}

namespace {

using Parameters = std::vector<std::pair<std::string, std::string>>;

std::string comments_of(const ForgeSettings& forge, std::uint64_t pull) {
  auto number = std::to_string(pull);
  return project_url(forge) + (forge.type == ForgeSettings::Type::github
                                   ? "/issues/" + number + "/comments"
                                   : "/merge_requests/" + number + "/notes");
}

std::string paged(const std::string& url, Parameters parameters, PageOf page) {
  parameters.emplace_back("per_page", std::to_string(page.elements));
  parameters.emplace_back("page", std::to_string(page.number));
  return url + "?" + net::encode_form(parameters);
}

}  // namespace

std::string comment_text(const std::string& markdown, const std::string& footer) {
  return cut(markdown, kLongestComment, "\n\n(The plan is longer; `knock plan` shows it.)\n") +
         footer;
}

net::OutgoingRequest comment_message(const ForgeSettings& forge, std::uint64_t pull,
                                     const std::string& text) {
  return post(comments_of(forge, pull), json::object{{"body", text}});
}

net::OutgoingRequest edit_message(const ForgeSettings& forge, std::uint64_t pull,
                                  std::uint64_t comment, const std::string& text) {
  bool github = forge.type == ForgeSettings::Type::github;
  auto url = github ? project_url(forge) + "/issues/comments" : comments_of(forge, pull);
  auto out = post(url + "/" + std::to_string(comment), json::object{{"body", text}});
  out.method = github ? "PATCH" : "PUT";
  return out;
}

net::OutgoingRequest list_pulls(const ForgeSettings& forge, const std::string& branch,
                                PageOf page) {
  if (forge.type == ForgeSettings::Type::github)
    return get(
        paged(project_url(forge) + "/pulls",
              {{"state", "open"}, {"base", branch}, {"sort", "updated"}, {"direction", "desc"}},
              page),
        largest_page(page.elements));
  return get(paged(project_url(forge) + "/merge_requests",
                   {{"state", "opened"},
                    {"target_branch", branch},
                    {"order_by", "updated_at"},
                    {"sort", "desc"}},
                   page),
             largest_page(page.elements));
}

net::OutgoingRequest list_comments(const ForgeSettings& forge, std::uint64_t pull, PageOf page) {
  bool github = forge.type == ForgeSettings::Type::github;
  auto order = github ? Parameters{} : Parameters{{"order_by", "created_at"}, {"sort", "asc"}};
  return get(paged(comments_of(forge, pull), std::move(order), page), largest_page(page.elements));
}

net::OutgoingRequest ask_who(const ForgeSettings& forge) {
  return get(forge.api + "/user", kLongestAnswer);
}

void authorize(net::OutgoingRequest& request, const ForgeSettings& forge, const Secret& token) {
  if (forge.type == ForgeSettings::Type::gitlab) {
    request.headers.emplace_back("PRIVATE-TOKEN", std::string(token.reveal()));
    return;
  }
  request.headers.emplace_back("Accept", "application/vnd.github+json");
  request.headers.emplace_back("Authorization", "Bearer " + std::string(token.reveal()));
}

}  // namespace knock::notify
