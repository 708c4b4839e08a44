// SPDX-License-Identifier: Apache-2.0
// From the last byte of a request to the first SYN-ACK: how long a person waits for the door. A
// prober in another network namespace opens a fresh non-blocking socket every 100 µs, from before
// the request on; the first that connects says when the port opened. Three sides in one run:
// `session grant` at a whole controller (log durable before the port opens), an `nft add element`
// process, and a program that does nothing but send one libmnl batch.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
// before linux/netfilter
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/netns.h"
#include "tests/support/requirement.h"

extern char** environ;

namespace {

using Time = std::chrono::steady_clock::time_point;
using knock::test::Namespace;
constexpr int kPort = 2222, kWarmUp = 20;

double micros(Time from, Time to) {
  return std::chrono::duration<double, std::micro>(to - from).count();
}

/// Fresh sockets from one address until one connects.
class Prober {
 public:
  Prober(const Namespace& where, std::string source)
      : thread_([this, &where, source = std::move(source)] { where.run([&] { probe(source); }); }) {
    started_.wait(false);
  }
  ~Prober() {
    stop_ = true;
    thread_.join();
  }
  /// When the first one connected; nothing after `patience`.
  std::optional<Time> first(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    if (!news_.wait_for(lock, patience, [&] { return connected_.load(); })) return std::nullopt;
    return when_;
  }

 private:
  void probe(const std::string& source) {
    std::vector<pollfd> open;
    auto next = std::chrono::steady_clock::now();
    started_ = true;
    started_.notify_all();
    while (!stop_ && !connected_) {
      if (std::chrono::steady_clock::now() >= next) {
        open.push_back({start(source), POLLOUT, 0});
        next += std::chrono::microseconds(100);
      }
      // Asleep between two sockets: the prober must not take the processor from what it measures.
      auto wait =
          std::max(next - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration(0));
      timespec pause{0, long(std::chrono::nanoseconds(wait).count())};
      ppoll(open.data(), open.size(), &pause, nullptr);
      for (const pollfd& entry : open) {
        int problem = 1;
        socklen_t size = sizeof problem;
        if ((entry.revents & POLLOUT) == 0 ||
            getsockopt(entry.fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0 || problem != 0)
          continue;
        std::lock_guard lock(mutex_);
        when_ = std::chrono::steady_clock::now();
        connected_ = true;
        news_.notify_all();
        break;
      }
    }
    for (const pollfd& entry : open) {
      linger hard{1, 0};
      setsockopt(entry.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      close(entry.fd);
    }
  }
  static int start(const std::string& source) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in from{}, to{};
    from.sin_family = to.sin_family = AF_INET;
    inet_pton(AF_INET, source.c_str(), &from.sin_addr);
    inet_pton(AF_INET, "10.77.0.1", &to.sin_addr);
    to.sin_port = htons(kPort);
    bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof from);
    (void)connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to);
    return fd;
  }

  std::atomic<bool> started_{false}, stop_{false}, connected_{false};
  std::mutex mutex_;
  std::condition_variable news_;
  Time when_;
  std::thread thread_;
};

void report(const std::string& name, std::vector<double> us) {
  std::sort(us.begin(), us.end());
  auto at = [&](double share) {
    return us.empty() ? 0.0 : us[std::min(us.size() - 1, std::size_t(share * double(us.size())))];
  };
  fmt::print(
      "{:<42} n={:<4} p50 {:>7.0f} µs   p90 {:>7.0f} µs   p99 {:>7.0f} µs   max {:>7.0f} µs\n",
      name, us.size(), at(0.5), at(0.9), at(0.99), us.empty() ? 0 : us.back());
}

std::string address_of(int number) {
  return fmt::format("10.77.{}.{}", 1 + number / 200, 1 + number % 200);
}

/// One side: `open` starts the request and returns when its last byte is sent.
std::vector<double> measure(const Namespace& client, int first, int rounds,
                            const std::function<Time(const std::string&)>& open,
                            const std::function<void()>& finish) {
  std::vector<double> out;
  for (int i = 0; i < rounds + kWarmUp; ++i) {
    auto address = address_of(first + i);
    Prober prober(client, address);
    Time sent = open(address);
    auto connected = prober.first(std::chrono::milliseconds(2000));
    finish();
    if (!connected) {
      fmt::print(stderr, "the port did not open for {}\n", address);
      std::exit(1);
    }
    if (i >= kWarmUp) out.push_back(micros(sent, *connected));
  }
  return out;
}

// ---- a whole controller ----

