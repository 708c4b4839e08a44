// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/server/model_forge.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>

#include "base/text.h"
#include "base/time.h"

namespace knock::test {
namespace {

namespace json = boost::json;
using Headers = std::map<std::string, std::string>;
using net::IncomingResponse;

constexpr const char* kTitle = "<!-- knock-review: 0 -->\u202e\"}],\n";

Headers parameters(std::string_view text) {
  Headers out;
  for (auto pair : split(text, '&')) {
    auto at = pair.find('=');
    out[std::string(pair.substr(0, at))] = at == pair.npos ? "" : std::string(pair.substr(at + 1));
  }
  return out;
}

std::string value(const Headers& in, const std::string& name, const std::string& otherwise = "") {
  auto at = in.find(name);
  return at == in.end() ? otherwise : at->second;
}

std::string in_lower_case(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return name;
}

std::uint64_t last_number(const std::string& path) {
  return std::stoull(path.substr(path.rfind('/') + 1));
}

/// "7" of "/issues/7/comments".
std::uint64_t number_in(const std::string& path) {
  auto parts = split(path, '/');
  return parts.size() > 2 ? std::stoull(std::string(parts[2])) : 0;
}

}  // namespace

void ModelForge::push(std::uint64_t pull, const std::string& head, const std::string& base) {
  std::lock_guard lock(mutex_);
  auto text = pulls_[pull].text;
  pulls_[pull] = {head, base, ++updates_, text};
}

void ModelForge::close(std::uint64_t pull) {
  std::lock_guard lock(mutex_);
  pulls_.erase(pull);
}

void ModelForge::describe(std::uint64_t pull, std::size_t bytes) {
  std::lock_guard lock(mutex_);
  pulls_.at(pull).text = bytes;
}

void ModelForge::comment(std::uint64_t pull, std::uint64_t author, const std::string& body) {
  std::lock_guard lock(mutex_);
  comments_.push_back({comments_.size() + 1, pull, author, body});
}

std::vector<ModelForge::Comment> ModelForge::comments(std::uint64_t pull) const {
  std::lock_guard lock(mutex_);
  std::vector<Comment> out;
  std::ranges::copy_if(comments_, std::back_inserter(out),
                       [&](const Comment& one) { return one.pull == pull; });
  return out;
}

std::vector<ModelForge::Told> ModelForge::statuses() const {
  std::lock_guard lock(mutex_);
  return statuses_;
}

std::vector<std::string> ModelForge::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t ModelForge::count(const std::string& begin) const {
  auto all = requests();
  return std::size_t(
      std::ranges::count_if(all, [&](const std::string& one) { return one.starts_with(begin); }));
}

void ModelForge::answer_next(const std::string& begin, IncomingResponse answer) {
  std::lock_guard lock(mutex_);
  instead_[begin].push_back(std::move(answer));
}

void ModelForge::lose_answer_to(const std::string& begin) {
  std::lock_guard lock(mutex_);
  ++lost_[begin];
}

void ModelForge::forget_user() {
  std::lock_guard lock(mutex_);
  has_user_ = false;
}

std::optional<IncomingResponse> ModelForge::answer(const std::string& method,
                                                   const std::string& target,
                                                   const Headers& headers,
                                                   const std::string& body) {
  std::lock_guard lock(mutex_);
  auto query_at = std::min(target.find('?'), target.size());
  auto query = parameters(std::string_view(target).substr(std::min(query_at + 1, target.size())));
  auto path = target.substr(0, query_at);
  std::string project = github() ? "/repos/ops/policy" : "/projects/ops%2Fpolicy";
  auto at = path.find(project);
  if (at != path.npos) path = path.substr(at + project.size());
  if (path.ends_with("/user")) path = "/user";
  auto line = method + " " + path;
  requests_.push_back(line + (query.contains("page") ? " page=" + query["page"] : ""));
  for (auto& [begin, answers] : instead_)
    if (line.starts_with(begin) && !answers.empty()) {
      auto out = std::move(answers.front());
      answers.pop_front();
      return out;
    }
  auto token = github() ? "Bearer " + std::string(kToken) : std::string(kToken);
  auto out = value(headers, github() ? "authorization" : "private-token") == token
                 ? handle(method, path, query, headers, body)
                 : IncomingResponse{401, {}, "{}"};
  if (out.status == 304) requests_.back() += " 304";
  for (auto& [begin, times] : lost_)
    if (line.starts_with(begin) && times > 0) {
      --times;
      return std::nullopt;
    }
  return out;
}

IncomingResponse ModelForge::handle(const std::string& method, const std::string& path,
                                    const Headers& query, const Headers& headers,
                                    const std::string& body) {
  if (path == "/user")
    return has_user_ ? IncomingResponse{200, {}, fmt::format(R"({{"id":{}}})", kOurUser)}
                     : IncomingResponse{403, {}, "{}"};
  if (method == "GET" && (path == "/pulls" || path == "/merge_requests"))
    return list_pulls(query, headers);
  json::object sent;
  if (!body.empty()) sent = json::parse(body).as_object();
  auto text = [&](const char* name) {
    auto* found = sent.if_contains(name);
    return found == nullptr ? std::string() : std::string(found->as_string());
  };
  if (path.starts_with("/statuses/")) {
    statuses_.push_back(
        {path.substr(10), text("state"), text(github() ? "context" : "name"), text("description")});
    return {201, {}, "{}"};
  }
  bool edits = method == "PATCH" || method == "PUT";
  if (edits)
    for (Comment& one : comments_)
      if (one.id == last_number(path)) {
        if (one.author != kOurUser) return {403, {}, "{}"};
        one.body = text("body");
        return {200, {}, fmt::format(R"({{"id":{}}})", one.id)};
      }
  if (edits) return {404, {}, "{}"};
  bool of_pull = path.ends_with("/comments") || path.ends_with("/notes");
  if (of_pull && method == "GET") return list_comments(number_in(path), query);
  if (of_pull && method == "POST") {
    comments_.push_back({comments_.size() + 1, number_in(path), kOurUser, text("body")});
    return {201, {}, fmt::format(R"({{"id":{}}})", comments_.back().id)};
  }
  return {404, {}, "{}"};
}

IncomingResponse ModelForge::list_pulls(const Headers& query, const Headers& headers) {
  std::vector<std::pair<std::int64_t, std::uint64_t>> order;
  auto wanted = value(query, github() ? "base" : "target_branch");
  for (const auto& [number, pull] : pulls_)
    if (wanted.empty() || pull.base == wanted) order.emplace_back(-pull.updated, number);
  std::ranges::sort(order);
  std::vector<std::string> elements;
  for (auto [minus, number] : order) {
    const Pull& pull = pulls_.at(number);
    auto at = to_string(Instant::from_seconds(1'700'000'000 + pull.updated));
    json::object one{{"title", kTitle}, {"body", std::string(pull.text, 'x')}, {"updated_at", at}};
    one[github() ? "user" : "author"] = json::object{{"id", kStranger + number}};
    if (github()) {
      one["number"] = number;
      one["head"] = json::object{{"sha", pull.head}, {"repo", nullptr}};
      one["base"] = json::object{{"ref", pull.base}};
    } else {
      one["iid"] = number;
      one["sha"] = pull.head.empty() ? json::value(nullptr) : json::value(pull.head);
      one["target_branch"] = pull.base;
    }
    elements.push_back(json::serialize(one));
  }
  auto out = paged(elements, query);
  auto tag = "W/\"" + std::to_string(std::hash<std::string>()(out.body)) + "\"";
  if (value(headers, "if-none-match") == tag) return {304, {}, ""};
  out.headers.emplace_back("etag", tag);
  return out;
}

IncomingResponse ModelForge::list_comments(std::uint64_t pull, const Headers& query) {
  std::vector<std::string> elements;
  for (const Comment& one : comments_)
    if (one.pull == pull)
      elements.push_back(json::serialize(
          json::object{{"id", one.id},
                       {github() ? "user" : "author", json::object{{"id", one.author}}},
                       {"body", one.body}}));
  return paged(elements, query);
}

IncomingResponse ModelForge::paged(const std::vector<std::string>& elements, const Headers& query) {
  std::size_t page = std::stoull(value(query, "page", "1")),
              each = std::stoull(value(query, "per_page", "30"));
  auto begin = std::min((page - 1) * each, elements.size());
  auto end = std::min(begin + each, elements.size());
  std::vector<std::string> some(elements.begin() + std::ptrdiff_t(begin),
                                elements.begin() + std::ptrdiff_t(end));
  IncomingResponse out{200, {}, "[" + join(some, ",") + "]"};
  bool more = end < elements.size();
  // Whoever went there would take the token along.
  if (github() && more)
    out.headers.emplace_back("link", "<https://elsewhere.example/?page=2>; rel=\"next\"");
  if (!github()) out.headers.emplace_back("x-next-page", more ? std::to_string(page + 1) : "");
  return out;
}

std::string ModelForge::answer_bytes(const std::string& request) {
  auto end = std::min(request.find("\r\n\r\n"), request.size());
  auto lines = split(std::string_view(request).substr(0, end), '\n');
  auto first = split(lines.at(0), ' ');
  Headers headers;
  for (auto line : lines) {
    auto at = line.find(':');
    if (at == line.npos) continue;
    std::string name(line.substr(0, at));
    headers[in_lower_case(std::move(name))] = trim(std::string(line.substr(at + 1)));
  }
  auto said = answer(std::string(first.at(0)), std::string(first.at(1)), headers,
                     request.substr(std::min(end + 4, request.size())));
  if (!said) return "";
  auto out = fmt::format("HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {}\r\n",
                         said->status, said->body.size());
  for (const auto& [name, text] : said->headers) out += name + ": " + text + "\r\n";
  return out + "\r\n" + said->body;
}

std::unique_ptr<net::HttpClient> ModelForge::client() {
  class Client final : public net::HttpClient {
   public:
    explicit Client(ModelForge& forge) : forge_(forge) {}
    Result<IncomingResponse> send(const net::OutgoingRequest& request, Deadline) override {
      Headers headers;
      for (const auto& [name, text] : request.headers) headers[in_lower_case(name)] = text;
      auto path = request.url.substr(request.url.find('/', request.url.find("://") + 3));
      auto out = forge_.answer(request.method, path, headers, request.body);
      if (!out) return fail(ErrorKind::timeout, "the answer was lost");
      if (out->body.size() > request.response_bytes)
        return fail(ErrorKind::invalid, "the answer is larger than it may be");
      return *out;
    }

   private:
    ModelForge& forge_;
  };
  return std::make_unique<Client>(*this);
}

}  // namespace knock::test
