// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "schemas/policy/load.h"

namespace knock {
namespace {

constexpr std::string_view kEverything = R"(# every key once
knock: 1
x-note: {anything: [at, all]}
groups:
  dba: {idp: dba, from: [sso]}
  web-admins: {idp: "cn=web-admins", from: [sso, local, sso], x-ticket: 7}
  no: {idp: 'no', from: [local]}
networks:
  office: [198.51.100.0/24, "2001:db8:1::/48", {cidr: 10.0.0.0/8, any: true}]
  blocked: [192.0.2.0/24, 192.0.2.0/24]
services:
  web: {ports: [tcp/444, tcp/443, udp/60000-61000], targets: [edge]}
  ssh: {ports: [tcp/22], targets: [inner, edge]}
targets:
  edge: {type: nftables, table: knock2, netns: gate, protect: false, hooks: [forward, input], max_ttl: 12h, capacity: {entries: 1000, reserve: 10}, ownership: exclusive, on_remove: orphan, heal: off}
  inner: {type: nftables, hooks: [input], heal: on}
allow:
  web: {who: [web-admins, dba, dba], to: [web], ttl: 8h, from: {in: [office], not_in: [blocked]}}
  all: {who: [no], to: ["*"], ttl: 90m}
static:
  probes: {cidr: [198.51.100.17, {cidr: 198.51.0.0/16, any: true}], to: ["*"], owner: sre, reason: "probes: all", until: 2027-01-31}
deny:
  listed: {from: {in: [blocked]}, to: ["*"]}
  never: {who: [dba], from: {not_in: [office]}, to: [ssh]}
)";

PolicyContext sources() { return {{SignInName("local"), SignInName("sso")}, true}; }

PolicyLoad load(const std::vector<PolicyFile>& files, PolicyCache* cache = nullptr) {
  return load_policy(files, PolicyRevision("r1"), sources(), cache);
}
PolicyLoad load(std::string_view text) { return load({{"p.yaml", std::string(text), ""}}); }

template <class NameType>
std::string names(const std::vector<NameType>& values) {
  std::string out;
  for (const auto& value : values) out += value.value + " ";
  return out;
}

TEST(PolicyLoad, ReadsEveryKey) {
  auto result = load(kEverything);
  ASSERT_TRUE(result.policy) << to_text(result.diagnostics);
  EXPECT_TRUE(result.diagnostics.empty()) << to_text(result.diagnostics);
  const auto& policy = *result.policy;
  EXPECT_EQ(policy.revision, PolicyRevision("r1"));

  ASSERT_EQ(policy.groups.size(), 3u);
  EXPECT_EQ(policy.groups[1].name, GroupName("no"));
  EXPECT_EQ(policy.groups[2].idp, "cn=web-admins");
  EXPECT_EQ(names(policy.groups[2].from), "local sso ");

  const auto* office = policy.network(NetworkName("office"));
  ASSERT_NE(office, nullptr);
  ASSERT_EQ(office->prefixes.size(), 3u);
  EXPECT_EQ(office->prefixes[0].prefix.to_string(), "10.0.0.0/8");
  EXPECT_TRUE(office->prefixes[0].any);
  EXPECT_FALSE(office->prefixes[1].any);
  EXPECT_EQ(policy.network(NetworkName("blocked"))->prefixes.size(), 1u);

  const auto* web = policy.service(ServiceName("web"));
  ASSERT_NE(web, nullptr);
  EXPECT_EQ(to_string(web->ports), "tcp/443-444 udp/60000-61000");
  EXPECT_EQ(names(policy.service(ServiceName("ssh"))->targets), "edge inner ");

  const auto* edge = policy.target(TargetName("edge"));
  ASSERT_NE(edge, nullptr);
  const auto& settings = std::get<NftablesSettings>(edge->settings);
  EXPECT_EQ(settings.table, "knock2");
  EXPECT_EQ(settings.netns, "gate");
  EXPECT_FALSE(settings.protect);
  EXPECT_EQ(settings.hooks, (std::vector{Hook::input, Hook::forward}));
  EXPECT_EQ(edge->max_ttl, Duration::hours(12));
  EXPECT_EQ(edge->capacity, 1000u);
  EXPECT_EQ(edge->capacity_reserve, 10u);
  EXPECT_EQ(edge->ownership, Ownership::exclusive);
  EXPECT_EQ(edge->on_remove, OnRemove::orphan);
  EXPECT_EQ(edge->heal, Heal::off);
  EXPECT_EQ(policy.target(TargetName("inner"))->ownership, Ownership::shared);
  EXPECT_EQ(policy.target(TargetName("inner"))->heal, Heal::on);
  const auto& inner = std::get<NftablesSettings>(policy.target(TargetName("inner"))->settings);
  EXPECT_EQ(inner.table, "knock");
  EXPECT_TRUE(inner.protect);
  EXPECT_EQ(inner.hooks, std::vector{Hook::input});

  ASSERT_EQ(policy.allow.size(), 2u);
  EXPECT_EQ(policy.allow[0].name, RuleName("all"));
  EXPECT_TRUE(policy.allow[0].to_all);
  EXPECT_EQ(names(policy.allow[0].to), "ssh web ");
  EXPECT_EQ(policy.allow[0].ttl, Duration::minutes(90));
  EXPECT_EQ(names(policy.allow[1].who), "dba web-admins ");
  EXPECT_EQ(names(policy.allow[1].from.in), "office ");
  EXPECT_EQ(names(policy.allow[1].from.not_in), "blocked ");
  EXPECT_EQ(policy.allow[1].origin.to_string(), "p.yaml:18:3");

  ASSERT_EQ(policy.statics.size(), 1u);
  EXPECT_EQ(policy.statics[0].cidr[1].prefix.to_string(), "198.51.100.17/32");
  EXPECT_EQ(policy.statics[0].owner, "sre");
  EXPECT_EQ(policy.statics[0].reason, "probes: all");
  EXPECT_EQ(to_string(policy.statics[0].until), "2027-01-31T00:00:00Z");

  ASSERT_EQ(policy.deny.size(), 2u);
  EXPECT_TRUE(policy.deny[0].who.empty());
  EXPECT_EQ(names(policy.deny[1].who), "dba ");
}

TEST(PolicyLoad, PrintedAndLoadedAgainItMeansTheSame) {
  auto first = load(kEverything);
  ASSERT_TRUE(first.policy);
  auto text = to_yaml(*first.policy);
  auto second = load(text);
  ASSERT_TRUE(second.policy) << text << to_text(second.diagnostics);
  EXPECT_TRUE(same_meaning(*first.policy, *second.policy)) << text;
  EXPECT_EQ(to_yaml(*second.policy), text);
}

TEST(PolicyLoad, SameMeaningSeesEveryField) {
  auto loaded = load(kEverything);
  ASSERT_TRUE(loaded.policy);
  const auto base = *loaded.policy;
  using Change = void (*)(Policy&);
  const std::vector<Change> changes{
      [](Policy& p) { p.groups[0].idp = "x"; },
      [](Policy& p) { p.groups[0].from.clear(); },
      [](Policy& p) { p.groups.pop_back(); },
      [](Policy& p) { p.networks[1].prefixes[0].any = false; },
      [](Policy& p) { p.services[0].ports.pop_back(); },
      [](Policy& p) { p.services[0].targets.pop_back(); },
      [](Policy& p) { std::get<NftablesSettings>(p.targets[0].settings).table = "x"; },
      [](Policy& p) { std::get<NftablesSettings>(p.targets[0].settings).netns = "x"; },
      [](Policy& p) { std::get<NftablesSettings>(p.targets[0].settings).protect = true; },
      [](Policy& p) { std::get<NftablesSettings>(p.targets[0].settings).hooks.pop_back(); },
      [](Policy& p) { p.targets[0].max_ttl.reset(); },
      [](Policy& p) { p.targets[0].capacity = 1; },
      [](Policy& p) { p.targets[0].capacity_reserve = 1; },
      [](Policy& p) { p.targets[0].ownership = Ownership::observe; },
      [](Policy& p) { p.targets[0].on_remove = OnRemove::drain; },
      [](Policy& p) { p.targets[0].heal = Heal::warn; },
      [](Policy& p) { p.allow[0].ttl = Duration::hours(1); },
      [](Policy& p) { p.allow[0].to_all = false; },
      [](Policy& p) { p.allow[1].from.not_in.clear(); },
      [](Policy& p) { p.allow[1].who.pop_back(); },
      [](Policy& p) { p.statics[0].until = Instant{}; },
      [](Policy& p) { p.statics[0].owner = ""; },
      [](Policy& p) { p.statics[0].reason = ""; },
      [](Policy& p) { p.statics[0].cidr.pop_back(); },
      [](Policy& p) { p.deny[0].from.in.clear(); },
      [](Policy& p) { p.deny[1].who.clear(); },
      [](Policy& p) { p.deny[1].to.clear(); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    auto changed = base;
    changes[i](changed);
    EXPECT_FALSE(same_meaning(base, changed)) << "change " << i;
  }
  auto moved = base;
  moved.revision = PolicyRevision("other");
  moved.groups[0].origin.line = 99;
  EXPECT_TRUE(same_meaning(base, moved));
}

/// Texts of elements, so that they can be dealt to files in any way.
struct Element {
  std::string section;
  std::string line;
};

std::vector<Element> random_elements(std::mt19937& random) {
  auto pick = [&](int most) { return int(random() % unsigned(most)); };
  std::vector<Element> out;
  int groups = 1 + pick(5), networks = 1 + pick(5), services = 1 + pick(5), targets = 1 + pick(3);
  for (int i = 0; i < groups; ++i)
    out.push_back({"groups", fmt::format("g{}: {{idp: \"n {} \\\\ \\\" ü\", from: [{}]}}", i, i,
                                         pick(2) != 0 ? "sso, local" : "local")});
  for (int i = 0; i < networks; ++i)
    out.push_back({"networks", fmt::format("n{}: [{{cidr: {}.0.0.0/8, any: true}}, 192.0.{}.0/24, "
                                           "\"2001:db8:{:x}::/48\"]",
                                           i, 1 + pick(200), pick(256), pick(65536))});
  for (int i = 0; i < services; ++i)
    out.push_back({"services", fmt::format("s{}: {{ports: [tcp/{}, udp/{}-65000], targets: [t{}]}}",
                                           i, 1 + pick(60000), 1 + pick(60000), pick(targets))});
  for (int i = 0; i < targets; ++i)
    out.push_back({"targets", fmt::format("t{}: {{type: nftables, table: k{}, max_ttl: {}m}}", i, i,
                                          1 + pick(5000))});
  for (int i = 0; i < 1 + pick(8); ++i) {
    auto to = pick(4) == 0 ? std::string("\"*\"") : fmt::format("s{}", pick(services));
    auto from = pick(2) != 0 ? fmt::format(", from: {{in: [n{}]}}", pick(networks)) : "";
    out.push_back({"allow", fmt::format("r{}: {{who: [g{}, g{}], to: [{}], ttl: {}s{}}}", i,
                                        pick(groups), pick(groups), to, 1 + pick(100000), from)});
    out.push_back({"deny", fmt::format("r{}: {{from: {{in: [n{}], not_in: [n{}]}}, to: [{}]}}", i,
                                       pick(networks), pick(networks), to)});
    out.push_back(
        {"static", fmt::format("r{}: {{cidr: [192.0.2.{}], to: [{}], owner: o, reason: 'r {}', "
                               "until: \"20{}-05-06T07:08:09Z\"}}",
                               i, pick(256), to, i, 30 + pick(60))});
  }
  return out;
}

std::vector<PolicyFile> deal(const std::vector<Element>& elements, std::size_t files,
                             std::mt19937& random) {
  auto shuffled = elements;
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  std::vector<std::map<std::string, std::string>> parts(files);
  for (const auto& element : shuffled)
    parts[random() % files][element.section] += "  " + element.line + "\n";
  std::vector<PolicyFile> out;
  for (std::size_t i = 0; i < files; ++i) {
    std::string text = "knock: 1\n";
    for (const auto& [section, lines] : parts[i]) text += section + ":\n" + lines;
    out.push_back({fmt::format("d{}/p{}.yaml", random() % 3, i), text, ""});
  }
  std::shuffle(out.begin(), out.end(), random);
  return out;
}

TEST(PolicyLoad, HowElementsAreDealtToFilesMeansNothing) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    auto elements = random_elements(random);
    auto whole = load(deal(elements, 1, random));
    ASSERT_TRUE(whole.policy) << to_text(whole.diagnostics);
    auto dealt = load(deal(elements, 1 + random() % 6, random));
    ASSERT_TRUE(dealt.policy) << to_text(dealt.diagnostics);
    ASSERT_TRUE(same_meaning(*whole.policy, *dealt.policy));
    auto printed = load(to_yaml(*dealt.policy));
    ASSERT_TRUE(printed.policy) << to_text(printed.diagnostics);
    ASSERT_TRUE(same_meaning(*whole.policy, *printed.policy)) << to_yaml(*dealt.policy);
  }
}

