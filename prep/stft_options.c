/* SPDX-License-Identifier: MIT */
#include "prep/stft.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->input;
    return 0;
}

enum err_code stft_options_parse(struct base_set_options *opt, int argc, char **argv, struct err *e)
{
    static const struct argp_child children[] = {{&base_set_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        NULL,
        parse,
        "CLIPS",
        "Turns the sound of every clip that synib-scan accepted into a 257 x 188 log-magnitude "
        "spectrogram: the audio base set. Sound is resampled to 22,050 Hz, repeated three times, "
        "cut to 3 s and transformed with 512 points every 353 samples.\v"
        "Example:\n"
        "  synib-stft clips.tsv --root CREMA-D -o audio\n"
        "Clips shorter than 1 s cannot fill 3 s and are rejected; silent ones are flagged "
        "silent_audio. Clips that cannot be used are named on stderr and in DIR/rejected.tsv.\n\n"
        "Exit codes: 0 done; 1 failed; 2 bad command line; 3 written, but clips were rejected; 4 "
        "the clip list is broken, or no clip is left; 75 stopped on request.",
        children,
        NULL,
        NULL};

    return base_set_options_parse(opt, &argp, argc, argv, "synib-stft", opt, e);
}
