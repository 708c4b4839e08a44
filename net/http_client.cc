// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "base/text.h"

namespace knock::net {
namespace {

constexpr std::size_t kHeaderBytes = 64 << 10;

template <auto F>
using Deleter = std::integral_constant<std::decay_t<decltype(F)>, F>;
using Easy = std::unique_ptr<CURL, Deleter<curl_easy_cleanup>>;
using Url = std::unique_ptr<CURLU, Deleter<curl_url_cleanup>>;
using List = std::unique_ptr<curl_slist, Deleter<curl_slist_free_all>>;

void start_curl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) std::abort();
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::optional<IpAddress> address_of(const sockaddr* from) {
  if (from->sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, from, sizeof in);
    return IpAddress::v4(ntohl(in.sin_addr.s_addr));
  }
  if (from->sa_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, from, sizeof in);
    return IpAddress::v6(in.sin6_addr.s6_addr);
  }
  return std::nullopt;
}

/// What may be shown of a URL: no query, because a query may hold a secret.
struct Target {
  std::string text;
  std::string shown;
  bool plain = false;  // http:
};

std::string part(CURLU* url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, 0) != CURLUE_OK) return {};
  std::string out(text);
  curl_free(text);
  return out;
}

Result<Target> read_url(const std::string& text) {
  Url url(curl_url());
  if (text.find_first_of(std::string("\r\n\t \0", 5)) != text.npos || !url ||
      curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
    return fail(ErrorKind::invalid, "the address is not a URL: write https://host/path");
  Target out;
  out.text = text;
  auto scheme = part(url.get(), CURLUPART_SCHEME);
  if (scheme != "https" && scheme != "http")
    return fail(
        ErrorKind::invalid,
        fmt::format("the URL's scheme is {}: only https can be called, and http on loopback",
                    printable(scheme)));
  if (!part(url.get(), CURLUPART_USER).empty() || !part(url.get(), CURLUPART_PASSWORD).empty())
    return fail(ErrorKind::invalid, "the URL holds a user or a password: take them out of it");
  out.plain = scheme == "http";
  auto port = part(url.get(), CURLUPART_PORT);
  out.shown =
      printable(fmt::format("{}://{}{}{}{}", scheme, part(url.get(), CURLUPART_HOST),
                            port.empty() ? "" : ":", port, part(url.get(), CURLUPART_PATH)));
  return out;
}

bool is_token(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || std::strchr("!#$%&'*+-.^_`|~", c) != nullptr;
  });
}

/// One exchange: what the callbacks see.
struct Exchange {
  const ConnectGuard* guard = nullptr;
  bool plain = false;
  std::size_t limit = 0;
  IncomingResponse response;
  std::size_t header_bytes = 0;
  std::string too_large;  // what is, when something is
  std::string refused;    // why the guard said no, when it did
};

/// libcurl calls this with the address it is about to connect to, after DNS: the only place where
/// the guard is sure.
curl_socket_t open_socket(void* data, curlsocktype, curl_sockaddr* to) {
  auto& exchange = *static_cast<Exchange*>(data);
  auto address = address_of(&to->addr);
  if (!address || !exchange.guard->permits(*address)) {
    exchange.refused = fmt::format(
        "the name leads to {}, which is not a public address: if the provider really lives there, "
        "add it to allow_networks",
        address ? address->to_string() : "something that is not IP");
    return CURL_SOCKET_BAD;
  }
  if (exchange.plain && !address->is_loopback()) {
    exchange.refused =
        fmt::format("http is spoken on loopback only, and the name leads to {}: use https",
                    address->to_string());
    return CURL_SOCKET_BAD;
  }
  return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

std::size_t take_body(char* bytes, std::size_t, std::size_t count, void* data) {
  auto& exchange = *static_cast<Exchange*>(data);
  if (count > exchange.limit - exchange.response.body.size()) {
    exchange.too_large = fmt::format("the answer is larger than {} bytes", exchange.limit);
    return 0;  // fewer than `count`: libcurl ends the transfer
  }
  exchange.response.body.append(bytes, count);
  return count;
}

std::size_t take_header(char* bytes, std::size_t, std::size_t count, void* data) {
  auto& exchange = *static_cast<Exchange*>(data);
  exchange.header_bytes += count;
  if (exchange.header_bytes > kHeaderBytes) {
    exchange.too_large = fmt::format("the answer's headers are larger than {} bytes", kHeaderBytes);
    return 0;
  }
  std::string_view line(bytes, count);
  if (line.starts_with("HTTP/")) exchange.response.headers.clear();  // a 1xx answer came before
  auto colon = line.find(':');
  if (colon != line.npos && colon > 0)
    exchange.response.headers.emplace_back(lower(line.substr(0, colon)),
                                           trim(line.substr(colon + 1)));
  return count;
}

Result<List> to_list(const std::vector<std::pair<std::string, std::string>>& headers) {
  List out;
  auto add = [&](const std::string& line) {
    auto* longer = curl_slist_append(out.get(), line.c_str());
    if (longer == nullptr) std::abort();  // out of memory
    (void)out.release();
    out.reset(longer);
  };
  add("Expect:");  // libcurl would wait a second for "100 Continue" before a larger body
  for (auto& [name, value] : headers) {
    if (!is_token(name) || value.find_first_of(std::string("\r\n\0", 3)) != value.npos)
      return fail(
          ErrorKind::invalid,
          fmt::format("the header {} cannot be sent: it holds a character that headers must "
                      "not have",
                      printable(name)));
    add(value.empty() ? name + ";" : name + ": " + value);  // "name;" is libcurl's for an empty one
  }
  return out;
}

ErrorKind kind_of(CURLcode code, long os_error) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return ErrorKind::timeout;
    case CURLE_SSL_CONNECT_ERROR:
      return os_error != 0 ? ErrorKind::unavailable : ErrorKind::invalid;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return ErrorKind::invalid;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
      return ErrorKind::internal;
    default:
      return ErrorKind::unavailable;
  }
}

