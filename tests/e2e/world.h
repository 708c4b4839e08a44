// SPDX-License-Identifier: Apache-2.0
// The world of the end-to-end tests: a server with open ports and a portal, an Internet with people
// at addresses of their own, an OpenID provider. Everything is real but the wire, which is a veth
// pair.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "tests/e2e/browser.h"
#include "tests/support/controller.h"
#include "tests/support/netns.h"
#include "tests/support/oidc_provider.h"

namespace knock::test {

inline constexpr const char* kServer = "198.51.100.1";
inline constexpr const char* kServer6 = "2001:db8::1";
inline constexpr const char* kAlice = "198.51.100.10";
inline constexpr const char* kBob = "198.51.100.11";
inline constexpr const char* kOperator = "198.51.100.12";  // a `keep` address
inline constexpr const char* kStranger = "198.51.100.13";
inline constexpr const char* kStranger6 = "2001:db8::13";
inline constexpr int kSsh = 2222, kApp = 8443, kPortal = 443;

/// admins may reach ssh for eight hours, engineers the app for four seconds.
extern const char* const kPolicy;

/// A connection to an echo server that says something all the time. Opened within two seconds, or
/// not at all.
class Held {
 public:
  Held(const Namespace& where, const std::string& from, int port);
  ~Held();
  bool open() const { return connection_ != nullptr; }
  /// When the last answer came; Unix time.
  Instant last_answer() const { return {last_.load()}; }
  /// Waits for the next answer: true when the connection works now.
  bool answers(Duration patience = Duration{1500}) const;
  /// True once nothing has come for as long as `silence`.
  bool falls_silent(Duration patience, Duration silence = Duration{700}) const;

 private:
  std::unique_ptr<Connection> connection_;
  std::atomic<bool> stop_{false};
  std::atomic<std::int64_t> last_{0};
  std::atomic<unsigned> count_{0};
  std::thread thread_;
};

/// What `nft monitor` says about the table `knock` from now on.
class NftWatch {
 public:
  explicit NftWatch(const Namespace& where);
  ~NftWatch();
  /// All of it, up to this moment.
  std::string seen();

 private:
  std::string until_mark();
  const Namespace& where_;
  TemporaryFolder folder_;
  pid_t pid_ = -1;
  int marks_ = 0;
};

struct WorldSettings {
  bool git = true;
  bool oidc = true;
  std::vector<std::pair<std::string, std::string>> provider;  // its environment
  std::string state, failpoints;                              // as of Installation
  std::string policy = kPolicy;
};

class World {
 public:
  explicit World(const WorldSettings& settings = {});

  std::string portal() const { return std::string("https://") + kServer; }
  Browser browser(const std::string& name, const std::string& address) const;
  Reached reach(const std::string& from, int port) const;
  bool opens(const std::string& from, int port, Duration within = Duration{3000}) const;
  bool closes(const std::string& from, int port, Duration within = Duration{3000}) const;

  /// `session grant`; the moment its one entry ends.
  Instant grant(const std::string& user, const std::string& from, const std::string& ttl,
                const std::string& group);
  /// The log's records as text, newest last.
  std::string records(const std::string& kind = {}) const;
  std::string table() const { return server.command({"nft", "list", "table", "inet", "knock"}); }

  Namespace server, outside;
  std::unique_ptr<OidcProvider> provider;
  std::unique_ptr<Installation> knock;

 private:
  void configure(const WorldSettings& settings);
  std::vector<std::unique_ptr<EchoServer>> echo_;
};

/// The machine's wall clock.
Instant wall_now();

}  // namespace knock::test
