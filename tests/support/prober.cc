// SPDX-License-Identifier: Apache-2.0
// knock-prober: the stranger outside. It knows nothing of knock and has no part of it but
// addresses; it opens TCP connections and says what it saw, so that the demo, the end-to-end tests
// and the benchmarks judge by packets.
//
// A port is open when a SYN-ACK came, closed when the other side refused (RST), filtered when
// nothing came in time. Times are monotonic inside one run; events carry Unix time in seconds so
// that they can be laid beside a log.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/text.h"
#include "tests/support/probe_relay.h"
#include "tests/support/probe_socket.h"

namespace knock::prober {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::nanoseconds;

constexpr std::string_view kHelp =
    R"(knock-prober scan HOST PORT… [--timeout-ms 300] [--source ADDRESS]
    prints "tcp/PORT open|closed|filtered MS" per port; exit 0 all open, 2 all closed, 3 all filtered, 4 mixed
knock-prober echo-server ADDRESS PORT…
    prints "ready", then answers with what it is sent, until SIGTERM
knock-prober hold HOST PORT [--source ADDRESS] [--max-seconds 60] [--every-ms 50] [--silent-ms 400]
    one connection to an echo server; prints "alive TIME" and "cut TIME" as it changes; exit 0 alive at the end, 3 not
knock-prober wait-open|wait-closed HOST PORT --within MS [--source ADDRESS] [--attempt-ms 100]
    fresh connections until it is so; prints the milliseconds it took; exit 0, or 3 when it never was
knock-prober first-syn-ack HOST PORT --within MS [--every-us 100] [--start-file FILE] [--source ADDRESS]
    a fresh socket every 100 us; prints "ready", then microseconds to the first SYN-ACK, counted from its own start or
    from the monotonic nanoseconds that FILE holds by then (see "stamp"); exit 0, or 3 when none came
knock-prober relay FROM TO [--source ADDRESS]
    joins each connection to FROM with one to TO, until SIGTERM; FROM and TO are tcp:ADDRESS:PORT or unix:PATH, and a
    path reaches from one network namespace into another
knock-prober stamp
    the monotonic clock in nanoseconds
)";

// Arguments: words in order, and --name VALUE pairs anywhere.
struct Arguments {
  std::vector<std::string> words;
  std::map<std::string, std::string> flags;

  std::int64_t number(const std::string& flag, std::optional<std::int64_t> otherwise) const {
    auto found = flags.find(flag);
    if (found == flags.end()) {
      if (!otherwise) give_up("--" + flag + " is needed");
      return *otherwise;
    }
    std::int64_t value = 0;
    const auto& text = found->second;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) {
      give_up("--" + flag + " takes a whole number, not \"" + printable(text) + "\"");
    }
    return value;
  }
};

Arguments read_arguments(int argc, char** argv, const std::vector<std::string>& known) {
  Arguments arguments;
  for (int i = 2; i < argc; ++i) {
    std::string word = argv[i];
    if (!word.starts_with("--")) {
      arguments.words.push_back(word);
      continue;
    }
    word = word.substr(2);
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      give_up("unknown flag --" + printable(word));
    }
    if (i + 1 >= argc) give_up("--" + word + " needs a value");
    arguments.flags[word] = argv[++i];
  }
  return arguments;
}

IpAddress read_address(const std::string& text) {
  auto address = IpAddress::parse(text);
  if (!address) give_up("\"" + printable(text) + "\" is no IP address");
  return *address;
}

std::uint16_t read_port(const std::string& text) {
  std::uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    give_up("\"" + printable(text) + "\" is no TCP port");
  }
  return port;
}

Peer read_peer(const Arguments& arguments, std::size_t port_word = 1) {
  if (arguments.words.size() <= port_word) give_up("HOST and PORT are needed");
  Peer peer;
  peer.host = read_address(arguments.words[0]);
  peer.port = read_port(arguments.words[port_word]);
  if (auto source = arguments.flags.find("source"); source != arguments.flags.end()) {
    peer.source = read_address(source->second);
  }
  return peer;
}

double in_ms(Clock::duration time) {
  return static_cast<double>(duration_cast<nanoseconds>(time).count()) / 1e6;
}

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// scan

