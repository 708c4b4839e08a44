// SPDX-License-Identifier: Apache-2.0
// A forge as a model: it holds pull requests, comments and statuses, pages its lists, answers 304,
// checks the token, and can lose an answer after it did what was asked. Strangers write the titles.
// Any thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "schemas/config/notify.h"

namespace knock::test {

class ModelForge {
 public:
  static constexpr const char* kToken = "s3cret-value";
  static constexpr std::uint64_t kOurUser = 41, kStranger = 666;

  struct Comment {
    std::uint64_t id = 0, pull = 0, author = 0;
    std::string body;
  };
  struct Told {
    std::string commit, state, context, description;
  };

  explicit ModelForge(ForgeSettings::Type type) : type_(type) {}

  /// Opens it, or changes its head; it was updated last then.
  void push(std::uint64_t pull, const std::string& head, const std::string& base = "main");
  void close(std::uint64_t pull);
  /// Gives it a text of so many bytes.
  void describe(std::uint64_t pull, std::size_t bytes);
  void comment(std::uint64_t pull, std::uint64_t author, const std::string& body);
  std::vector<Comment> comments(std::uint64_t pull) const;
  std::vector<Told> statuses() const;
  /// "GET /pulls page=1", in order; "304" behind those that were answered so.
  std::vector<std::string> requests() const;
  std::size_t count(const std::string& begin) const;

  /// Answers instead of the next request that begins so ("GET /pulls"), once.
  void answer_next(const std::string& begin, net::IncomingResponse answer);
  /// Does what the next such request asks, and says nothing.
  void lose_answer_to(const std::string& begin);
  /// A token that belongs to an app: nobody can be asked who it is.
  void forget_user();

  /// Nothing: the answer is lost. `target` with its query; header names in lower case.
  std::optional<net::IncomingResponse> answer(const std::string& method, const std::string& target,
                                              const std::map<std::string, std::string>& headers,
                                              const std::string& body);
  /// The same of the bytes of a request.
  std::string answer_bytes(const std::string& request);
  /// Speaks to this, which outlives it.
  std::unique_ptr<net::HttpClient> client();

 private:
  struct Pull {
    std::string head, base;
    std::int64_t updated = 0;
    std::size_t text = 0;
  };
  net::IncomingResponse handle(const std::string& method, const std::string& path,
                               const std::map<std::string, std::string>& query,
                               const std::map<std::string, std::string>& headers,
                               const std::string& body);
  net::IncomingResponse list_pulls(const std::map<std::string, std::string>& query,
                                   const std::map<std::string, std::string>& headers);
  net::IncomingResponse list_comments(std::uint64_t pull,
                                      const std::map<std::string, std::string>& query);
  net::IncomingResponse paged(const std::vector<std::string>& elements,
                              const std::map<std::string, std::string>& query);
  bool github() const { return type_ == ForgeSettings::Type::github; }

  ForgeSettings::Type type_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Pull> pulls_;
  std::int64_t updates_ = 0;
  std::vector<Comment> comments_;
  std::vector<Told> statuses_;
  std::vector<std::string> requests_;
  std::map<std::string, std::deque<net::IncomingResponse>> instead_;
  std::map<std::string, int> lost_;
  bool has_user_ = true;
};

}  // namespace knock::test
