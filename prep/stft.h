/* SPDX-License-Identifier: MIT */
#ifndef PREP_STFT_H
#define PREP_STFT_H

#include "prep/base_set.h"

/* synib-stft: WAV -> base set "audio", one 257 x 188 log-magnitude spectrogram per clip. */

/* Loans from argv. Errors: ERR_USAGE. */
NODISCARD enum err_code stft_options_parse(struct base_set_options *opt, int argc, char **argv,
                                           struct err *e);
/* Errors: as base_set_run(). */
NODISCARD enum err_code stft_run(const struct base_set_options *opt, struct err *e);

#endif