class Controller {
 public:
  Controller(const Namespace& where, const std::string& folder) : folder_(folder) {
    using knock::test::write_file;
    write_file(folder + "/policies/main.yaml",
               "knock: 1\ngroups: {admins: {idp: admins, from: [local]}}\nservices: {ssh: {ports: "
               "[tcp/2222], targets: [host]}}\n"
               "targets: {host: {type: nftables, table: knock}}\nallow: {r: {who: [admins], to: "
               "[ssh], ttl: 8h}}\n");
    write_file(folder + "/knock.yaml",
               fmt::format("owner: 0badc0ffee15dead\nlisten: 127.0.0.1:8400\npolicy: {{dir: "
                           "{0}/policies}}\nstore: sqlite://{0}/state/knock.db\n"
                           "socket: {0}/admin.sock\nsign_in: {{local: {{type: local}}}}\n"
                           "keep: [{{prefix: 10.77.255.9/32, owner: ops, reason: bench}}]\n",
                           folder));
    auto binary = knock::test::binary_dir() + "/cli/knock";
    auto config = folder + "/knock.yaml";
    where.run([&] {
      char* argv[] = {const_cast<char*>("knock"), const_cast<char*>("serve"),
                      const_cast<char*>("--config"), config.data(), nullptr};
      posix_spawn_file_actions_t files;
      posix_spawn_file_actions_init(&files);
      auto log = folder + "/serve.log";
      posix_spawn_file_actions_addopen(&files, 2, log.c_str(), O_WRONLY | O_CREAT, 0644);
      if (posix_spawn(&pid_, binary.c_str(), &files, nullptr, argv, environ) != 0) std::exit(1);
      posix_spawn_file_actions_destroy(&files);
    });
    bool up = knock::test::eventually(
        [&] {
          return exchange("GET", "/api/v1/status", "").find("\"Synced\"") != std::string::npos;
        },
        knock::Duration::seconds(15));
    if (!up) {
      fmt::print(stderr, "the controller did not come up:\n{}",
                 knock::test::read_file(folder + "/serve.log"));
      std::exit(1);
    }
  }
  ~Controller() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }

  Time grant(const std::string& address) {
    auto body = fmt::format(
        "{{\"user\":\"bench\",\"from\":\"{}\",\"ttl\":\"10m\",\"reason\":\"bench\",\"groups\":["
        "\"admins\"],\"wait\":false}}",
        address);
    fd_ = dial();
    return send_request(fd_, "POST", "/api/v1/sessions", body);
  }
  void finish() {
    read_answer(fd_);
    close(fd_);
  }
  /// The controller's memory over all roles, in KiB, and the seconds of processor time they used.
  void print_idle() const {
    auto ticks = [&] { return total([](const std::string& pid) { return cpu_ticks(pid); }); };
    auto before = ticks();
    constexpr int kSeconds = 60;
    std::this_thread::sleep_for(
        std::chrono::seconds(kSeconds));  // what is measured is time passing
    auto used = ticks() - before;
    fmt::print("\nidle controller, all roles: {:.1f} MiB PSS, {:.2f} % of one core over {} s\n",
               double(total(pss_kib)) / 1024,
               double(used) / double(sysconf(_SC_CLK_TCK)) / kSeconds * 100, kSeconds);
  }

 private:
  static long pss_kib(const std::string& pid) {
    auto text = knock::test::read_file("/proc/" + pid + "/smaps_rollup");
    auto at = text.find("\nPss:");
    return at == std::string::npos ? 0 : std::stol(text.substr(at + 5));
  }
  static long cpu_ticks(const std::string& pid) {
    auto text = knock::test::read_file("/proc/" + pid + "/stat");
    auto rest = text.substr(text.rfind(')') + 2);
    long user = 0, kernel = 0;
    std::sscanf(rest.c_str(), "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user,
                &kernel);
    return user + kernel;
  }
  /// Over the parent and its children.
  long total(const std::function<long(const std::string&)>& of) const {
    auto children = knock::test::read_file(fmt::format("/proc/{0}/task/{0}/children", pid_));
    long sum = of(std::to_string(pid_));
    std::string word;
    for (char c : children + " ") {
      if (c != ' ')
        word += c;
      else if (!word.empty())
        sum += of(std::exchange(word, ""));
    }
    return sum;
  }

  int dial() const {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, (folder_ + "/admin.sock").c_str(), sizeof to.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return fd;
    close(fd);
    return -1;
  }
  static Time send_request(int fd, const char* method, const char* path, const std::string& body) {
    auto text = fmt::format(
        "{} {} HTTP/1.1\r\nHost: knock\r\nContent-Type: application/json\r\nContent-Length: "
        "{}\r\nConnection: close\r\n\r\n{}",
        method, path, body.size(), body);
    (void)!write(fd, text.data(), text.size());
    return std::chrono::steady_clock::now();
  }
  static std::string read_answer(int fd) {
    std::string out;
    char buffer[8192];
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;)
      out.append(buffer, std::size_t(got));
    return out;
  }
  std::string exchange(const char* method, const char* path, const std::string& body) const {
    int fd = dial();
    if (fd < 0) return "";
    send_request(fd, method, path, body);
    auto out = read_answer(fd);
    close(fd);
    return out;
  }

  std::string folder_;
  pid_t pid_ = -1;
  int fd_ = -1;
};