TEST(PolicyLoad, DiagnosticsDoNotDependOnTheOrderOfFiles) {
  std::vector<PolicyFile> files{
      {"a.yaml", "knock: 1\ngroups: {a: {idp: x, from: [local]}, b: {ipd: y}}\n", ""},
      {"b.yaml",
       "knock: 1\ngroups: {a: {idp: x, from: [local]}}\ndeny: {d: {who: [zz], to: [qq]}}\n", ""},
      {"c.yaml", "knock: [\n", ""},
  };
  auto first = to_text(load(files).diagnostics);
  do {
    EXPECT_EQ(to_text(load(files).diagnostics), first);
  } while (std::ranges::next_permutation(files, {}, &PolicyFile::path).found);
  EXPECT_NE(first.find("duplicate-name"), std::string::npos);
}

TEST(PolicyLoad, AFileThatCannotBeReadDoesNotMakeNamesUnknown) {
  auto result = load({{"a.yaml", "knock: 1\ngroups: [\n", ""},
                      {"b.yaml", "knock: 1\ndeny: {d: {who: [dba], to: [ssh]}}\n", ""}});
  ASSERT_EQ(result.diagnostics.size(), 1u) << to_text(result.diagnostics);
  EXPECT_EQ(result.diagnostics[0].where.file, "a.yaml");
}

