/* SPDX-License-Identifier: MIT */
#include "prep/frames.h"

#include <errno.h>

enum { KEY_GRID = 0x100 };

static const struct argp_option options[] = {
    {"grid", KEY_GRID, "GRID", 0,
     "Which three frames: reference (0, F, 2F with F = the frame rate cut to a whole number; "
     "default), ffmpeg-fps (what 'ffmpeg -vf fps=1' keeps) or uniform",
     0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct frames_options *opt = state->input;
    int grid;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->base; return 0;
    case KEY_GRID:
        if (cli_choice(&grid, arg, frame_grid_names, "--grid", opt->base.cli.err) != ERR_OK)
            return EINVAL;
        opt->grid = (enum frame_grid)grid;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

enum err_code frames_options_parse(struct frames_options *opt, int argc, char **argv, struct err *e)
{
    static const struct argp_child children[] = {{&base_set_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        options,
        parse,
        "CLIPS",
        "Decodes three frames of every clip that synib-scan accepted and writes them as JPEGs of "
        "quality 95 at source size: the video base set.\v"
        "Examples:\n"
        "  synib-frames clips.tsv --root CREMA-D -o video\n"
        "  synib-frames clips.tsv --root CREMA-D -o video-u --grid uniform -j 4\n"
        "A clip too short for its grid is topped up with frames drawn from --seed and flagged "
        "short_video. Clips that cannot be used are named on stderr and in DIR/rejected.tsv.\n\n"
        "Exit codes: 0 done; 1 failed; 2 bad command line; 3 written, but clips were rejected; 4 "
        "the clip list is broken, or no clip is left; 75 stopped on request.",
        children,
        NULL,
        NULL};

    return base_set_options_parse(&opt->base, &argp, argc, argv, "synib-frames", opt, e);
}
