// SPDX-License-Identifier: Apache-2.0
#include "server/notify/outbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "server/notify/forge_replies.h"

namespace knock::notify {
namespace {

bool may_pass(const net::IncomingResponse& answer) {
  return answer.status >= 500 || answer.status == 408 || is_rate_limited(answer);
}

}  // namespace

std::string words_for(const Error& error) {
  if (is_too_large(error)) return "its answer is too large";
  switch (error.kind) {
    case ErrorKind::timeout:
      return "no answer in time";
    case ErrorKind::unauthorized:
      return "its address is none that may be connected to; a private one is named by "
             "allow_networks";
    case ErrorKind::invalid:
      return "its certificate or its answer is not accepted";
    default:
      return "it cannot be reached";
  }
}

std::string words_for(const net::IncomingResponse& answer) {
  auto status = answer.status;
  if (is_rate_limited(answer))
    return fmt::format("HTTP {}: it asks to be left alone for a while", status);
  if (status == 401 || status == 403)
    return fmt::format("HTTP {}: what it is told with (token, secret) is not accepted", status);
  if (status >= 300 && status < 400)
    return fmt::format("HTTP {}: it lies elsewhere, and redirects are not followed", status);
  return fmt::format("HTTP {}", status);
}

Outbox::Outbox(OutboxSettings settings, std::unique_ptr<net::HttpClient> client,
               Authorize authorize, Done done)
    : settings_(std::move(settings)),
      client_(std::move(client)),
      authorize_(std::move(authorize)),
      done_(std::move(done)),
      thread_([this](const std::stop_token& stop) { work(stop); }) {}

Outbox::~Outbox() = default;

void Outbox::put(std::string what, net::OutgoingRequest message, Then then, Turn turn) {
  put(
      std::move(what), [message = std::move(message)](const Send& send) { return send(message); },
      std::move(then), turn);
}

void Outbox::put(std::string what, Try one_try, Then then, Turn turn) {
  Message message{std::move(what), std::move(one_try), std::move(then)};
  {
    std::lock_guard lock(mutex_);
    auto& queue = turn == Turn::first ? first_ : waiting_;
    if (queue.size() < settings_.most_waiting) {
      queue.push_back(std::move(message));
      changed_.notify_one();
      return;
    }
  }
  give_up(message, "too many wait already");
}

void Outbox::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  auto any = [&] { return !first_.empty() || !waiting_.empty(); };
  while (changed_.wait(lock, stop, any) && !stop.stop_requested()) {
    auto& queue = first_.empty() ? waiting_ : first_;
    auto message = std::move(queue.front());
    queue.pop_front();
    lock.unlock();
    deliver(message, stop);
    lock.lock();
  }
}

void Outbox::deliver(const Message& message, const std::stop_token& stop) {
  auto pause = settings_.first_pause;
  for (int tried = 1; !stop.stop_requested(); ++tried) {
    auto [outcome, why, wait] = attempt(message);
    if (outcome == Outcome::arrived) {
      done_(settings_.name, true);
      if (message.then) message.then(true);
      return;
    }
    if (outcome == Outcome::never || tried >= settings_.tries) return give_up(message, why);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, std::max(pause, std::min(wait, settings_.longest_pause)),
                      [] { return false; });
    pause = std::min(pause * 2, settings_.longest_pause);
  }
}

Outbox::Attempt Outbox::attempt(const Message& message) {
  std::string no_secret;
  auto answer = message.one_try([&](net::OutgoingRequest request) -> Result<net::IncomingResponse> {
    if (auto ready = authorize_(request); !ready) {
      no_secret = "its secret cannot be read: " + ready.error().text();
      return fail(ErrorKind::unavailable, no_secret);
    }
    return client_->send(request, Deadline::in(settings_.time_limit));
  });
  if (!no_secret.empty()) return {Outcome::later, no_secret, {}};
  if (!answer) {
    auto kind = answer.error().kind;
    bool passes = kind == ErrorKind::timeout || kind == ErrorKind::unavailable;
    return {passes ? Outcome::later : Outcome::never, words_for(answer.error()), {}};
  }
  if (answer->status >= 200 && answer->status < 300) return {Outcome::arrived, "", {}};
  auto wait = wait_asked_for(*answer, SystemClock().now()).value_or(Duration{0});
  return {may_pass(*answer) ? Outcome::later : Outcome::never, words_for(*answer), wait.chrono()};
}

void Outbox::give_up(const Message& message, const std::string& why) {
  log(LogLevel::warning, "notify.failed", "Somebody could not be told what happened.",
      {{"destination", settings_.name}, {"event", message.what}, {"problem", why}});
  done_(settings_.name, false);
  if (message.then) message.then(false);
}

}  // namespace knock::notify
