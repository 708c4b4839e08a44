// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/net/http_client_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace knock::net::test {
namespace {

void must(bool good) {
  if (!good) std::abort();
}

std::string drain(BIO* bio) {
  char* bytes = nullptr;
  auto length = BIO_get_mem_data(bio, &bytes);
  std::string out(bytes, std::size_t(length));
  BIO_free(bio);
  return out;
}

bool whole(const std::string& request) {
  auto end = request.find("\r\n\r\n");
  if (end == request.npos) return false;
  auto at = request.find("Content-Length: ");
  std::size_t body = at < end ? std::strtoul(request.c_str() + at + 16, nullptr, 10) : 0;
  return request.size() >= end + 4 + body;
}

}  // namespace

TestCertificate TestCertificate::make(const std::string& ip) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  must(key != nullptr && certificate != nullptr);
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  X509_set_pubkey(certificate, key);
  auto* name = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("IP:" + ip).c_str());
  must(name != nullptr && X509_add_ext(certificate, name, -1) == 1);
  X509_EXTENSION_free(name);
  must(X509_sign(certificate, key, EVP_sha256()) > 0);
  auto *certificate_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
  must(PEM_write_bio_X509(certificate_bio, certificate) == 1);
  must(PEM_write_bio_PrivateKey(key_bio, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return {drain(certificate_bio), drain(key_bio)};
}

struct TinyServer::Tls {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  explicit Tls(const TestCertificate& from) {
    auto* bio = BIO_new_mem_buf(from.certificate_pem.data(), int(from.certificate_pem.size()));
    auto* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    bio = BIO_new_mem_buf(from.key_pem.data(), int(from.key_pem.size()));
    auto* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    must(SSL_CTX_use_certificate(context, certificate) == 1 &&
         SSL_CTX_use_PrivateKey(context, key) == 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  ~Tls() { SSL_CTX_free(context); }
};

TinyServer::TinyServer(Answer answer, const TestCertificate* tls) : answer_(std::move(answer)) {
  if (tls != nullptr) tls_ = std::make_unique<Tls>(*tls);
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  must(bind(listener_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 &&
       listen(listener_, 16) == 0);
  socklen_t length = sizeof to;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&to), &length);
  port_ = ntohs(to.sin_port);
  int ends[2];
  must(pipe2(ends, O_CLOEXEC) == 0);
  stop_read_ = ends[0];
  stop_write_ = ends[1];
  thread_ = std::thread([this] { run(); });
}

TinyServer::~TinyServer() {
  must(write(stop_write_, "x", 1) == 1);
  thread_.join();
  for (int fd : {listener_, stop_read_, stop_write_}) close(fd);
}

std::string TinyServer::url(const std::string& path) const {
  return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_) + path;
}

std::vector<std::string> TinyServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

void TinyServer::run() {
  sigset_t pipe;  // TLS to a client that has left
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  for (;;) {
    pollfd fds[] = {{listener_, POLLIN, 0}, {stop_read_, POLLIN, 0}};
    poll(fds, 2, -1);
    if (fds[1].revents != 0) return;
    int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    ++connections_;
    serve(client);
    close(client);
  }
}

/// One request per connection: every answer of these tests closes.
void TinyServer::serve(int client) {
  SSL* ssl = nullptr;
  if (tls_) {
    ssl = SSL_new(tls_->context);
    SSL_set_fd(ssl, client);
    if (SSL_accept(ssl) != 1) return SSL_free(ssl);
  }
  auto get = [&](char* to, int n) {
    return ssl ? SSL_read(ssl, to, n) : int(recv(client, to, std::size_t(n), 0));
  };
  auto put = [&](const std::string& bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
      auto n = ssl ? SSL_write(ssl, bytes.data() + done, int(bytes.size() - done))
                   : int(send(client, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL));
      if (n <= 0) return;  // the client had enough, as the size test wants
      done += std::size_t(n);
    }
  };
  std::string request;
  char buffer[4096];
  while (!whole(request)) {
    pollfd fds[] = {{client, POLLIN, 0}, {stop_read_, POLLIN, 0}};
    if (!ssl || SSL_pending(ssl) == 0) poll(fds, 2, -1);
    int n = fds[1].revents != 0 ? 0 : get(buffer, sizeof buffer);
    if (n <= 0) break;
    request.append(buffer, std::size_t(n));
  }
  if (whole(request)) {
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    auto bytes = answer_(request);
    bool hold = bytes.ends_with(kHold);
    if (hold) bytes.resize(bytes.size() - kHold.size());
    put(bytes);
    if (hold) {
      pollfd fds[] = {{client, POLLIN, 0}, {stop_read_, POLLIN, 0}};
      poll(fds, 2, -1);
    }
  }
  if (ssl) {
    SSL_shutdown(ssl);
    SSL_free(ssl);
  }
}

std::string ok(std::string_view body, std::string_view headers) {
  return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

}  // namespace knock::net::test
