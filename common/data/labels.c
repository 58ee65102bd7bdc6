/* SPDX-License-Identifier: MIT */
#include "common/data/dataset.h"

const char *const label_names[N_LABELS + 1] = {"neutral", "happy", "sad",   "fear",
                                               "disgust", "anger", "irony", NULL};
const char *const emotion_codes[N_EMOTIONS + 1] = {"NEU", "HAP", "SAD", "FEA", "DIS", "ANG", NULL};

const char *sample_flag_name(enum sample_flag bit)
{
    switch (bit) {
    case FLAG_SHORT_VIDEO: return "short_video";
    case FLAG_TILED_AUDIO: return "tiled_audio";
    case FLAG_DUPLICATE_AUDIO: return "duplicate_audio";
    case FLAG_DIGEST_DIFFERS: return "digest_differs";
    case FLAG_SILENT_AUDIO: return "silent_audio";
    case FLAG_LENGTHS_DIFFER: return "lengths_differ";
    case FLAG_KNOWN_ISSUE: return "known_issue";
    case FLAG_REENCODED: return "reencoded";
    case FLAG_CLIPPED_AUDIO: return "clipped_audio";
    case FLAG_ODD_STRUCTURE: return "odd_structure";
    case FLAG_DONOR_FALLBACK: return "donor_fallback";
    case FLAG_MATCHED_DONOR: return "matched_donor";
    }
    return NULL;
}
