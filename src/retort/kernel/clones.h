// What plain loops are compiled for; the best that the processor runs is chosen when the program
// starts: [[gnu::target_clones(RETORT_CLONES)]].
#pragma once

#define RETORT_CLONES "arch=x86-64-v4", "arch=x86-64-v3", "default"
