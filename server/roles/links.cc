// SPDX-License-Identifier: Apache-2.0
#include "server/roles/links.h"

#include <unistd.h>

#include "base/log.h"
#include "net/fd_passing.h"

namespace knock::server {
namespace {

constexpr Duration kSendTime = Duration::seconds(5);
constexpr std::int64_t kBeats = 5;  // within the patience with a role that should answer a ping

template <class Message>
void number(Message& message, std::uint64_t request) {
  std::visit([&](auto& one) { one.request = request; }, message);
}

}  // namespace

// ---- front → core ----

SocketCore::SocketCore(int socket, std::function<void()> gone, OnPing on_ping)
    : gone_(std::move(gone)),
      on_ping_(std::move(on_ping)),
      link_(socket,
            {[this](std::string_view body) { return answered(body); }, [this] { closed(); }}) {}

void SocketCore::ask(role::FromFront question, std::function<void(Result<role::ToFront>)> then) {
  std::uint64_t request = 0;
  {
    std::lock_guard lock(mutex_);
    request = ++last_;
    if (!closed_) waiting_.emplace(request, then);
  }
  number(question, request);
  auto sent = link_.send(role::encode(question), Deadline::in(kSendTime));
  if (sent) return;
  {
    std::lock_guard lock(mutex_);
    if (waiting_.erase(request) == 0 && !closed_) return;  // closed() has answered it meanwhile
  }
  then(fail(std::move(sent.error())));
}

bool SocketCore::answered(std::string_view body) {
  auto answer = role::decode_to_front(body);
  if (!answer) return false;
  if (const auto* ping = std::get_if<role::Ping>(&*answer)) {
    on_ping_([this, request = ping->request] { pong(request); });
    return true;
  }
  std::function<void(Result<role::ToFront>)> then;
  {
    std::lock_guard lock(mutex_);
    auto at = waiting_.find(role::request_of(*answer));
    if (at == waiting_.end()) return true;
    then = std::move(at->second);
    waiting_.erase(at);
  }
  then(std::move(*answer));
  return true;
}

void SocketCore::pong(std::uint64_t request) {
  (void)link_.send(role::encode(role::FromFront(role::Pong{request})), Deadline::in(kSendTime));
}

void SocketCore::closed() {
  std::map<std::uint64_t, std::function<void(Result<role::ToFront>)>> waiting;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    waiting.swap(waiting_);
  }
  for (auto& [request, then] : waiting) then(fail(ErrorKind::unavailable, "core has ended"));
  if (gone_) gone_();
}

// ---- core's end of it ----

/// Answers may come after the link is gone: they hold on to this, not to the link.
struct FrontLink::Shared {
  std::mutex mutex;
  std::unique_ptr<net::FrameLink> link;
  std::atomic<std::uint64_t> pong{0};  // the last that was answered
  std::atomic<bool> ended{false};

  void send(const role::ToFront& answer) {
    std::lock_guard lock(mutex);
    if (link != nullptr) (void)link->send(role::encode(answer), Deadline::in(kSendTime));
  }
};

/// One question of front's; false when it is not what a front says.
namespace {
void answer_call(role::ApiCall call, const FrontLink::Api& api,
                 const std::function<void(role::ToFront)>& answer) {
  if (api) return api(std::move(call), answer);
  answer(role::ApiAnswer{call.request, 404, "application/problem+json", 0, "{}"});
}
}  // namespace

FrontLink::FrontLink(int socket, SignIn& sign_in, std::function<void()> gone, Duration patience,
                     Api api)
    : shared_(std::make_shared<Shared>()) {
  std::unique_lock lock(shared_->mutex);
  shared_->link = std::make_unique<net::FrameLink>(
      socket, net::FrameLink::Events{[&sign_in, api = std::move(api),
                                      shared = std::weak_ptr(shared_)](std::string_view body) {
                                       auto question = role::decode_from_front(body);
                                       if (!question) return false;
                                       if (const auto* pong = std::get_if<role::Pong>(&*question)) {
                                         if (auto alive = shared.lock())
                                           alive->pong = pong->request;
                                         return true;
                                       }
                                       auto answer = [shared](role::ToFront said) {
                                         if (auto alive = shared.lock()) alive->send(said);
                                       };
                                       if (auto* call = std::get_if<role::ApiCall>(&*question))
                                         answer_call(std::move(*call), api, answer);
                                       else
                                         sign_in.handle(*question, answer);
                                       return true;
                                     },
                                     [shared = std::weak_ptr(shared_), gone = std::move(gone)] {
                                       if (auto alive = shared.lock()) alive->ended = true;
                                       if (gone) gone();
                                     }});
  lock.unlock();
  watching_ = std::jthread([this, beat = Duration{patience.ms / kBeats}](
                               const std::stop_token& stop) { watch(stop, beat); });
}

/// Beats are counted and not time: while core itself was stopped, or the machine slept, nothing
/// beat, and front is not to blame.
void FrontLink::watch(const std::stop_token& stop, Duration beat) {
  std::unique_lock lock(beating_);
  for (std::uint64_t ping = 0, silent = 0; !stop.stop_requested() && !shared_->ended;) {
    if (shared_->pong == ping) {
      silent = 0;
      shared_->send(role::Ping{++ping});
    } else if (++silent >= kBeats) {
      log(LogLevel::error, "front.hangs", "The portal does not answer core and is replaced.");
      std::lock_guard inner(shared_->mutex);
      return shared_->link->shut_down();
    }
    stopping_.wait_for(lock, stop, beat.chrono(), [] { return false; });
  }
}

