// Work that must not be felt by requests.
#pragma once

namespace retort {

/// Gives the calling thread alone the lowest priority, as Linux has it: where requests take all
/// there is, it takes long, and they hardly notice.
void lower_priority();

}  // namespace retort
