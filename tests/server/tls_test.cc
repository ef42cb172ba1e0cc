// TLS spoken by OpenSSL's own client.
#include <cstdio>
#include <cstdlib>

#include "tests/server/running_server.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace retort {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  for (size_t got = 0; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
    output.append(buffer, got);
  pclose(pipe);
  return output;
}

TEST(ServerTls, SpeaksTls12AndUpAndNothingElse) {
  if (std::system("openssl version > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "the command openssl is not installed";
  const TinyPublication tiny(random_tiny_dataset(3));
  tiny.publish();
  ServerOptions options = RunningServer::of(tiny.bundles());
  options.listener.key = tiny.scratch / "key.pem";
  options.listener.certificate = tiny.scratch / "certificate.pem";
  EXPECT_THAT([&] { RunningServer{options}; },
              testing::ThrowsMessage<ConfigError>(HasSubstr("certificate.pem")));
  output_of(
      fmt::format("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2 "
                  "-keyout {} -out {}",
                  options.listener.key.string(), options.listener.certificate.string()));
  const RunningServer server(options);
  const auto speak = [&](const std::string& flags) {
    return output_of(fmt::format(
        "printf 'GET /healthz HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' | "
        "timeout 5 openssl s_client -quiet -no_ign_eof -CAfile {} -connect "
        "127.0.0.1:{} {}",
        options.listener.certificate.string(), server.port(), flags));
  };
  EXPECT_THAT(speak("-tls1_2 -ign_eof"), HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(speak("-tls1_3 -ign_eof"), HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(speak("-tls1_1 -ign_eof"), Not(HasSubstr("HTTP/1.1 200")));
  EXPECT_NE(server.ask("GET", "/healthz").status, 200) << "plain HTTP on the port of TLS";
  EXPECT_THAT(speak("-tls1_3 -ign_eof"), HasSubstr("HTTP/1.1 200 OK")) << "and no harm was done";
}

}  // namespace
}  // namespace retort
