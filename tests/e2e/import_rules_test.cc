// SPDX-License-Identifier: Apache-2.0
// `knock init --from nftables` against a real kernel's rules.
#include <gtest/gtest.h>

#include <filesystem>

#include "schemas/nftables/ruleset.h"
#include "tests/support/netns.h"
#include "tests/support/requirement.h"

namespace knock::test {
namespace {

std::string table(const std::string& rules, const std::string& more = {}) {
  return "table inet f {\n" + more +
         "chain in {\ntype filter hook input priority 0; policy drop;\n" + rules + "\n}\n}\n";
}

/// "198.51.100.0/28 tcp/22" of each rule, then "- WHY" of each that is left out.
std::string summary(const OwnRules& rules) {
  std::string out;
  for (const LetIn& rule : rules.let_in) {
    for (const Prefix& prefix : rule.from) out += prefix.to_string() + " ";
    out += (rule.everybody ? "everybody " : "") + to_string(rule.ports) +
           (rule.through ? " through" : "") + "\n";
  }
  for (const LeftOut& rule : rules.left_out) out += "- " + rule.why + "\n";
  return out;
}

struct Row {
  const char* what;
  std::string rules, means;
};

TEST(ImportRules, WhatTheKernelHoldsIsReadBack) {
  KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
  const Row rows[] = {
      {"a host and a port", table("ip saddr 192.0.2.1 tcp dport 22 accept"),
       "192.0.2.1/32 tcp/22\n"},
      {"IPv6 and udp", table("ip6 saddr 2001:db8::/64 udp dport 51820 accept"),
       "2001:db8::/64 udp/51820\n"},
      {"lists and ranges",
       table("ip saddr { 192.0.2.7, 192.0.2.16-192.0.2.20 } tcp dport { 443, 8000-8010 } accept"),
       "192.0.2.7/32 192.0.2.16/30 192.0.2.20/32 tcp/443,8000-8010\n"},
      {"a named set",
       table("ip saddr @ops tcp dport 22 accept",
             "set ops { type ipv4_addr; flags interval\nelements = { 198.51.100.0/28 }\n}\n"),
       "198.51.100.0/28 tcp/22\n"},
      {"a set whose elements die by themselves",
       table(
           "ip saddr @ops tcp dport 22 accept",
           "set ops { type ipv4_addr; flags timeout\nelements = { 198.51.100.1 timeout 1h }\n}\n"),
       "- names addresses in a way that is not understood\n"},
      {"counters and logs change nothing",
       table("ip saddr 192.0.2.1 tcp dport 22 counter log prefix \"x\" accept"),
       "192.0.2.1/32 tcp/22\n"},
      {"both protocols at once",
       table("ip saddr 192.0.2.1 meta l4proto { tcp, udp } th dport 53 accept"),
       "192.0.2.1/32 tcp/53 udp/53\n"},
      {"housekeeping is nobody's way in",
       table("ct state established,related accept\nct state invalid drop\niif lo accept\n"
             "icmp type echo-request accept\nmeta l4proto ipv6-icmp accept\n"
             "ct state new ip saddr 192.0.2.1 tcp dport 22 accept"),
       "192.0.2.1/32 tcp/22\n"},
      {"what is refused before is taken away",
       table("ip saddr 192.0.2.2 drop\nip saddr 192.0.2.0/30 tcp dport 22 accept"),
       "192.0.2.0/31 192.0.2.3/32 tcp/22\n"},
      {"a port that is refused before",
       table("tcp dport 23 reject\nip saddr 192.0.2.1 tcp dport 22-24 accept"),
       "192.0.2.1/32 tcp/22,24\n"},
      {"an address refused at some of the ports",
       table("ip saddr 192.0.2.1 tcp dport 23 drop\nip saddr 192.0.2.0/30 tcp dport 22-24 accept"),
       "- overlaps with what is refused before it\n"},
      {"behind a rule that refuses everything",
       table("drop\nip saddr 192.0.2.1 tcp dport 22 accept"),
       "- stands behind a rule that refuses everything\n"},
      {"everybody", table("ip saddr 192.0.2.2 drop\ntcp dport 80 accept"), "everybody tcp/80\n"},
      {"an interface", table("iifname \"eth0\" ip saddr 192.0.2.1 tcp dport 22 accept"),
       "- asks for `iifname`\n"},
      {"a rate", table("ip saddr 192.0.2.1 limit rate 5/minute tcp dport 22 accept"),
       "- has `limit`\n"},
      {"a chain of one's own",
       table("jump more\nip saddr 192.0.2.2 tcp dport 22 accept",
             "chain more {\nip saddr 192.0.2.1 tcp dport 22 accept\n}\n"),
       "192.0.2.1/32 tcp/22\n192.0.2.2/32 tcp/22\n"},
      {"machines behind this one",
       "table ip f {\nchain over {\ntype filter hook forward priority 0; policy accept;\n"
       "ip saddr 192.0.2.0/24 tcp dport 3389 accept\ntcp dport 3389 drop\n}\n}\n",
       "192.0.2.0/24 tcp/3389 through\n"},
      {"two chains for each packet",
       table("ip saddr 192.0.2.1 tcp dport 22 accept") +
           "table inet g {\nchain in {\ntype filter hook input priority 5; policy drop;\n}\n}\n",
       "- 2 chains judge each packet at input; what passes all of them is not worked out\n"
       "- 2 chains judge each packet at input; what passes all of them is not worked out\n"},
      {"no rules", "", ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Namespace machine;
    machine.nft(row.rules);
    auto read = read_own_rules(machine.command({"nft", "-j", "list", "ruleset"}));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(summary(*read), row.means);
  }
}

TEST(ImportRules, TheWrittenPolicyLoadsAndSaysWhatWasLeftOut) {
  KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
  Namespace machine;
  machine.nft(
      table("ip saddr 198.51.100.0/28 tcp dport 22 accept comment \"on # call\"\n"
            "ip saddr 10.0.0.0/8 tcp dport 5432 accept\ntcp dport 80 accept\n"
            "iifname \"eth0\" tcp dport 25 accept"));
  TemporaryFolder folder;
  const std::string knock = std::filesystem::absolute(binary_dir()).string() + "/cli/knock";
  auto said = machine.command({knock, "init", folder.path() + "/new", "--from", "nftables"});
  EXPECT_NE(said.find("Imported 2 static entries for 1 service"), std::string::npos) << said;
  EXPECT_NE(said.find("1 rule opens ports to everybody"), std::string::npos) << said;
  EXPECT_NE(said.find("1 rule is left out"), std::string::npos) << said;
  auto policies = folder.path() + "/new/policies";
  auto text = read_file(policies + "/imported.yaml");
  EXPECT_NE(text.find("to: [ssh]"), std::string::npos) << text;
  EXPECT_NE(text.find("{cidr: 10.0.0.0/8, any: true}"), std::string::npos) << text;
  EXPECT_NE(text.find("handle 2: on # call\""), std::string::npos) << text;
  EXPECT_NE(text.find("#   tcp/80   inet f in, handle 4\n"), std::string::npos) << text;
  EXPECT_NE(text.find("handle 5: asks for `iifname`"), std::string::npos) << text;
  machine.command({knock, "validate", policies});
  machine.command({knock, "fmt", "--check", policies});
  EXPECT_THROW(machine.command({knock, "init", folder.path() + "/new", "--from", "nftables"}),
               std::exception)
      << "a policy that stands is not imported over";
}

}  // namespace
}  // namespace knock::test
