#include "retort/server/tokens.h"

#include <algorithm>
#include <sstream>

#include <openssl/crypto.h>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr size_t kShortest = 16;

Scope parse_scope(const std::string& name, const std::string& where) {
  if (name == "retrieve") return Scope::kRetrieve;
  if (name == "events") return Scope::kEvents;
  if (name == "admin") return Scope::kAdmin;
  fail<ConfigError>("{}: no scope '{}'; there are retrieve, events and admin", where, name);
}

}  // namespace

Tokens::Tokens(const fs::path& file) {
  std::istringstream lines(read_file(file));
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string where = fmt::format("{}:{}", file.string(), ++number);
    line.resize(std::min(line.size(), line.find('#')));
    std::istringstream words(line);
    std::string token, scopes, more;
    if (!(words >> token)) continue;
    if (!(words >> scopes) || words >> more)
      fail<ConfigError>("{}: expected TOKEN SCOPE[,SCOPE]", where);
    if (token.size() < kShortest)
      fail<ConfigError>("{}: the token has {} characters, fewer than {} are guessed", where,
                        token.size(), kShortest);
    Entry entry{sha256(token), {}};
    std::istringstream names(scopes);
    for (std::string name; std::getline(names, name, ',');)
      entry.scopes.push_back(parse_scope(name, where));
    entries_.push_back(std::move(entry));
  }
  if (entries_.empty()) fail<ConfigError>("{}: holds no token", file.string());
}

Tokens::Verdict Tokens::check(std::string_view token, Scope scope) const {
  if (entries_.empty() || scope == Scope::kOpen) return Verdict::kAllowed;
  const std::string digest = sha256(token);
  bool known = false, allowed = false;
  for (const Entry& entry : entries_) {
    const bool same = CRYPTO_memcmp(digest.data(), entry.digest.data(), digest.size()) == 0;
    known |= same;
    allowed |=
        same && std::find(entry.scopes.begin(), entry.scopes.end(), scope) != entry.scopes.end();
  }
  return allowed ? Verdict::kAllowed : known ? Verdict::kOutOfScope : Verdict::kUnknown;
}

}  // namespace retort
