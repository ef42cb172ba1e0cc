// Who may ask for what: bearer tokens with scopes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "retort/common/file.h"

namespace retort {

/// retrieve: candidates, vectors, explanations; events: what users did; admin: items and models.
/// kOpen asks for no token at all (health).
enum class Scope { kOpen, kRetrieve, kEvents, kAdmin };

/// Lines of "TOKEN SCOPE[,SCOPE]", scopes as above by name; '#' begins a comment. Tokens are kept
/// as SHA-256 digests and compared in constant time, all of them at every request.
class Tokens {
 public:
  enum class Verdict { kAllowed, kUnknown, kOutOfScope };

  Tokens() = default;  // allows everything
  /// Throws ConfigError naming the line on a token shorter than 16 characters, an unknown scope or
  /// a file without tokens, IoError if it cannot be read.
  explicit Tokens(const fs::path& file);
  bool empty() const { return entries_.empty(); }
  Verdict check(std::string_view token, Scope scope) const;

 private:
  struct Entry {
    std::string digest;
    std::vector<Scope> scopes;
  };
  std::vector<Entry> entries_;
};

}  // namespace retort
