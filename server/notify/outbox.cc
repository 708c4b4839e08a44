// SPDX-License-Identifier: Apache-2.0
#include "server/notify/outbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace knock::notify {
namespace {

std::string words_for(ErrorKind kind) {
  switch (kind) {
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

std::string words_for(int status) {
  if (status == 401 || status == 403)
    return fmt::format("HTTP {}: what it is told with (token, secret) is not accepted", status);
  if (status >= 300 && status < 400)
    return fmt::format("HTTP {}: it lies elsewhere, and redirects are not followed", status);
  return fmt::format("HTTP {}", status);
}

bool may_pass(int status) { return status >= 500 || status == 408 || status == 429; }

}  // namespace

Outbox::Outbox(OutboxSettings settings, std::unique_ptr<net::HttpClient> client,
               Authorize authorize, Done done)
    : settings_(std::move(settings)),
      client_(std::move(client)),
      authorize_(std::move(authorize)),
      done_(std::move(done)),
      thread_([this](const std::stop_token& stop) { work(stop); }) {}

Outbox::~Outbox() = default;

void Outbox::put(std::string what, net::OutgoingRequest message) {
  {
    std::lock_guard lock(mutex_);
    if (waiting_.size() < settings_.most_waiting) {
      waiting_.push_back({std::move(what), std::move(message)});
      changed_.notify_one();
      return;
    }
  }
  give_up(what, "too many wait already");
}

void Outbox::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [&] { return !waiting_.empty(); }) && !stop.stop_requested()) {
    auto message = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    deliver(message, stop);
    lock.lock();
  }
}

void Outbox::deliver(const Message& message, const std::stop_token& stop) {
  auto pause = settings_.first_pause;
  std::string why;
  for (int tried = 1; !stop.stop_requested(); ++tried) {
    auto outcome = attempt(message, why);
    if (outcome == Outcome::arrived) return done_(settings_.name, true);
    if (outcome == Outcome::never || tried >= settings_.tries) return give_up(message.what, why);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, pause, [] { return false; });
    pause = std::min(pause * 2, settings_.longest_pause);
  }
}

Outbox::Outcome Outbox::attempt(const Message& message, std::string& why) {
  auto request = message.request;
  if (auto ready = authorize_(request); !ready) {
    why = "its secret cannot be read: " + ready.error().text();
    return Outcome::later;
  }
  auto answer = client_->send(request, Deadline::in(settings_.time_limit));
  if (!answer) {
    why = words_for(answer.error().kind);
    bool passes =
        answer.error().kind == ErrorKind::timeout || answer.error().kind == ErrorKind::unavailable;
    return passes ? Outcome::later : Outcome::never;
  }
  if (answer->status >= 200 && answer->status < 300) return Outcome::arrived;
  why = words_for(answer->status);
  return may_pass(answer->status) ? Outcome::later : Outcome::never;
}

void Outbox::give_up(const std::string& what, const std::string& why) {
  log(LogLevel::warning, "notify.failed", "Somebody could not be told what happened.",
      {{"destination", settings_.name}, {"event", what}, {"problem", why}});
  done_(settings_.name, false);
}

}  // namespace knock::notify
