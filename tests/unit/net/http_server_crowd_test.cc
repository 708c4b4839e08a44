// SPDX-License-Identifier: Apache-2.0
// What one client may take from the others: connections, and time.
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <mutex>

#include "net/http_server_peers.h"
#include "tests/support/http_probe.h"
#include "tests/support/requirement.h"

using namespace knock;
using namespace knock::net;
using namespace knock::test;

namespace {

void hello(HttpRequest request, const Respond& respond) {
  HttpResponse response;
  response.body = request.path;
  respond(std::move(response));
}

const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kBegun = "GET /a HTTP/1.1\r\nHost:";

HttpListen everywhere() {
  auto listen = loopback();
  listen.address = IpAddress::parse("0.0.0.0");
  return listen;
}

HttpProbe coming_from(const RunningServer& server, const std::string& address) {
  return HttpProbe::tcp(server.port(), "127.0.0.1", address);
}

/// The server refuses a connection by closing it, answered or not.
bool served(HttpProbe& probe) {
  probe.send(kGet);
  return probe.read().status == 200;
}

/// Connections in the middle of a request, which nobody can take away.
std::vector<HttpProbe> busy(const RunningServer& server, const std::string& from, int count) {
  std::vector<HttpProbe> out;
  for (int i = 0; i < count; ++i) {
    out.push_back(coming_from(server, from));
    // Together: when the first is answered, the second has been begun.
    EXPECT_EQ(out.back().ask(kGet + kBegun).status, 200) << from << " " << i;
  }
  return out;
}

TEST(HttpServerCrowd, OneAddressCannotKeepOthersOut) {
  auto listen = everywhere();
  listen.limits.connections = 20;
  listen.limits.connections_per_address = 4;
  RunningServer server(listen, hello);
  auto many = busy(server, "127.0.0.66", 4);
  for (int i = 0; i < 30; ++i) {
    auto one_more = coming_from(server, "127.0.0.66");
    EXPECT_FALSE(served(one_more)) << "beyond its limit " << i;
  }
  auto other = coming_from(server, "127.0.0.7");
  EXPECT_TRUE(served(other));
  for (auto& each : many) {
    each.send(" h\r\n\r\n");
    EXPECT_EQ(each.read().status, 200) << "what it holds goes on";
  }
}

TEST(HttpServerCrowd, AtItsLimitAnAddressLosesItsOwnOldestAndNobodyElses) {
  auto listen = everywhere();
  listen.limits.connections_per_address = 2;
  RunningServer server(listen, hello);
  auto bystander = coming_from(server, "127.0.0.7");
  ASSERT_TRUE(served(bystander));
  auto first = coming_from(server, "127.0.0.66"), second = coming_from(server, "127.0.0.66");
  ASSERT_TRUE(served(first));
  ASSERT_TRUE(served(second));
  ASSERT_TRUE(served(first)) << "now the second has been silent longer";
  auto third = coming_from(server, "127.0.0.66");
  EXPECT_TRUE(served(third));
  EXPECT_TRUE(second.closed());
  EXPECT_TRUE(served(first));
  EXPECT_TRUE(served(bystander));
}

TEST(HttpServerCrowd, ANetworkIsLimitedWhateverItsAddresses) {
  auto listen = everywhere();
  listen.limits.connections_per_address = 2;
  listen.limits.connections_per_network = 5;
  RunningServer server(listen, hello);
  std::vector<HttpProbe> held;
  for (const char* from : {"127.0.5.1", "127.0.5.1", "127.0.5.2", "127.0.5.2", "127.0.5.3"})
    for (auto& each : busy(server, from, 1)) held.push_back(std::move(each));
  auto sixth = coming_from(server, "127.0.5.4"), neighbour = coming_from(server, "127.0.6.4");
  EXPECT_FALSE(served(sixth));
  EXPECT_TRUE(served(neighbour));
}

TEST(HttpServerCrowd, AProxysConnectionsAreOnlyLimitedWithAllOthers) {
  auto listen = everywhere();
  listen.limits.connections = 12;
  listen.limits.connections_per_address = listen.limits.connections_per_network = 2;
  listen.limits.not_counted = {Prefix::parse("127.0.0.9").value()};
  RunningServer server(listen, hello);
  auto proxied = busy(server, "127.0.0.9", 10);
  auto direct = busy(server, "127.0.0.8", 2);
  auto stranger = coming_from(server, "127.0.0.8"), one_more = coming_from(server, "127.0.0.9");
  EXPECT_FALSE(served(stranger));
  EXPECT_FALSE(served(one_more)) << "beyond what the server holds in all";
}

TEST(HttpServerCrowd, AClosedConnectionGivesItsPlaceBack) {
  auto listen = everywhere();
  listen.limits.connections_per_address = 1;
  RunningServer server(listen, hello);
  for (int i = 0; i < 50; ++i) {
    auto probe = coming_from(server, "127.0.0.66");
    probe.send("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    ASSERT_EQ(probe.read().status, 200) << i;
    ASSERT_TRUE(probe.closed()) << i;
  }
}

TEST(HttpServerCrowd, AddressesCountByThe64AndNetworksByThe48) {
  auto address = [](const char* text) { return IpAddress::parse(text).value(); };
  Peers addresses(Peers::kAddress), networks(Peers::kNetwork);
  for (auto* peers : {&addresses, &networks}) peers->add(address("2001:db8:1:2::1"), nullptr);
  EXPECT_EQ(addresses.beside(address("2001:db8:1:2:ffff::9")).size(), 1u);
  EXPECT_EQ(addresses.beside(address("2001:db8:1:3::1")).size(), 0u);
  EXPECT_EQ(networks.beside(address("2001:db8:1:3::1")).size(), 1u);
  EXPECT_EQ(networks.beside(address("2001:db8:2::1")).size(), 0u);
  addresses.add(address("192.0.2.1"), nullptr);
  EXPECT_EQ(addresses.beside(address("192.0.2.2")).size(), 0u);
  EXPECT_EQ(addresses.beside(address("::ffff:192.0.2.1")).size(), 1u);
  for (const char* gone : {"2001:db8:1:2:3::4", "192.0.2.1"})
    addresses.remove(address(gone), nullptr);
  EXPECT_TRUE(addresses.empty());
}

// ---- time ----

/// Sends a byte whenever the last has arrived, until the server has had enough; the status.
int dripped(HttpProbe& probe, std::string_view bytes) {
  auto deadline = Deadline::in(Duration::seconds(10));
  for (char byte : bytes) {
    if (probe.readable(Duration{20}) || deadline.passed()) break;
    probe.send(std::string_view(&byte, 1));
  }
  return probe.read().status;
}

TEST(HttpServerCrowd, DrippingBytesBuysNoTime) {
  auto listen = loopback();
  listen.limits.header_time = listen.limits.body_time = Duration{150};
  RunningServer server(listen, hello);
  auto head = HttpProbe::tcp(server.port());
  EXPECT_EQ(dripped(head, "GET /a HTTP/1.1\r\nHost: h\r\nX-Long: " + std::string(10'000, 'x')),
            408);
  EXPECT_TRUE(head.closed());
  auto body = HttpProbe::tcp(server.port());
  body.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n");
  EXPECT_EQ(dripped(body, std::string(10'000, 'x')), 408);
  EXPECT_TRUE(body.closed());
}

TEST(HttpServerCrowd, HeadAndBodyTogetherHaveOneTime) {
  auto listen = loopback();
  listen.limits.request_time = Duration{150};
  listen.limits.header_time = listen.limits.body_time = Duration::seconds(60);
  RunningServer server(listen, hello);
  auto probe = HttpProbe::tcp(server.port());
  EXPECT_EQ(dripped(probe, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n" +
                               std::string(10'000, 'x')),
            408);
  EXPECT_TRUE(probe.closed());
}

TEST(HttpServerCrowd, AHandlerThatDoesNotAnswerHoldsNobody) {
  auto listen = loopback();
  listen.limits.request_time = Duration{150};
  std::mutex mutex;
  std::vector<Respond> owed;
  RunningServer server(listen, [&](HttpRequest, Respond respond) {
    std::lock_guard lock(mutex);
    owed.push_back(std::move(respond));
  });
  auto probe = HttpProbe::tcp(server.port());
  EXPECT_EQ(probe.ask(kGet).status, 503);
  EXPECT_TRUE(probe.closed());
  std::lock_guard lock(mutex);
  ASSERT_EQ(owed.size(), 1u);
  owed[0]({});  // much too late, and harmless
}

TEST(HttpServerCrowd, AReaderThatDripsIsDropped) {
  auto listen = loopback();
  listen.limits.request_time = Duration{300};
  listen.limits.body_time = Duration::seconds(60);
  listen.limits.connections = 1;
  RunningServer server(listen, [](HttpRequest, const Respond& respond) {
    HttpResponse response;
    response.body.assign(64 << 20, 'x');
    respond(std::move(response));
  });
  auto slow = HttpProbe::tcp(server.port());
  slow.send(kGet);
  auto deadline = Deadline::in(Duration::seconds(10));
  // It takes something all the time, and would do so for many minutes.
  for (char some[4096]; !deadline.passed();) {
    (void)!::read(slow.fd(), some, sizeof some);
    if (HttpProbe::tcp(server.port()).ask("\r\n").status == 400) break;
  }
  EXPECT_FALSE(deadline.passed());
}

TEST(HttpServerCrowd, EachRequestOfAConnectionHasItsOwnTime) {
  auto listen = loopback();
  listen.limits.request_time = Duration{400};
  RunningServer server(listen, hello);
  auto probe = HttpProbe::tcp(server.port());
  auto until = Deadline::in(Duration{1200});
  int asked = 0;
  for (; !until.passed(); ++asked) ASSERT_EQ(probe.ask(kGet).status, 200) << asked;
  EXPECT_GT(asked, 10);
}

TEST(HttpServerCrowd, WhoMayUseTheUnixSocketMayAskForLongWork) {
  TemporaryFolder folder;
  HttpListen listen;
  listen.unix_path = folder.path() + "/s";
  listen.limits.request_time = Duration{50};
  listen.limits.connections_per_address = 1;
  std::promise<Respond> taken;
  RunningServer server(listen,
                       [&](HttpRequest, Respond respond) { taken.set_value(std::move(respond)); });
  auto other = HttpProbe::unix_socket(listen.unix_path);
  auto probe = HttpProbe::unix_socket(listen.unix_path);
  probe.send(kGet);
  auto respond = taken.get_future().get();
  EXPECT_FALSE(probe.readable(Duration{300})) << "given up";
  respond({});
  EXPECT_EQ(probe.read().status, 200);
}

TEST(HttpServerCrowd, WorkIsPostedToTheServersThread) {
  RunningServer server(loopback(), hello);
  std::promise<std::thread::id> ran;
  server.server().post([&] { ran.set_value(std::this_thread::get_id()); });
  EXPECT_NE(ran.get_future().get(), std::this_thread::get_id());
}

}  // namespace