int exit_code_of(const std::vector<Seen>& results) {
  auto all = [&](Seen wanted) {
    return std::all_of(results.begin(), results.end(), [&](Seen seen) { return seen == wanted; });
  };
  if (all(Seen::open)) return 0;
  if (all(Seen::closed)) return 2;
  return all(Seen::filtered) ? 3 : 4;
}

int scan(const Arguments& arguments) {
  milliseconds time(arguments.number("timeout-ms", 300));
  std::vector<Attempt> attempts;
  for (std::size_t i = 1; i < arguments.words.size(); ++i) {
    attempts.push_back(begin_connect(read_peer(arguments, i)));
  }
  if (attempts.empty()) give_up("HOST and PORT are needed");
  std::vector<Clock::time_point> answered(attempts.size(), Clock::now());
  auto end = Clock::now() + time;
  std::vector<pollfd> sockets(attempts.size());
  while (true) {
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      bool wait = attempts[i].seen == Seen::pending;
      sockets[i] = {wait ? attempts[i].socket.fd() : -1, POLLOUT,
                    0};  // poll() skips negative numbers
    }
    bool waiting = std::any_of(sockets.begin(), sockets.end(), [](auto& s) { return s.fd >= 0; });
    if (!waiting || poll(sockets.data(), sockets.size(), milliseconds_until(end)) == 0) break;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      if (sockets[i].fd < 0 || sockets[i].revents == 0) continue;
      attempts[i].seen = finished(attempts[i]);
      answered[i] = Clock::now();
    }
  }
  std::vector<Seen> results;
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    bool late = attempts[i].seen == Seen::pending;
    results.push_back(late ? Seen::filtered : attempts[i].seen);
    std::printf("tcp/%s %s %.1f\n", arguments.words[i + 1].c_str(),
                std::string(to_string(results.back())).c_str(),
                in_ms((late ? end : answered[i]) - attempts[i].begun));
  }
  return exit_code_of(results);
}

// echo-server

struct EchoClient {
  Socket socket;
  bool gone = false;
};

