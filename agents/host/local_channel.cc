// SPDX-License-Identifier: Apache-2.0
#include "agents/host/local_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include "agents/host/privileged.h"

namespace knock::host {
namespace {

std::string path_of(const std::string& netns) {
  return netns.find('/') == netns.npos ? "/run/netns/" + netns : netns;
}

Status enter(const std::string& netns) {
  if (netns.empty()) return {};
  auto path = path_of(netns);
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return fail(errno == ENOENT ? ErrorKind::not_found : ErrorKind::unavailable,
                "network namespace " + path + ": " + strerror(errno));
  int entered = setns(fd, CLONE_NEWNET);
  int why = errno;
  close(fd);
  if (entered == 0) return {};
  return fail(why == EPERM ? ErrorKind::unauthorized : ErrorKind::invalid,
              "entering network namespace " + path + ": " + strerror(why) +
                  (why == EPERM ? " (CAP_SYS_ADMIN is needed)" : ""));
}

/// One message on its way through the thread. Shared, because its caller may stop waiting.
struct Job {
  role::ToApply message;
  std::promise<role::FromApply> answer;
};

class LocalChannel final : public ApplyChannel {
 public:
  explicit LocalChannel(std::string netns) : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    thread_ = std::thread([this, name = std::move(netns)] { run(name); });
  }
  LocalChannel(const LocalChannel&) = delete;
  LocalChannel& operator=(const LocalChannel&) = delete;
  ~LocalChannel() override {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake();
    thread_.join();
    close(wake_);
  }

  Status opened() { return opened_.get_future().get(); }

  Result<role::FromApply> call(const role::ToApply& message, Deadline deadline) override {
    auto job = std::make_shared<Job>();
    job->message = message;
    auto answer = job->answer.get_future();
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    wake();
    if (answer.wait_until(deadline.at) != std::future_status::ready)
      return fail(ErrorKind::timeout, "the firewall did not answer in time");
    return answer.get();
  }

  void on_moved(Moved moved) override {
    std::lock_guard lock(moved_mutex_);
    moved_ = std::move(moved);
  }

 private:
  void wake() {
    std::uint64_t one = 1;
    while (write(wake_, &one, sizeof one) < 0 && errno == EINTR) continue;
  }

  void run(const std::string& netns) {
    auto entered = enter(netns);
    auto work = entered ? Privileged::open() : Result<Privileged>(fail(std::move(entered.error())));
    if (!work) {
      opened_.set_value(fail(std::move(work.error())));
      return;
    }
    opened_.set_value({});
    while (true) {
      std::array<pollfd, 2> wait{{{wake_, POLLIN, 0}, {work->event_fd(), POLLIN, 0}}};
      poll(wait.data(), wait.size(), -1);
      std::uint64_t count = 0;
      while (read(wake_, &count, sizeof count) < 0 && errno == EINTR) continue;
      while (auto job = next()) job->answer.set_value(work->handle(job->message));
      tell(*work);
      std::lock_guard lock(mutex_);
      if (stop_) return;
    }
  }

  std::shared_ptr<Job> next() {
    std::lock_guard lock(mutex_);
    if (jobs_.empty()) return nullptr;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }

  void tell(Privileged& work) {
    for (const auto& moved : work.take_moved()) {
      std::lock_guard lock(moved_mutex_);
      if (moved_) moved_(moved.table);
    }
  }

  int wake_;
  std::mutex mutex_, moved_mutex_;
  std::deque<std::shared_ptr<Job>> jobs_;
  Moved moved_;
  bool stop_ = false;
  std::promise<Status> opened_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<ApplyChannel>> open_local_channel(const std::string& netns) {
  auto channel = std::make_unique<LocalChannel>(netns);
  KNOCK_CHECK(channel->opened());
  return channel;
}

}  // namespace knock::host