/// libcurl over OpenSSL raises SIGPIPE when the other side left, and is told not to touch signals.
/// Held off this thread meanwhile, and one that came is taken away, so that no caller need know.
class NoBrokenPipe {
 public:
  NoBrokenPipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoBrokenPipe() {
    timespec none{0, 0};
    if (!was_pending_)
      while (sigtimedwait(&pipe_, nullptr, &none) == SIGPIPE) {
      }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoBrokenPipe(const NoBrokenPipe&) = delete;
  NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_ = false;
};

class CurlClient final : public HttpClient {
 public:
  CurlClient(ConnectGuard guard, std::string ca_pem)
      : guard_(std::move(guard)), ca_pem_(std::move(ca_pem)) {
    start_curl();
    easy_.reset(curl_easy_init());
    if (!easy_) std::abort();
  }

  ~CurlClient() override {
    NoBrokenPipe no_broken_pipe;  // closing says goodbye to TLS servers
    easy_.reset();
  }

  Result<IncomingResponse> send(const OutgoingRequest& request, Deadline deadline) override {
    KNOCK_ASSIGN(auto target, read_url(request.url));
    KNOCK_ASSIGN(auto headers, to_list(request.headers));
    if (!is_token(request.method)) return fail(ErrorKind::invalid, "the method is not a word");
    auto left = deadline.left();
    if (left.ms == 0) return fail(ErrorKind::timeout, target.shown + ": no time was left to ask");
    Exchange exchange{&guard_, target.plain, request.response_bytes, {}, 0, {}, {}};
    set_up(request, target, headers.get(), exchange, left);
    NoBrokenPipe no_broken_pipe;
    auto code = curl_easy_perform(easy_.get());
    if (code != CURLE_OK) return explain(code, target, exchange);
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    exchange.response.status = int(status);
    return std::move(exchange.response);
  }

 private:
  template <class T>
  void set(CURLoption option, T value) {
    // An option this libcurl does not know would leave a protection off: never go on without it.
    if (curl_easy_setopt(easy_.get(), option, value) != CURLE_OK) std::abort();
  }

  void set_up(const OutgoingRequest& request, const Target& target, curl_slist* headers,
              Exchange& exchange, Duration left) {
    curl_easy_reset(
        easy_.get());  // options only: connections stay, and each was guarded when it opened
    error_[0] = '\0';
    set(CURLOPT_ERRORBUFFER, error_);
    set(CURLOPT_URL, target.text.c_str());
    set_protection(exchange);
    set(CURLOPT_TIMEOUT_MS, long(std::min<std::int64_t>(left.ms, 3'600'000)));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // do not wait for a resolver thread beyond the deadline
    set(CURLOPT_HTTP_VERSION, long(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_USERAGENT, "knock/" KNOCK_VERSION);
    set(CURLOPT_HTTPHEADER, headers);
    set(CURLOPT_WRITEFUNCTION, &take_body);
    set(CURLOPT_WRITEDATA, &exchange);
    set(CURLOPT_HEADERFUNCTION, &take_header);
    set(CURLOPT_HEADERDATA, &exchange);
    if (request.method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
    } else if (request.method != "GET" || !request.body.empty()) {
      set(CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body.size()));
      set(CURLOPT_POSTFIELDS, request.body.data());
      set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
  }

  void set_protection(Exchange& exchange) {
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_PROXY, "");  // not from the environment either: a proxy would resolve names for us
    set(CURLOPT_NOPROXY, "*");
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    set(CURLOPT_SSLVERSION, long(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_HTTP09_ALLOWED, 0L);
    set(CURLOPT_OPENSOCKETFUNCTION, &open_socket);
    set(CURLOPT_OPENSOCKETDATA, &exchange);
    if (!ca_pem_.empty()) {
      curl_blob blob{ca_pem_.data(), ca_pem_.size(), CURL_BLOB_NOCOPY};
      set(CURLOPT_CAINFO_BLOB, &blob);
      set(CURLOPT_CAPATH,
          static_cast<char*>(nullptr));  // Debian's default would be trusted beside it
    }
  }

  Result<IncomingResponse> explain(CURLcode code, const Target& target, const Exchange& exchange) {
    if (!exchange.too_large.empty())
      return fail(ErrorKind::invalid, target.shown + ": " + exchange.too_large);
    if (!exchange.refused.empty() && code == CURLE_COULDNT_CONNECT)
      return fail(ErrorKind::unauthorized, target.shown + ": " + exchange.refused);
    long os_error = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &os_error);
    return fail(kind_of(code, os_error),
                fmt::format("{}: {}", target.shown,
                            printable(error_[0] != '\0' ? error_ : curl_easy_strerror(code))));
  }

  ConnectGuard guard_;
  std::string ca_pem_;
  char error_[CURL_ERROR_SIZE] = {};
  Easy easy_;  // last: libcurl writes into error_ until the handle is gone
};

void encode_into(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (unsigned char c : text) {
    if ((c < 0x80 && std::isalnum(c)) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += char(c);
    } else {
      out += '%';
      out += kHex[c >> 4];
      out += kHex[c & 15];
    }
  }
}

}  // namespace

std::unique_ptr<HttpClient> make_http_client(ConnectGuard guard, std::string ca_pem) {
  return std::make_unique<CurlClient>(std::move(guard), std::move(ca_pem));
}

std::string encode_form(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string out;
  for (auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    encode_into(out, name);
    out += '=';
    encode_into(out, value);
  }
  return out;
}

}  // namespace knock::net