void echo(EchoClient& client) {
  std::array<char, 4096> buffer;
  auto got = recv(client.socket.fd(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // What does not fit is lost: the peers of this server send a few bytes and wait for them.
  if (got <= 0 ||
      send(client.socket.fd(), buffer.data(), static_cast<std::size_t>(got), 0) != got) {
    client.gone = true;
  }
}

int echo_server(const Arguments& arguments) {
  std::vector<Socket> listeners;
  for (std::size_t i = 1; i < arguments.words.size(); ++i) {
    listeners.push_back(listen_on(read_address(arguments.words[0]), read_port(arguments.words[i])));
  }
  if (listeners.empty()) give_up("ADDRESS and PORT are needed");
  say("ready");
  std::vector<EchoClient> clients;
  std::vector<pollfd> sockets;
  while (told_to_end == 0) {
    sockets.clear();
    for (const auto& listener : listeners) sockets.push_back({listener.fd(), POLLIN, 0});
    for (const auto& client : clients) sockets.push_back({client.socket.fd(), POLLIN, 0});
    if (poll(sockets.data(), sockets.size(), -1) < 0) continue;
    std::size_t known = clients.size();
    for (std::size_t i = 0; i < known; ++i) {
      if (sockets[listeners.size() + i].revents != 0) echo(clients[i]);
    }
    for (std::size_t i = 0; i < listeners.size(); ++i) {
      if (sockets[i].revents == 0) continue;
      int fd = accept4(listeners[i].fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) clients.push_back({Socket(fd), false});
    }
    std::erase_if(clients, [](const EchoClient& client) { return client.gone; });
  }
  return 0;
}

// hold

double unix_time() {
  return static_cast<double>(
             duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())
                 .count()) /
         1e3;
}

/// Counts up over one connection and notices when the echo stays away.
class Hold {
 public:
  Hold(const Arguments& arguments, Socket socket)
      : socket_(std::move(socket)),
        every_(arguments.number("every-ms", 50)),
        silent_(arguments.number("silent-ms", 400)),
        end_(Clock::now() + std::chrono::seconds(arguments.number("max-seconds", 60))) {
    int on = 1;
    setsockopt(socket_.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }

  int run() {
    auto next = Clock::now();
    last_echo_ = next;
    while (told_to_end == 0 && !over_ && Clock::now() < end_) {
      if (Clock::now() >= next) {
        count();
        next += every_;
      }
      pollfd ready{socket_.fd(), POLLIN, 0};
      if (poll(&ready, 1, milliseconds_until(std::min(next, end_))) > 0) hear();
      if (alive_ && !over_ && Clock::now() - last_echo_ > silent_) cut("silent");
    }
    std::printf("end %.3f %s echoes=%ld\n", unix_time(), alive_ ? "alive" : "cut", echoes_);
    return alive_ ? 0 : 3;
  }

 private:
  void count() {
    auto text = std::to_string(++sent_) + "\n";
    if (send(socket_.fd(), text.data(), text.size(), 0) < 0 && errno != EAGAIN) broken();
  }

  void hear() {
    std::array<char, 4096> buffer;
    auto got = recv(socket_.fd(), buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
      broken();
      return;
    }
    echoes_ += std::count(buffer.begin(), buffer.begin() + got, '\n');
    last_echo_ = Clock::now();
    last_echo_at_ = unix_time();
    if (alive_) return;
    alive_ = true;
    std::printf("alive %.3f\n", last_echo_at_);
    std::fflush(stdout);
  }

  void broken() {
    over_ = true;
    if (alive_) cut("ended");
  }

  /// The time of a cut is that of the last echo: afterwards nothing came through.
  void cut(const char* how) {
    alive_ = false;
    std::printf("cut %.3f %s\n", last_echo_at_, how);
    std::fflush(stdout);
  }

  Socket socket_;
  milliseconds every_, silent_;
  Clock::time_point end_, last_echo_;
  double last_echo_at_ = 0;
  bool alive_ = false, over_ = false;
  long sent_ = 0, echoes_ = 0;
};

int hold(const Arguments& arguments) {
  Attempt attempt =
      connect_within(read_peer(arguments), milliseconds(arguments.number("timeout-ms", 1000)));
  if (attempt.seen != Seen::open) {
    say(std::string(to_string(attempt.seen)));
    return 3;
  }
  return Hold(arguments, std::move(attempt.socket)).run();
}

// wait-open, wait-closed

int wait_until(const Arguments& arguments, bool want_open) {
  Peer peer = read_peer(arguments);
  milliseconds attempt_time(arguments.number("attempt-ms", 100));
  auto begun = Clock::now();
  auto end = begun + milliseconds(arguments.number("within", std::nullopt));
  // One lost packet on a busy machine is not a closed door: two attempts in a row must fail.
  int in_a_row = 0, needed = want_open ? 1 : 2;
  Clock::time_point first;
  while (told_to_end == 0 && Clock::now() < end) {
    Attempt attempt = connect_within(peer, attempt_time);
    auto answered = Clock::now();
    if ((attempt.seen == Seen::open) == want_open) {
      if (in_a_row++ == 0) first = want_open ? answered : attempt.begun;
      if (in_a_row < needed) continue;
      std::printf("%.1f\n", in_ms(first - begun));
      return 0;
    }
    in_a_row = 0;
    // A refused connection answers at once: do not turn that into a flood.
    pollfd none{-1, 0, 0};
    poll(&none, 1, 5);
  }
  say("never");
  return 3;
}

// first-syn-ack

class SynAck {
 public:
  SynAck(const Arguments& arguments, Peer peer)
      : peer_(std::move(peer)),
        every_(arguments.number("every-us", 100)),
        begun_(Clock::now()),
        end_(begun_ + milliseconds(arguments.number("within", std::nullopt))) {}

  /// The moment of the first SYN-ACK.
  std::optional<Clock::time_point> run() {
    auto next = begun_;
    while (told_to_end == 0 && Clock::now() < end_) {
      if (Clock::now() >= next) {
        attempts_.push_back(begin_connect(peer_));
        if (attempts_.back().seen == Seen::open) return Clock::now();
        // After a pause of the machine go on from now: a burst would say nothing more.
        next = std::max(next + every_, Clock::now());
        drop_old();
      }
      if (wait(next)) return Clock::now();
    }
    return std::nullopt;
  }
  long sent() const { return sent_ + static_cast<long>(attempts_.size()); }

 private:
  /// A SYN that was dropped is repeated by the kernel after a second only, so an older socket can
  /// tell nothing new.
  void drop_old() {
    while (!attempts_.empty() && Clock::now() - attempts_.front().begun > milliseconds(10)) {
      attempts_.pop_front();
      ++sent_;
    }
  }

  bool wait(Clock::time_point next) {
    sockets_.clear();
    for (const auto& attempt : attempts_) {
      sockets_.push_back({attempt.seen == Seen::pending ? attempt.socket.fd() : -1, POLLOUT, 0});
    }
    auto left = std::max<std::int64_t>(0, duration_cast<nanoseconds>(next - Clock::now()).count());
    timespec time{0, static_cast<long>(std::min<std::int64_t>(left, 100'000'000))};
    if (ppoll(sockets_.data(), sockets_.size(), &time, nullptr) <= 0) return false;
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      if (sockets_[i].fd < 0 || sockets_[i].revents == 0) continue;
      attempts_[i].seen = finished(attempts_[i]);
      if (attempts_[i].seen == Seen::open) return true;
    }
    return false;
  }

  Peer peer_;
  microseconds every_;
  Clock::time_point begun_, end_;
  std::deque<Attempt> attempts_;
  std::vector<pollfd> sockets_;
  long sent_ = 0;
};

std::optional<Clock::time_point> read_stamp(const std::string& path) {
  std::ifstream in(path);
  std::int64_t ns = 0;
  if (!(in >> ns)) return std::nullopt;
  return Clock::time_point(nanoseconds(ns));
}

int first_syn_ack(const Arguments& arguments) {
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL,
        0UL);  // the default slack, 50 us, is half of our interval
  auto start = Clock::now();
  SynAck shooting(arguments, read_peer(arguments));
  say("ready");
  auto seen = shooting.run();
  if (!seen) {
    say("never");
    return 3;
  }
  if (auto file = arguments.flags.find("start-file"); file != arguments.flags.end()) {
    auto stamp = read_stamp(file->second);
    if (!stamp) give_up("no monotonic nanoseconds in " + printable(file->second));
    start = *stamp;
  }
  std::printf("%.1f\n",
              static_cast<double>(duration_cast<nanoseconds>(*seen - start).count()) / 1e3);
  std::fprintf(stderr, "%ld connections tried\n", shooting.sent());
  return 0;
}

