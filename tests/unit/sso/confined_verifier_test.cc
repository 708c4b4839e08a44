// SPDX-License-Identifier: Apache-2.0
// The verifier's process as it really runs, with its system calls filtered: it must still be able
// to do all of its work.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "base/sha256.h"
#include "net/sandbox.h"
#include "sso/password.h"
#include "sso/verifier/run.h"
#include "tests/support/oidc_provider.h"
#include "tests/support/requirement.h"
#include "tests/unit/net/http_client_server.h"

namespace knock::sso {
namespace {

using knock::test::OidcProvider;
using knock::test::query_parameter;

constexpr char kCallback[] = "http://127.0.0.1:8400/auth/callback";

OidcSource source(const std::string& name, const std::string& issuer) {
  OidcSource out;
  out.settings.name = SignInName(name);
  out.settings.issuer = issuer;
  out.settings.client_id = "knock";
  out.settings.scopes = {"openid", "groups"};
  out.settings.allow_networks = {Prefix::parse("127.0.0.0/8").value()};
  out.client_secret = Secret(OidcProvider::secret_of("knock"));
  return out;
}

/// Runs a verifier in a child; the other end of its socket is ours.
class Child {
 public:
  explicit Child(std::vector<OidcSource> sources) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      _exit(work(ends[1], std::move(sources)));
    }
    close(ends[1]);
    socket_ = ends[0];
    timeval patience{30, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Child() {
    close(socket_);
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
  }
  template <class T>
  std::optional<T> ask(const role::ToVerifier& message) {
    auto frame = role::encode(message);
    if (send(socket_, frame.data(), frame.size(), MSG_NOSIGNAL) != ssize_t(frame.size()))
      return std::nullopt;
    unsigned char head[4];
    if (recv(socket_, head, 4, MSG_WAITALL) != 4) return std::nullopt;
    std::string body(std::size_t(head[1]) << 16 | std::size_t(head[2]) << 8 | head[3], '\0');
    if (recv(socket_, body.data(), body.size(), MSG_WAITALL) != ssize_t(body.size()))
      return std::nullopt;
    auto answer = role::decode_from_verifier(body).value();
    if (auto* refused = std::get_if<role::NotProven>(&answer);
        refused != nullptr && !std::is_same_v<T, role::NotProven>)
      ADD_FAILURE() << refused->code << ": " << refused->why;
    auto* wanted = std::get_if<T>(&answer);
    return wanted == nullptr ? std::nullopt : std::optional<T>(*wanted);
  }
  /// Leaves, and says how the child ended.
  int leave() {
    shutdown(socket_, SHUT_WR);
    int status = -1;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  static int work(int socket, std::vector<OidcSource> sources) {
    SystemClock clock;
    auto verifier = Verifier::make(std::move(sources), clock);
    if (!verifier || !net::confine(net::Confinement::verifier)) return 70;
    return run_verifier(socket, **verifier);
  }
  int socket_ = -1;
  pid_t pid_ = -1;
};

TEST(ConfinedVerifier, proves_people_and_checks_passwords) {
  KNOCK_NEED("oidc", OidcProvider::ready(), OidcProvider::why_not());
  OidcProvider provider;
  auto hash = hash_password(Secret("pw")).value();
  SystemRandom random;
  auto certificate = net::test::TestCertificate::make("127.0.0.1");
  net::test::TinyServer impostor([](auto&) { return net::test::ok("{}"); }, &certificate);
  Child child({source("lab", provider.issuer()), source("nowhere", "https://idp.invalid"),
               source("public", "https://192.0.2.1"), source("impostor", impostor.url(""))});
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(child.ask<role::PasswordChecked>(role::CheckPassword{1, hash, "pw"})->good);
    EXPECT_FALSE(child.ask<role::PasswordChecked>(role::CheckPassword{2, "", "pw"})->good);
    auto verifier = random.token(32), nonce = random.token(16);
    auto url = child.ask<role::UrlMade>(role::MakeUrl{
        3, SignInName("lab"), kCallback, "state", nonce, base64url(as_bytes(sha256(verifier)))});
    ASSERT_TRUE(url);
    std::string why;
    auto back = provider.sign_in(url->url, "alice", kCallback, &why);
    ASSERT_FALSE(back.empty()) << why;
    auto who = child.ask<role::Proven>(
        role::ExchangeCode{4, SignInName("lab"), kCallback, query_parameter(back, "code"), verifier,
                           nonce, query_parameter(back, "iss"), SystemClock().now()});
    ASSERT_TRUE(who);
    EXPECT_EQ(who->subject, "alice");
    // A name that does not resolve, and an address that is refused: the resolver's threads and the
    // guard work confined.
    auto nowhere = child.ask<role::NotProven>(
        role::MakeUrl{5, SignInName("nowhere"), kCallback, "s", "n", "c"});
    ASSERT_TRUE(nowhere);
    EXPECT_EQ(nowhere->code, "provider.unreachable");
    auto refused = child.ask<role::NotProven>(
        role::MakeUrl{6, SignInName("public"), kCallback, "s", "n", "c"});
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->code, "provider.address");
    // TLS: the machine's authorities are read and do not know this certificate.
    auto impostor_found = child.ask<role::NotProven>(
        role::MakeUrl{7, SignInName("impostor"), kCallback, "s", "n", "c"});
    ASSERT_TRUE(impostor_found);
    EXPECT_EQ(impostor_found->code, "provider.answer");
    EXPECT_NE(impostor_found->why.find("certificate"), std::string::npos) << impostor_found->why;
  }
  EXPECT_EQ(child.leave(), 0);
}

}  // namespace
}  // namespace knock::sso
