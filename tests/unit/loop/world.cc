// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/loop/world.h"

#include "schemas/policy/load.h"
#include "store/sqlite/sqlite_store.h"

namespace knock::test {

std::string one_target(const std::string& name, const std::string& table) {
  return "  " + name + ": {type: nftables, table: " + (table.empty() ? name : table) + "}\n";
}

std::string policy_text(const std::string& targets, const std::string& more) {
  std::string names;
  std::size_t at = 0;
  while (at < targets.size()) {
    auto end = targets.find('\n', at);
    auto line = targets.substr(at, end - at);
    names += (names.empty() ? "" : ", ") + line.substr(2, line.find(':') - 2);
    at = end + 1;
  }
  return "knock: 1\ntargets:\n" + targets + "services:\n  ssh: {ports: [tcp/22], targets: [" +
         names +
         "]}\ngroups:\n  admins: {idp: admins}\nallow:\n"
         "  a: {who: [admins], to: [ssh], ttl: 8h}\n" +
         more;
}

std::shared_ptr<const Policy> load(const std::string& text, const std::string& revision) {
  PolicyContext context;
  context.sign_ins_known = true;
  context.sign_ins = {SignInName("local")};
  auto loaded = load_policy({{"main.yaml", text, ""}}, PolicyRevision(revision), context);
  EXPECT_TRUE(loaded.policy) << to_text(loaded.diagnostics);
  return loaded.policy ? std::make_shared<const Policy>(std::move(*loaded.policy))
                       : std::make_shared<const Policy>();
}

World::World() {
  settings_.keep = {*Prefix::parse("192.0.2.1/32")};
  settings_.look_at_clock_every = Duration{5};
  settings_.verb_deadline = Duration::seconds(5);
  open_store();
}

World::~World() { stop(); }

void World::open_store() {
  store_.reset();
  auto opened = open_sqlite(folder_.path() + "/knock.db", SqliteMode::create_or_open, random_);
  if (!opened) throw std::runtime_error(opened.error().text());
  store_ = std::make_unique<BrittleStore>(std::move(*opened));
}

Place& World::place(const std::string& table) {
  std::lock_guard lock(places_mutex_);
  auto& place = places_[table];
  if (place == nullptr) {
    place = std::make_unique<Place>(clock_);
    place->capabilities.native_expiry = true;
  }
  return *place;
}

ProviderFactory World::factory() {
  return [this](const Target& target, TargetMoved moved) -> Result<std::unique_ptr<Provider>> {
    auto table = std::get<NftablesSettings>(target.settings).table;
    {
      std::lock_guard lock(places_mutex_);
      if (unreachable_.contains(table)) return fail(ErrorKind::unavailable, "no way to " + table);
    }
    return place(table).provider(target.name, std::move(moved));
  };
}

void World::start() {
  stop();
  loop_ = std::make_unique<Reconciler>(*store_, clock_, random_, factory(), settings_);
  ASSERT_TRUE(loop_->start());
}

void World::restart() {
  stop();
  open_store();
  start();
}

Status World::adopt_only(const std::string& text, const std::string& revision) {
  return loop_->adopt("test",
                      {PolicyRevision(revision), clock_.now(), "", "", {{"main.yaml", text, ""}}},
                      load(text, revision));
}

void World::adopt(const std::string& text, const std::string& revision) {
  auto done = adopt_only(text, revision);
  ASSERT_TRUE(done) << done.error().text();
  ASSERT_TRUE(settled());
}

void World::begin() {
  start();
  adopt(policy_text(one_target("edge")), "r1");
}

Result<Session> World::sign_in_result(const std::string& address, Duration length,
                                      const std::string& user) {
  Session session;
  session.principal = {"local", user, user};
  session.source = SignInName("local");
  session.groups = {"admins"};
  session.address = *IpAddress::parse(address);
  session.authenticated = clock_.now();
  session.expires = clock_.now() + length;
  return loop_->open_session("test", session);
}

Session World::sign_in(const std::string& address, Duration length, const std::string& user) {
  auto session = sign_in_result(address, length, user);
  EXPECT_TRUE(session) << session.error().text();
  if (!session) return {};
  for (const auto& row : loop_->wait_open(*session, Deadline::in(kPatience)))
    EXPECT_TRUE(row.open) << row.target.value << ": " << row.problem;
  return *session;
}

void World::end(const Session& session, EndCause cause) {
  auto done = loop_->end_session("test", session.id, cause, "");
  EXPECT_TRUE(done) << done.error().text();
}

TargetStatus World::status(const std::string& name) {
  for (TargetStatus& status : loop_->targets())
    if (status.name.value == name) return status;
  return {};
}

std::vector<Fact> World::facts() const {
  std::vector<Fact> out;
  auto records = store_->records(0, 1'000'000);
  EXPECT_TRUE(records);
  for (const Record& record : *records) {
    auto fact = decode(record.fact);
    EXPECT_TRUE(fact);
    if (fact) out.push_back(std::move(*fact));
  }
  return out;
}

}  // namespace knock::test