// relay

/// "tcp:ADDRESS:PORT", or "unix:PATH" with an empty peer.
RelayEnd read_end(const std::string& text) {
  if (text.starts_with("unix:")) return {text.substr(5), {}};
  auto colon = text.rfind(':');
  if (!text.starts_with("tcp:") || colon < 4) give_up("write tcp:ADDRESS:PORT or unix:PATH");
  return {"", {read_address(text.substr(4, colon - 4)), read_port(text.substr(colon + 1)), {}}};
}

int relay(const Arguments& arguments) {
  if (arguments.words.size() != 2) give_up("FROM and TO are needed");
  auto from = read_end(arguments.words[0]), to = read_end(arguments.words[1]);
  if (auto source = arguments.flags.find("source"); source != arguments.flags.end()) {
    to.peer.source = read_address(source->second);
  }
  return run_relay(from, to);
}

int stamp() {
  say(std::to_string(duration_cast<nanoseconds>(Clock::now().time_since_epoch()).count()));
  return 0;
}

int run(int argc, char** argv) {
  std::string verb = argc > 1 ? argv[1] : "";
  end_on_signals();
  auto arguments = [&](std::vector<std::string> flags) {
    return read_arguments(argc, argv, flags);
  };
  if (verb == "scan") return scan(arguments({"timeout-ms", "source"}));
  if (verb == "echo-server") return echo_server(arguments({}));
  if (verb == "hold") {
    return hold(arguments({"source", "max-seconds", "every-ms", "silent-ms", "timeout-ms"}));
  }
  if (verb == "wait-open" || verb == "wait-closed") {
    return wait_until(arguments({"within", "source", "attempt-ms"}), verb == "wait-open");
  }
  if (verb == "first-syn-ack") {
    return first_syn_ack(arguments({"within", "every-us", "start-file", "source"}));
  }
  if (verb == "relay") return relay(arguments({"source"}));
  if (verb == "stamp") return stamp();
  bool asked = verb == "help" || verb == "--help" || verb == "-h";
  std::fputs(kHelp.data(), asked ? stdout : stderr);
  return asked ? 0 : kUsage;
}

}  // namespace
}  // namespace knock::prober

int main(int argc, char** argv) { return knock::prober::run(argc, argv); }