// ---- the two others, on a table of their own ----

constexpr const char* kOtherTable =
    "table inet other { set s { type ipv4_addr; flags timeout; }\n"
    " chain input { type filter hook input priority -5; tcp dport 2222 ip saddr @s accept\n tcp "
    "dport 2222 drop\n }\n}\n";

void bare_add(mnl_socket* socket, const std::string& address) {
  char buffer[4096];
  mnl_nlmsg_batch* batch = mnl_nlmsg_batch_start(buffer, sizeof buffer);
  std::uint32_t sequence = 1;
  nftnl_batch_begin(static_cast<char*>(mnl_nlmsg_batch_current(batch)), sequence++);
  mnl_nlmsg_batch_next(batch);
  nftnl_set* set = nftnl_set_alloc();
  nftnl_set_set_str(set, NFTNL_SET_TABLE, "other");
  nftnl_set_set_str(set, NFTNL_SET_NAME, "s");
  nftnl_set_elem* element = nftnl_set_elem_alloc();
  in_addr key{};
  inet_pton(AF_INET, address.c_str(), &key);
  nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, &key, sizeof key);
  nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, 600'000);
  nftnl_set_elem_add(set, element);
  auto* header =
      nftnl_nlmsg_build_hdr(static_cast<char*>(mnl_nlmsg_batch_current(batch)), NFT_MSG_NEWSETELEM,
                            NFPROTO_INET, NLM_F_CREATE | NLM_F_ACK, sequence++);
  nftnl_set_elems_nlmsg_build_payload(header, set);
  mnl_nlmsg_batch_next(batch);
  nftnl_set_free(set);
  nftnl_batch_end(static_cast<char*>(mnl_nlmsg_batch_current(batch)), sequence++);
  mnl_nlmsg_batch_next(batch);
  mnl_socket_sendto(socket, mnl_nlmsg_batch_head(batch), mnl_nlmsg_batch_size(batch));
  mnl_nlmsg_batch_stop(batch);
  mnl_socket_recvfrom(socket, buffer, sizeof buffer);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  int rounds = argc > 1 ? std::atoi(argv[1]) : 200;
  if (rounds < 1) rounds = 200;
  if (!knock::test::have_namespaces()) {
    fmt::print("skipped: {}\n", knock::test::kNoNamespaces);
    return 0;
  }
  Namespace server, client;
  knock::test::join(server, "inner", client, "outer");
  knock::test::add_address(server, "inner", "10.77.0.1/16");
  int all = 3 * (rounds + kWarmUp);
  std::string script;
  for (int i = 0; i < all; ++i)
    script += fmt::format("address add {}/16 dev outer\n", address_of(i));
  client.command({"ip", "-batch", "-"}, script);
  knock::test::EchoServer echo(server, kPort);
  knock::test::TemporaryFolder folder;
  fmt::print("request's last byte → first SYN-ACK, a fresh socket every 100 µs, {} rounds each\n",
             rounds);
  {
    Controller controller(server, folder.path());
    report("knock session grant (durable log, 4 roles)",
           measure(
               client, 0, rounds, [&](const std::string& a) { return controller.grant(a); },
               [&] { controller.finish(); }));
    controller.print_idle();
  }
  server.command({"nft", "delete", "table", "inet", "knock"});
  server.nft(kOtherTable);
  report("nft add element, one process",
         measure(
             client, rounds + kWarmUp, rounds,
             [&](const std::string& a) {
               Time start = std::chrono::steady_clock::now();
               server.command(
                   {"nft", "add", "element", "inet", "other", "s", "{", a, "timeout", "10m", "}"});
               return start;
             },
             [] {}));
  server.run([&] {
    mnl_socket* socket = mnl_socket_open(NETLINK_NETFILTER);
    mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID);
    report("bare libmnl batch", measure(
                                    client, 2 * (rounds + kWarmUp), rounds,
                                    [&](const std::string& a) {
                                      Time start = std::chrono::steady_clock::now();
                                      bare_add(socket, a);
                                      return start;
                                    },
                                    [] {}));
    mnl_socket_close(socket);
  });
  return 0;
}
