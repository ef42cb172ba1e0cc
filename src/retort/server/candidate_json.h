// Candidates as the JSON of an answer, written by hand: at a hundred items it is most of what an
// answer costs beside the search.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "retort/server/candidate.h"

namespace retort {

/// Which keys items have beside id and score.
struct CandidateKeys {
  bool channels = false;    // ["similar", "popular"]: first the one that gave it its place
  bool propensity = false;  // of this item at this position
};

/// A text in quotes; what is not valid UTF-8 becomes U+FFFD.
void append_text(std::string& json, std::string_view text);
/// "items":[{"id":"i1","score":0.5},..]
void append_items(std::string& json, const std::vector<Candidate>& items, CandidateKeys keys);

}  // namespace retort