TEST(PolicyLoad, OneSourceNeedsNoFrom) {
  auto text =
      "knock: 1\ngroups: {a: {idp: b}}\nservices: {s: {ports: [tcp/1], targets: [t]}}\n"
      "targets: {t: {type: nftables}}\nallow: {a: {who: [a], to: [s], ttl: 1h}}\n";
  std::vector<PolicyFile> files{{"p.yaml", text, ""}};
  EXPECT_TRUE(load_policy(files, PolicyRevision("r"), {{SignInName("sso")}, true}).policy);
  EXPECT_TRUE(load_policy(files, PolicyRevision("r"), {}).policy);
  EXPECT_FALSE(load_policy(files, PolicyRevision("r"), sources()).policy);
}

TEST(PolicyLoad, LookUpsFindTheirElementAndNothingElse) {
  auto result = load(kEverything);
  ASSERT_TRUE(result.policy);
  EXPECT_EQ(result.policy->group(GroupName("dba"))->idp, "dba");
  EXPECT_EQ(result.policy->group(GroupName("dbb")), nullptr);
  EXPECT_EQ(result.policy->service(ServiceName("")), nullptr);
  EXPECT_EQ(result.policy->target(TargetName("zz")), nullptr);
  EXPECT_EQ(result.policy->network(NetworkName("aa")), nullptr);
}