FrontLink::~FrontLink() {
  watching_.request_stop();
  watching_.join();
  std::unique_ptr<net::FrameLink> link;
  {
    std::lock_guard lock(shared_->mutex);
    link = std::move(shared_->link);
  }
}

// ---- core → parent ----

Result<int> Spawner::spawn(const role::ToParent& what) {
  std::lock_guard lock(mutex_);
  KNOCK_CHECK(net::send_with_descriptor(socket_, role::encode(what), -1));
  KNOCK_ASSIGN(auto received, net::receive_with_descriptor(socket_));
  if (received.body.empty()) return fail(ErrorKind::unavailable, "the parent process has ended");
  auto spawned = role::decode_spawned(received.body);
  if (!spawned || !spawned->made || received.descriptor < 0) {
    if (received.descriptor >= 0) close(received.descriptor);
    return fail(ErrorKind::unavailable,
                spawned ? "a role could not be started: " + spawned->why : spawned.error().message);
  }
  if (spawned->user_kept) user_kept_ = true;
  return received.descriptor;
}

// ---- core → verifier ----

struct SocketVerifier::Live {
  struct Waiting {
    Answer then;
    MonotonicTime until;
  };
  std::mutex mutex;
  std::map<std::uint64_t, Waiting> waiting;
  bool closed = false;
  std::unique_ptr<net::FrameLink> link;

  bool answered(std::string_view body) {
    auto answer = role::decode_from_verifier(body);
    if (!answer) return false;
    Answer then;
    {
      std::lock_guard lock(mutex);
      auto at = waiting.find(role::request_of(*answer));
      if (at == waiting.end()) return true;
      then = std::move(at->second.then);
      waiting.erase(at);
    }
    then(std::move(*answer));
    return true;
  }
  bool idle() {
    std::lock_guard lock(mutex);
    return !closed && waiting.empty();
  }
  bool hangs(MonotonicTime now) {
    std::lock_guard lock(mutex);
    return !closed && !waiting.empty() && waiting.begin()->second.until < now;
  }
  void ended() {
    std::map<std::uint64_t, Waiting> left;
    {
      std::lock_guard lock(mutex);
      closed = true;
      left.swap(waiting);
    }
    for (auto& [request, one] : left)
      one.then(fail(ErrorKind::unavailable, "the verifier has ended"));
  }
};

SocketVerifier::SocketVerifier(RoleSource& spawner, Duration patience)
    : spawner_(spawner),
      patience_(patience),
      watching_([this](const std::stop_token& stop) { watch(stop); }) {}

void SocketVerifier::watch(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    stopping_.wait_for(lock, stop, patience_.chrono() / 8, [] { return false; });
    auto live = live_;
    lock.unlock();
    if (live != nullptr && live->hangs(std::chrono::steady_clock::now())) {
      log(LogLevel::error, "verifier.hangs", "The verifier does not answer and is replaced.");
      {
        std::lock_guard again(mutex_);
        if (live_ == live) live_.reset();  // from now on questions go to a fresh one
      }
      live->link->shut_down();
    }
    if (live != nullptr && live->idle()) put(live, role::Ping{}, [](const auto&) {});
    live.reset();
    lock.lock();
  }
}

SocketVerifier::~SocketVerifier() {
  watching_.request_stop();
  watching_.join();
  std::lock_guard lock(mutex_);
  if (live_ != nullptr) live_->link.reset();
}

Result<std::shared_ptr<SocketVerifier::Live>> SocketVerifier::live() {
  std::lock_guard lock(mutex_);
  if (live_ != nullptr) {
    std::lock_guard state(live_->mutex);
    if (!live_->closed) return live_;
  }
  KNOCK_ASSIGN(int socket, spawner_.spawn(role::SpawnVerifier{}));
  auto fresh = std::make_shared<Live>();
  // The link lives inside `fresh`, so its events may point there.
  fresh->link = std::make_unique<net::FrameLink>(
      socket, net::FrameLink::Events{
                  [state = fresh.get()](std::string_view body) { return state->answered(body); },
                  [state = fresh.get()] { state->ended(); }});
  live_ = fresh;
  return fresh;
}

Status SocketVerifier::start() {
  KNOCK_ASSIGN(auto started, live());
  return {};
}

void SocketVerifier::ask(role::ToVerifier question, Answer answer) {
  auto target = live();
  if (!target) return answer(fail(std::move(target.error())));
  put(*target, std::move(question), std::move(answer));
}

void SocketVerifier::put(const std::shared_ptr<Live>& target, role::ToVerifier question,
                         Answer answer) {
  std::uint64_t request = 0;
  {
    std::lock_guard lock(mutex_);
    request = ++last_;
  }
  number(question, request);
  {
    std::lock_guard lock(target->mutex);
    if (target->closed) return answer(fail(ErrorKind::unavailable, "the verifier has ended"));
    if (target->waiting.size() >= kMostWaiting)
      return answer(fail(ErrorKind::rate_limited, "too many sign-ins are waiting"));
    target->waiting.emplace(
        request, Live::Waiting{answer, std::chrono::steady_clock::now() + patience_.chrono()});
  }
  auto sent = target->link->send(role::encode(question), Deadline::in(kSendTime));
  if (sent) return;
  {
    std::lock_guard lock(target->mutex);
    if (target->waiting.erase(request) == 0) return;  // ended() has answered it
  }
  answer(fail(std::move(sent.error())));
}

}  // namespace knock::server
