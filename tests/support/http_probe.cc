// SPDX-License-Identifier: Apache-2.0
#include "tests/support/http_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace knock::test {
namespace {

constexpr int kPatienceMs = 10'000;

int connected(int family, const sockaddr* to, socklen_t size, const std::string& from = "") {
  int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in source{};
  source.sin_family = AF_INET;
  if (!from.empty() && (::inet_pton(AF_INET, from.c_str(), &source.sin_addr) != 1 ||
                        ::bind(fd, reinterpret_cast<sockaddr*>(&source), sizeof source) != 0)) {
    std::perror("HttpProbe: bind");
    std::abort();
  }
  if (fd < 0 || ::connect(fd, to, size) != 0) {
    std::perror("HttpProbe: connect");
    std::abort();
  }
  int on = 1;  // refused for Unix sockets, which do not need it
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

HttpProbe HttpProbe::tcp(std::uint16_t port, const std::string& address, const std::string& from) {
  if (address.find(':') != std::string::npos) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    ::inet_pton(AF_INET6, address.c_str(), &to.sin6_addr);
    return HttpProbe(connected(AF_INET6, reinterpret_cast<sockaddr*>(&to), sizeof to));
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  return HttpProbe(connected(AF_INET, reinterpret_cast<sockaddr*>(&to), sizeof to, from));
}

HttpProbe HttpProbe::unix_socket(const std::string& path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::strncpy(to.sun_path, path.c_str(), sizeof to.sun_path - 1);
  return HttpProbe(connected(AF_UNIX, reinterpret_cast<sockaddr*>(&to), sizeof to));
}

HttpProbe HttpProbe::tls(std::uint16_t port, const std::function<void(SSL_CTX*)>& settings) {
  auto probe = tcp(port);
  timeval patience{kPatienceMs / 1000, 0};
  ::setsockopt(probe.fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                            SSL_CTX_free);
  if (settings) settings(context.get());
  std::shared_ptr<SSL> ssl(SSL_new(context.get()), SSL_free);
  SSL_set_fd(ssl.get(), probe.fd_);
  if (SSL_connect(ssl.get()) == 1) probe.ssl_ = std::move(ssl);
  ERR_clear_error();
  return probe;
}

std::string HttpProbe::tls_version() const { return ssl_ ? SSL_get_version(ssl_.get()) : ""; }
std::string HttpProbe::tls_cipher() const { return ssl_ ? SSL_get_cipher_name(ssl_.get()) : ""; }
std::string HttpProbe::tls_protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  if (ssl_) SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

TlsIdentity make_tls_identity() {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  X509* x509 = certificate.get();
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x509), 86'400);
  X509_set_pubkey(x509, key.get());
  X509_NAME* name = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(x509, name);
  X509_sign(x509, key.get(), EVP_sha256());
  auto text = [](auto write) {
    std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    write(bio.get());
    char* data = nullptr;
    long size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, std::size_t(size));
  };
  return {text([&](BIO* bio) { PEM_write_bio_X509(bio, x509); }), text([&](BIO* bio) {
            PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

HttpProbe::HttpProbe(HttpProbe&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      ssl_(std::move(other.ssl_)),
      input_(std::move(other.input_)) {}

HttpProbe::~HttpProbe() {
  if (fd_ >= 0) ::close(fd_);
}

void HttpProbe::send(std::string_view bytes) {
  while (!bytes.empty()) {
    long n = ssl_ ? SSL_write(ssl_.get(), bytes.data(), int(bytes.size()))
                  : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;  // the server has closed; what it said is still to be read
    bytes.remove_prefix(std::size_t(n));
  }
}

long HttpProbe::take(char* into, std::size_t size) {
  return ssl_ ? SSL_read(ssl_.get(), into, int(size)) : ::recv(fd_, into, size, 0);
}

bool HttpProbe::more() {
  pollfd ready{fd_, POLLIN, 0};
  bool pending = ssl_ && SSL_pending(ssl_.get()) > 0;
  if (!pending && ::poll(&ready, 1, kPatienceMs) != 1) return false;
  char buffer[16384];
  auto n = take(buffer, sizeof buffer);
  if (n <= 0) return false;
  input_.append(buffer, std::size_t(n));
  return true;
}

ProbeResponse HttpProbe::read(bool to_head) {
  std::size_t end;
  while ((end = input_.find("\r\n\r\n")) == std::string::npos)
    if (!more()) return {};
  ProbeResponse out;
  std::string_view head = std::string_view(input_).substr(0, end + 2);
  out.status = std::atoi(std::string(head.substr(9, 3)).c_str());
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.empty()) {
    auto line = head.substr(0, head.find("\r\n"));
    auto colon = line.find(": ");
    out.headers.fields.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    head.remove_prefix(line.size() + 2);
  }
  std::size_t length = 0;
  if (auto value = out.headers.one("content-length"); value && !to_head)
    length = std::size_t(std::atoll(std::string(*value).c_str()));
  while (input_.size() < end + 4 + length)
    if (!more()) return {};
  out.body = input_.substr(end + 4, length);
  input_.erase(0, end + 4 + length);
  return out;
}

ProbeResponse HttpProbe::ask(std::string_view bytes) {
  send(bytes);
  return read(bytes.starts_with("HEAD "));
}

bool HttpProbe::readable(Duration patience) {
  pollfd ready{fd_, POLLIN, 0};
  return ::poll(&ready, 1, int(patience.ms)) == 1;
}

std::string HttpProbe::rest() {
  while (more()) {
  }
  return std::exchange(input_, {});
}

bool HttpProbe::closed() {
  if (!input_.empty()) return false;
  if (ssl_) return !more();
  pollfd ready{fd_, POLLIN, 0};
  if (::poll(&ready, 1, kPatienceMs) != 1) return false;
  char byte;
  return ::recv(fd_, &byte, 1, MSG_PEEK) <= 0;
}

RunningServer::RunningServer(net::HttpListen listen, net::HttpHandler handler) {
  auto bound = net::HttpServer::bind(listen, std::move(handler));
  if (!bound) {
    std::fprintf(stderr, "RunningServer: %s\n", bound.error().text().c_str());
    std::abort();
  }
  server_ = std::move(*bound);
  thread_ = std::thread([this] { server_->run(); });
}

RunningServer::~RunningServer() {
  server_->stop();
  thread_.join();
}

net::HttpListen loopback() {
  net::HttpListen listen;
  listen.address = IpAddress::parse("127.0.0.1");
  return listen;
}

}  // namespace knock::test