// --- the cache

std::vector<PolicyFile> small_files(int count, int changed = -1) {
  std::vector<PolicyFile> out{
      {"0.yaml", "knock: 1\ntargets: {t: {type: nftables}}\ngroups: {g: {idp: g, from: [sso]}}\n",
       "base"}};
  for (int i = 0; i < count; ++i) {
    int port = i == changed ? 65000 : 1 + i;
    auto text = fmt::format(
        "knock: 1\nservices: {{s{0}: {{ports: [tcp/{1}], targets: [t]}}}}\n"
        "allow: {{a{0}: {{who: [g], to: [s{0}], ttl: 1h}}}}\n",
        i, port);
    out.push_back({fmt::format("p{}.yaml", i), text, fmt::format("blob{}-{}", i, port)});
  }
  return out;
}

void expect_same(const PolicyLoad& a, const PolicyLoad& b) {
  EXPECT_EQ(to_text(a.diagnostics), to_text(b.diagnostics));
  ASSERT_EQ(a.policy.has_value(), b.policy.has_value());
  if (!a.policy) return;
  EXPECT_TRUE(same_meaning(*a.policy, *b.policy));
  for (std::size_t i = 0; i < a.policy->allow.size(); ++i)
    EXPECT_EQ(a.policy->allow[i].origin, b.policy->allow[i].origin);
}

