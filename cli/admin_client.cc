// SPDX-License-Identifier: Apache-2.0
#include "cli/admin_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/text.h"
#include "cli/server.h"
#include "schemas/role/front.h"
#include "server/admin/json.h"

namespace knock::cli {
namespace {

namespace json = boost::json;
constexpr const char* kDefaultSocket = "/run/knock/admin.sock";

std::size_t collect(char* data, std::size_t size, std::size_t count, void* to) {
  static_cast<std::string*>(to)->append(data, size * count);
  return size * count;
}

/// `code` gets the member of that name, when somebody asks for it.
Error error_of(long status, const std::string& body, std::string* code) {
  boost::system::error_code bad;
  auto value = json::parse(body, bad);
  Error out{ErrorKind::internal,
            "the controller answered HTTP " + std::to_string(status),
            {},
            std::nullopt};
  auto* object = bad ? nullptr : value.if_object();
  if (object == nullptr) return out;
  if (auto* kind = object->if_contains("kind"); kind != nullptr && kind->is_string())
    out.kind = error_kind_from(std::string_view(kind->as_string())).value_or(ErrorKind::internal);
  if (auto* id = object->if_contains("code"); code != nullptr && id != nullptr && id->is_string())
    *code = std::string(id->as_string());
  if (auto* detail = object->if_contains("detail"); detail != nullptr && detail->is_string())
    out.message = std::string(detail->as_string());
  if (auto* problems = object->if_contains("problems"); problems != nullptr && problems->is_array())
    for (const auto& problem : problems->as_array()) {
      const auto& p = problem.as_object();
      out.message += "\n  " + std::string(p.at("file").as_string()) + ":" +
                     std::to_string(p.at("line").to_number<std::int64_t>()) + ":" +
                     std::to_string(p.at("column").to_number<std::int64_t>()) + ": " +
                     std::string(p.at("summary").as_string());
    }
  return out;
}

}  // namespace

int code_for(const Error& error, std::string_view code) {
  return code == kUnsoundCode ? int(kPolicyInvalid) : code_for(error);
}

AdminClient AdminClient::of(const Global& global) {
  if (!global.server.empty()) {
    AdminClient out{std::string()};
    auto server = server_address(global.server);
    auto token = token_from_environment();
    if (!server) out.problem_ = server.error();
    if (server && !token) out.problem_ = token.error();
    if (server) out.server_ = *server;
    if (token) out.token_ = std::move(*token);
    return out;
  }
  if (!global.socket.empty()) return AdminClient(global.socket);
  std::error_code ignored;
  if (std::filesystem::exists(global.config_file, ignored))
    if (auto content = read_text_file(global.config_file)) {
      auto base = std::filesystem::absolute(global.config_file).parent_path().string();
      auto load = load_config(global.config_file, *content, base);
      if (load.config) return AdminClient(load.config->socket);
    }
  return AdminClient(kDefaultSocket);
}

bool AdminClient::reachable() const {
  if (!server_.empty() || problem_) return true;  // nobody else is meant
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, socket_.c_str(), socket_.size() + 1);
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool answered = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return answered;
}

Result<std::string> AdminClient::send(const std::string& method, const std::string& path,
                                      const std::string& body, std::string* code) const {
  if (problem_) return fail(*problem_);
  if (!server_.empty() && body.size() > role::kLongestApiBody)
    return fail(ErrorKind::invalid,
                fmt::format("what is to be sent (policy files, sessions or a plan file) is {} "
                            "bytes, and a controller takes at most {} over the network; do this on "
                            "the controller's own machine",
                            body.size(), role::kLongestApiBody));
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(
      curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all);
  std::string answer, url = (server_.empty() ? "http://knock" : server_) + path;
  if (server_.empty()) {
    curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket_.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
  } else {
    auto bearer = "Authorization: Bearer " + std::string(token_.reveal());
    headers.reset(curl_slist_append(headers.release(), bearer.c_str()));
    if (server_.starts_with("http:")) curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
    if (const char* authorities = std::getenv("KNOCK_CA"); authorities != nullptr)
      curl_easy_setopt(curl.get(), CURLOPT_CAINFO, authorities);
  }
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, method.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 60L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, collect);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer);
  if (method == "POST") {
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, long(body.size()));
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.c_str());
  }
  auto done = curl_easy_perform(curl.get());
  if (done != CURLE_OK && !server_.empty())
    return fail(ErrorKind::unavailable, "no controller answers at " + server_ + " (" +
                                            curl_easy_strerror(done) +
                                            "); a private authority is named by KNOCK_CA=FILE");
  if (done != CURLE_OK)
    return fail(ErrorKind::unavailable,
                "no controller answers at " + socket_ + " (" + curl_easy_strerror(done) +
                    "); is `knock serve` running, and may you use its socket?");
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status >= 300) return fail(error_of(status, answer, code));
  return answer;
}

Result<std::string> AdminClient::get_text(const std::string& path) const {
  return send("GET", path, "");
}

Result<std::string> AdminClient::post_text(const std::string& path, const json::object& body,
                                           std::string* code) const {
  return send("POST", path, json::serialize(body), code);
}

namespace {
Result<json::value> parsed(Result<std::string> text) {
  if (!text) return fail(std::move(text.error()));
  boost::system::error_code bad;
  auto value = json::parse(*text, bad);
  if (bad)
    return fail(ErrorKind::internal, "the controller's answer is not JSON: " + bad.message());
  return value;
}
}  // namespace

Result<json::value> AdminClient::get(const std::string& path) const {
  return parsed(get_text(path));
}
Result<json::value> AdminClient::post(const std::string& path, const json::object& body,
                                      std::string* code) const {
  return parsed(post_text(path, body, code));
}

}  // namespace knock::cli
