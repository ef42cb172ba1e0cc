// What plain loops are compiled for: RETORT_CLONES before a function makes a copy of it for each,
// and the best that the processor runs is chosen when the program starts.
#pragma once

// Sanitizers cannot instrument the resolvers that choose.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define RETORT_CLONES [[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]]
#else
#define RETORT_CLONES
#endif
