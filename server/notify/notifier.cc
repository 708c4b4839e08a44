// SPDX-License-Identifier: Apache-2.0
#include "server/notify/notifier.h"

#include <atomic>
#include <utility>

#include "base/text.h"

namespace knock::notify {
namespace {

constexpr std::size_t kMostRemembered = 1000, kMostRecords = 1000;
constexpr const char* kPolicyContext = "knock/policy";

/// "hooks.example.org:8443" of an address: what stands behind it may be a secret.
std::string host_of(const std::string& url) {
  auto begin = url.find("://");
  auto rest = begin == std::string::npos ? url : url.substr(begin + 3);
  return printable(rest.substr(0, rest.find_first_of("/?#")));
}

}  // namespace

Notifier::Notifier(NotifierParts parts) : parts_(std::move(parts)) {
  seen_ = parts_.store.head().value_or(0);
  auto box = [&](std::string name, const std::vector<Prefix>& networks,
                 Outbox::Authorize authorize) {
    OutboxSettings settings;
    settings.name = std::move(name);
    settings.first_pause = parts_.first_pause;
    return std::make_unique<Outbox>(std::move(settings), net::make_http_client({networks}),
                                    std::move(authorize), parts_.done);
  };
  for (const WebhookSettings& hook : parts_.settings.webhooks)
    hooks_.push_back(box("webhook " + host_of(hook.url), hook.allow_networks,
                         [this, &hook](net::OutgoingRequest& request) -> Status {
                           KNOCK_ASSIGN(auto secret, parts_.secret(hook.secret));
                           sign(request, secret);
                           return {};
                         }));
  if (!parts_.settings.forge) return;
  const ForgeSettings& forge = *parts_.settings.forge;
  comments_ = std::make_unique<PlanComments>(forge);
  forge_ = box("forge " + host_of(forge.api), forge.allow_networks,
               [this, &forge](net::OutgoingRequest& request) -> Status {
                 KNOCK_ASSIGN(auto token, parts_.secret(forge.token));
                 authorize(request, forge, token);
                 return {};
               });
}

Notifier::~Notifier() {
  thread_.request_stop();
  never_.notify_all();
}

void Notifier::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    std::mutex own;
    std::unique_lock lock(own);
    while (!stop.stop_requested()) {
      look();
      never_.wait_for(lock, stop, parts_.every, [] { return false; });
    }
  });
}

void Notifier::look() {
  auto records = parts_.store.records(seen_, kMostRecords);
  if (records && !records->empty()) seen_ = records->back().seq;
  auto notices = watch_.look(
      parts_.status(), records ? std::span<const Record>(*records) : std::span<const Record>());
  for (const Notice& notice : notices) tell(notice);
}

void Notifier::tell(const Notice& notice) {
  auto id = parts_.random.token(16);
  for (std::size_t i = 0; i < hooks_.size(); ++i) {
    const WebhookSettings& hook = parts_.settings.webhooks[i];
    if (wants(hook, notice))
      hooks_[i]->put(notice.event, webhook_message(hook, notice, parts_.owner, id));
  }
  if (!notice.revision.empty())
    set_status({notice.revision, kPolicyContext, notice.state, notice.sentence});
}

void Notifier::set_status(const CommitStatus& status, const Outbox::Then& then) {
  auto about = status.context + " " + status.commit;
  auto said = std::to_string(int(status.state)) + status.description;
  if (!forge_ || !is_commit(status.commit) || !is_news(about, said)) {
    if (then) then(true);
    return;
  }
  forge_->put("status of " + status.commit.substr(0, 12),
              status_message(*parts_.settings.forge, status, parts_.controller_url),
              unless_lost(about, said, then),
              status.context == kPolicyContext ? Outbox::Turn::first : Outbox::Turn::in_order);
}

void Notifier::planned(const PlannedChange& change, Outbox::Then then) {
  if (!forge_) return;
  struct Both {
    std::atomic<int> left = 2;
    std::atomic<bool> arrived = true;
  };
  auto one = [both = std::make_shared<Both>(), then = std::move(then)](bool arrived) {
    if (!arrived) both->arrived = false;
    if (--both->left == 0 && then) then(both->arrived);
  };
  set_status({change.commit, "knock/plan", change.state, change.description}, one);
  write_comment(change, one);
}

void Notifier::write_comment(const PlannedChange& change, const Outbox::Then& then) {
  auto about = "pull " + std::to_string(change.pull);
  auto said = change.commit + change.footer;
  if (!parts_.settings.forge->post || change.pull == 0 || !is_news(about, said)) return then(true);
  forge_->put(
      "plan of pull request " + std::to_string(change.pull),
      [this, pull = change.pull, text = comment_text(change.markdown, change.footer)](
          const Outbox::Send& send) { return comments_->write(send, pull, text); },
      unless_lost(about, said, then));
}

Outbox::Then Notifier::unless_lost(const std::string& about, const std::string& said,
                                   Outbox::Then then) {
  return [this, about, said, then = std::move(then)](bool arrived) {
    if (!arrived) {
      std::lock_guard lock(mutex_);
      if (auto at = said_.find(about); at != said_.end() && at->second == said) said_.erase(at);
    }
    if (then) then(arrived);
  };
}

bool Notifier::is_news(const std::string& about, const std::string& said) {
  std::lock_guard lock(mutex_);
  if (said_.size() >= kMostRemembered) said_.clear();
  auto [at, fresh] = said_.try_emplace(about, said);
  if (!fresh && at->second == said) return false;
  at->second = said;
  return true;
}

}  // namespace knock::notify
