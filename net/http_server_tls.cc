// SPDX-License-Identifier: Apache-2.0
// OpenSSL on a socket descriptor. SSL_set_fd's own BIO writes with write(2), which raises SIGPIPE
// when a client has gone; ours is the same with MSG_NOSIGNAL, so that the library needs no
// process-wide signal setting.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "net/http_server_stream.h"

namespace knock::net {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* value) const {
    Free(value);
  }
};
using ContextHandle = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using SslHandle = std::unique_ptr<SSL, Freer<SSL_free>>;
using BioHandle = std::unique_ptr<BIO, Freer<BIO_free>>;
using CertificateHandle = std::unique_ptr<X509, Freer<X509_free>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

// TLS 1.2 suites (1.3 has none that are weak): ephemeral keys and AEAD only.
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr unsigned char kProtocol[] = "\x08http/1.1";

int bio_fd(BIO* bio) { return int(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))); }

int bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  auto n = ::send(bio_fd(bio), data, std::size_t(size), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return int(n);
}

int bio_read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  auto n = ::recv(bio_fd(bio), data, std::size_t(size), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return int(n);
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int bio_create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

/// Made once and kept for the life of the process, as OpenSSL's own methods are.
const BIO_METHOD* socket_method() {
  static const BIO_METHOD* method = [] {
    auto* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "knock socket");
    if (made == nullptr) return made;
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_ctrl(made, bio_control);
    BIO_meth_set_create(made, bio_create);
    return made;
  }();
  return method;
}

class TlsStream final : public Stream {
 public:
  TlsStream(SslHandle ssl, int fd) : ssl_(std::move(ssl)), fd_(fd) {}

  Moved read(std::span<char> into) override {
    ERR_clear_error();
    auto wanted = int(std::min<std::size_t>(into.size(), INT_MAX));
    return moved(SSL_read(ssl_.get(), into.data(), wanted));
  }

  Moved write(std::string_view from) override {
    ERR_clear_error();
    auto wanted = int(std::min<std::size_t>(from.size(), INT_MAX));
    return moved(SSL_write(ssl_.get(), from.data(), wanted));
  }

  void finish() override {
    ERR_clear_error();
    if (!broken_ && SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
    ERR_clear_error();
    ::shutdown(fd_, SHUT_WR);
  }

 private:
  Moved moved(int n) {
    if (n > 0) return {Io::done, std::size_t(n)};
    switch (SSL_get_error(ssl_.get(), n)) {
      case SSL_ERROR_WANT_READ:
        return {Io::want_read, 0};
      case SSL_ERROR_WANT_WRITE:
        return {Io::want_write, 0};
      case SSL_ERROR_ZERO_RETURN:
        return {Io::closed, 0};
      default:
        broken_ = true;
        return {Io::closed, 0};  // SSL_shutdown must not follow a fatal error
    }
  }

  SslHandle ssl_;
  int fd_;
  bool broken_ = false;
};

/// The first reason OpenSSL gives, in its words; it names no secret.
std::string reason() {
  auto code = ERR_get_error();
  ERR_clear_error();
  const char* text = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return text != nullptr ? text : "not readable";
}

BioHandle memory(std::string_view pem) {
  return BioHandle(BIO_new_mem_buf(pem.data(), int(std::min<std::size_t>(pem.size(), INT_MAX))));
}

/// Never asks a terminal for a pass phrase.
int no_pass_phrase(char*, int, int, void*) { return -1; }

Status use_certificate(SSL_CTX* context, std::string_view pem) {
  auto bio = memory(pem);
  CertificateHandle leaf(PEM_read_bio_X509_AUX(bio.get(), nullptr, no_pass_phrase, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1)
    return fail(ErrorKind::invalid,
                "tls certificate: " + reason() +
                    "; give a PEM file that begins with the server's certificate");
  for (;;) {
    X509* next = PEM_read_bio_X509(bio.get(), nullptr, no_pass_phrase, nullptr);
    if (next == nullptr) break;
    if (SSL_CTX_add0_chain_cert(context, next) != 1) {
      X509_free(next);
      return fail(ErrorKind::invalid, "tls certificate chain: " + reason());
    }
  }
  auto last = ERR_peek_last_error();
  if (ERR_GET_REASON(last) != PEM_R_NO_START_LINE)
    return fail(ErrorKind::invalid, "tls certificate chain: " + reason());
  ERR_clear_error();
  return {};
}

Status use_key(SSL_CTX* context, std::string_view pem) {
  auto bio = memory(pem);
  KeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_pass_phrase, nullptr));
  if (!key)
    return fail(ErrorKind::invalid,
                "tls key: " + reason() + "; give an unencrypted private key as PEM");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return fail(ErrorKind::invalid,
                "tls key: it does not belong to the certificate (" + reason() + ")");
  return {};
}

/// HTTP/1.1 or nothing: a client that offers other protocols only is told so, not guessed at.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kProtocol, sizeof kProtocol - 1, offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

bool configure(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // tickets keep no state here
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, kCiphers12) == 1;
}

class OpensslSettings final : public TlsSettings {
 public:
  explicit OpensslSettings(ContextHandle context) : context_(std::move(context)) {}

  std::unique_ptr<Stream> accept(int fd) override {
    SslHandle ssl(SSL_new(context_.get()));
    if (!ssl) return nullptr;
    BIO* bio = BIO_new(socket_method());
    if (bio == nullptr) return nullptr;
    BIO_set_data(bio, reinterpret_cast<void*>(std::intptr_t(fd)));
    SSL_set_bio(ssl.get(), bio, bio);
    SSL_set_accept_state(ssl.get());
    return std::make_unique<TlsStream>(std::move(ssl), fd);
  }

 private:
  ContextHandle context_;
};

}  // namespace

Result<std::unique_ptr<TlsSettings>> TlsSettings::make(std::string_view certificate_pem,
                                                       std::string_view key_pem) {
  ERR_clear_error();
  ContextHandle context(SSL_CTX_new(TLS_server_method()));
  if (!context || socket_method() == nullptr || !configure(context.get()))
    return fail(ErrorKind::internal, "tls: " + reason());
  KNOCK_CHECK(use_certificate(context.get(), certificate_pem));
  KNOCK_CHECK(use_key(context.get(), key_pem));
  return std::make_unique<OpensslSettings>(std::move(context));
}

}  // namespace knock::net
