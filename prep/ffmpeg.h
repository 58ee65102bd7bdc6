/* SPDX-License-Identifier: MIT */
#ifndef PREP_FFMPEG_H
#define PREP_FFMPEG_H

#include "common/base/err.h"

/* FFmpeg's libraries bring 130 others with them, whose loading takes 25 ms. They are therefore not
 * loaded with the program but by the first call of this: --help, --version and what a user has
 * mistyped are answered at once. To be called before prep/video.h and prep/video_encode.h are used,
 * in the process whose workers shall have them. Nothing is ever unloaded. Errors: ERR_IO, also
 * where memory is lacking; it may be tried again. Threads: any. */
NODISCARD enum err_code ffmpeg_load(struct err *e);

#endif
