/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_LOST_MAPPING_H
#define COMMON_BASE_LOST_MAPPING_H

/* Reading a page of a mapped file that is not there any more (the file shrank, or its disk fails)
 * raises SIGBUS. After lost_mapping_explain() that ends the process with one line on stderr, "tool:
 * FILE: byte N ...", in place of a core dump: exit status 4 when the file is shorter than its
 * mapping, as for a file found cut short on opening, 1 when the system could not read it. Outputs
 * stay as after SIGKILL: old, new and whole, or absent.
 *
 * For programs, not for libraries: cli_parse() calls it. Nothing is registered: the handler looks
 * the address up in /proc/self/maps. A SIGBUS that is of no file is left to the system. */
void lost_mapping_explain(void);

#endif
