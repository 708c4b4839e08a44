// SPDX-License-Identifier: Apache-2.0
#include "net/http_server_socket.h"

#include <fmt/format.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/text.h"

namespace knock::net {
namespace {

constexpr int kBacklog = 4096;

tl::unexpected<Error> system_failure(std::string_view doing, int code) {
  auto kind = code == EADDRINUSE                        ? ErrorKind::conflict
              : code == EACCES || code == EPERM         ? ErrorKind::unauthorized
              : code == ENOENT || code == EADDRNOTAVAIL ? ErrorKind::not_found
                                                        : ErrorKind::internal;
  return fail(kind, fmt::format("{}: {}", doing, std::system_category().message(code)));
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress to_socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress out;
  auto bytes = address.bytes();
  if (address.family() == Family::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&out.storage, &v4, out.size = sizeof v4);
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&out.storage, &v6, out.size = sizeof v6);
  }
  return out;
}

std::uint16_t port_of(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &storage, sizeof v4);
    return ntohs(v4.sin_port);
  }
  sockaddr_in6 v6;
  std::memcpy(&v6, &storage, sizeof v6);
  return ntohs(v6.sin6_port);
}

Result<ListeningSocket> listen_tcp(const IpAddress& address, std::uint16_t port) {
  auto where = fmt::format("listen on {} port {}", address.to_string(), port);
  auto to = to_socket_address(address, port);
  ListeningSocket out;
  out.fd = OwnedFd(::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (out.fd.get() < 0) return system_failure(where, errno);
  int on = 1, off = 0;
  ::setsockopt(out.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Accepted sockets inherit it: answers leave at once instead of waiting for an acknowledgement.
  ::setsockopt(out.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (address.family() == Family::v6)  // "::" serves IPv4 too; peers fold back to IPv4
    ::setsockopt(out.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(out.fd.get(), to.get(), to.size) != 0) return system_failure(where, errno);
  if (::listen(out.fd.get(), kBacklog) != 0) return system_failure(where, errno);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(out.fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0)
    return system_failure(where, errno);
  out.port = port_of(bound);
  return out;
}

Result<gid_t> group_id(const std::string& name) {
  std::string buffer(16 << 10, '\0');
  group entry{};
  group* found = nullptr;
  int problem = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return entry.gr_gid;
  if (problem != 0) return system_failure("look up group " + printable(name), problem);
  return fail(ErrorKind::not_found,
              fmt::format("there is no group {}; create it or name another", printable(name)));
}

Status remove_old_socket(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return system_failure("look at " + printable(path), errno);
  }
  if (!S_ISSOCK(status.st_mode))
    return fail(ErrorKind::conflict,
                fmt::format("{} exists and is not a socket; move it away or choose another path",
                            printable(path)));
  if (::unlink(path.c_str()) != 0) return system_failure("replace " + printable(path), errno);
  return {};
}

/// listen() comes last: until then nobody can connect, so owner and mode are set before anybody
/// could profit.
Result<ListeningSocket> listen_unix(const HttpListen& listen) {
  const auto& path = listen.unix_path;
  auto where = "listen on " + printable(path);
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.size() >= sizeof to.sun_path || path.find('\0') != std::string::npos)
    return fail(ErrorKind::invalid, fmt::format("{}: a socket's path has at most {} bytes", where,
                                                sizeof to.sun_path - 1));
  std::memcpy(to.sun_path, path.data(), path.size());
  std::optional<gid_t> group;
  if (!listen.unix_group.empty()) {
    KNOCK_ASSIGN(group, group_id(listen.unix_group));
  }
  ListeningSocket out;
  out.fd = OwnedFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (out.fd.get() < 0) return system_failure(where, errno);
  KNOCK_CHECK(remove_old_socket(path));
  if (::bind(out.fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    return system_failure(where, errno);
  out.unix_path = path;
  struct stat status{};
  if ((group && ::chown(path.c_str(), uid_t(-1), *group) != 0) ||
      ::chmod(path.c_str(), mode_t(listen.unix_mode)) != 0 || ::lstat(path.c_str(), &status) != 0 ||
      ::listen(out.fd.get(), kBacklog) != 0) {
    int problem = errno;
    ::unlink(path.c_str());
    return system_failure(where, problem);
  }
  out.device = status.st_dev;
  out.inode = status.st_ino;
  return out;
}

}  // namespace

Result<ListeningSocket> listen_on(const HttpListen& listen) {
  if (listen.address.has_value() != listen.unix_path.empty())
    return fail(ErrorKind::invalid, "listen: give either an address or a Unix socket's path");
  if (listen.address && listen.listening >= 0) {
    ListeningSocket given;
    given.fd = OwnedFd(listen.listening);
    given.port = listen.port;
    return given;
  }
  if (listen.address) return listen_tcp(*listen.address, listen.port);
  return listen_unix(listen);
}

void forget(const ListeningSocket& socket) {
  struct stat status{};
  if (socket.unix_path.empty() || ::lstat(socket.unix_path.c_str(), &status) != 0) return;
  if (status.st_dev == socket.device && status.st_ino == socket.inode)
    ::unlink(socket.unix_path.c_str());
}

std::optional<IpAddress> peer_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return std::nullopt;
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &storage, sizeof v4);
    return IpAddress::v4(ntohl(v4.sin_addr.s_addr));
  }
  if (storage.ss_family != AF_INET6) return std::nullopt;
  sockaddr_in6 v6;
  std::memcpy(&v6, &storage, sizeof v6);
  return IpAddress::v6(std::span<const std::uint8_t, 16>(v6.sin6_addr.s6_addr));
}

std::optional<std::uint32_t> peer_user(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return credentials.uid;
}

}  // namespace knock::net
