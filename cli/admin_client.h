// SPDX-License-Identifier: Apache-2.0
// Asks a controller on this machine, over its admin socket.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "cli/command.h"

namespace knock::cli {

/// The exit code of what a controller refused with this `code`.
int code_for(const Error& error, std::string_view code);

class AdminClient {
 public:
  explicit AdminClient(std::string socket) : socket_(std::move(socket)) {}

  /// The one that the flags and the configuration name: with --server one elsewhere, which is asked
  /// with a token. Does not connect; what is wrong with the flags every call answers.
  static AdminClient of(const Global& global);
  /// Something listens there.
  bool reachable() const;
  const std::string& socket() const { return socket_; }

  /// Errors are the controller's own (its problem document), or `unavailable` when nobody answers.
  Result<boost::json::value> get(const std::string& path) const;
  /// `code`: the refusal's stable id, by which exit codes are chosen; "" when it has none.
  Result<boost::json::value> post(const std::string& path, const boost::json::object& body,
                                  std::string* code = nullptr) const;
  /// The body as it came.
  Result<std::string> get_text(const std::string& path) const;
  Result<std::string> post_text(const std::string& path, const boost::json::object& body,
                                std::string* code = nullptr) const;

 private:
  Result<std::string> send(const std::string& method, const std::string& path,
                           const std::string& body, std::string* code = nullptr) const;
  std::string socket_;
  std::string server_;  // "" = by the socket
  Secret token_;
  std::optional<Error> problem_;
};

}  // namespace knock::cli
