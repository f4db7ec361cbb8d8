/* SPDX-License-Identifier: GPL-2.0-only */
/* The sandbox: what the process may still do once the guest runs. */
#ifndef SANDBOX_H
#define SANDBOX_H

/*
 * Confine all threads: no new privileges, and only the system calls that
 * running a VM needs. Anything else ends the process with a message and
 * EXIT_INTERNAL. 0 or a negative errno after a message.
 */
int sandbox_enter(void);

#endif