TEST(PolicyCacheTest, GivesWhatLoadingWithoutItGives) {
  PolicyCache cache;
  auto renamed = small_files(30);
  std::swap(renamed[3].path, renamed[4].path);
  auto broken = small_files(30);
  broken[5] = {"p4.yaml", "knock: 1\nservices: {s4: {prots: [tcp/1], targets: [t]}}\n", "broken"};
  for (const auto& files : {small_files(30), small_files(30, 7), broken, small_files(10), renamed,
                            broken, small_files(30)})
    expect_same(load(files, &cache), load(files));
}

TEST(PolicyCacheTest, IsAskedByBlobAlone) {
  PolicyCache cache;
  auto files = small_files(3);
  auto first = load(files, &cache);
  ASSERT_TRUE(first.policy);
  for (auto& file : files) file.content = "never read";
  auto second = load(files, &cache);
  ASSERT_TRUE(second.policy) << to_text(second.diagnostics);
  EXPECT_TRUE(same_meaning(*first.policy, *second.policy));
  files[1].blob_id.clear();  // not cached: read again
  EXPECT_FALSE(load(files, &cache).policy);
}

TEST(PolicyCacheTest, ForgetsWhatIsNoLongerUsed) {
  PolicyCache cache;
  auto files = small_files(3);
  load(files, &cache);
  for (int i = 0; i < 8; ++i) load(small_files(1), &cache);
  for (auto& file : files) file.content = "never read";
  EXPECT_FALSE(load(files, &cache).policy);
}

TEST(PolicyCacheTest, TheContextIsNotCached) {
  PolicyCache cache;
  std::vector<PolicyFile> files{{"p.yaml",
                                 "knock: 1\ngroups: {a: {idp: b}}\n"
                                 "services: {s: {ports: [tcp/1], targets: [t]}}\n"
                                 "targets: {t: {type: nftables}}\n"
                                 "allow: {a: {who: [a], to: [s], ttl: 1h}}\n",
                                 "blob"}};
  EXPECT_TRUE(load_policy(files, PolicyRevision("r"), {}, &cache).policy);
  EXPECT_FALSE(load_policy(files, PolicyRevision("r"), sources(), &cache).policy);
}

}  // namespace
}  // namespace knock
