// SPDX-License-Identifier: Apache-2.0
#include "net/fd_passing.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace knock::net {
namespace {

constexpr std::size_t kLongest = 4096;

tl::unexpected<Error> system_error(const char* what) {
  return fail(ErrorKind::unavailable, std::string(what) + ": " + std::strerror(errno));
}

}  // namespace

Status send_with_descriptor(int socket, std::string_view body, int descriptor) {
  iovec part{const_cast<char*>(body.data()), body.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  while (sendmsg(socket, &message, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return system_error("sending to another role");
  return {};
}

Result<Received> receive_with_descriptor(int socket) {
  Received out;
  std::array<char, kLongest> body;
  iovec part{body.data(), body.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got;
  while ((got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0)
    if (errno != EINTR) return system_error("reading from another role");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header))
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
      std::memcpy(&out.descriptor, CMSG_DATA(header), sizeof out.descriptor);
  if ((message.msg_flags & MSG_TRUNC) != 0) {
    if (out.descriptor >= 0) close(out.descriptor);
    return fail(ErrorKind::invalid, "a message between roles is too long");
  }
  out.body.assign(body.data(), std::size_t(got));
  return out;
}

Result<int> sealed_memory(const char* name, std::string_view content) {
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return system_error("making a memory file");
  while (!content.empty()) {
    ssize_t written = write(fd, content.data(), content.size());
    if (written < 0) {
      close(fd);
      return system_error("writing a memory file");
    }
    content.remove_prefix(std::size_t(written));
  }
  fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  lseek(fd, 0, SEEK_SET);
  return fd;
}

Result<std::string> read_descriptor(int descriptor) {
  std::string out;
  std::array<char, 16384> part;
  for (off_t at = 0;;) {
    ssize_t got = pread(descriptor, part.data(), part.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("reading a memory file");
    if (got == 0) return out;
    out.append(part.data(), std::size_t(got));
    at += got;
  }
}

}  // namespace knock::net
