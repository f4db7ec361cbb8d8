/* SPDX-License-Identifier: GPL-2.0-only */
/* vmctl's commands: the table's row and the exit statuses. */
#ifndef VMCTL_H
#define VMCTL_H

#define VMCTL_VERSION "0.1"
#define DEFAULT_DEVICE "/dev/emys"

/*
 * A command. run() gets argv with argv[0] the command's name, and returns the
 * exit status. usage is one line; help is the text below it.
 */
struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
	const char *summary;
	const char *help;
};

extern const struct command cmd_balloon, cmd_check, cmd_dedup, cmd_domain, cmd_events,
	cmd_largepage, cmd_list, cmd_mem, cmd_policy, cmd_run, cmd_stat, cmd_stop, cmd_top;

/* What vmctl exits with; also in vmctl.8. */
enum exit_status {
	EXIT_OK = 0,		/* done; of run: the guest powered off */
	EXIT_FAIL = 1,		/* could not do it, or host not usable */
	EXIT_USAGE = 2,		/* bad command line */
	EXIT_RESET = 3,		/* guest asked for a reset */
	EXIT_TRIPLE = 4,	/* a vCPU shut down (triple fault) */
	EXIT_INTERNAL = 5,	/* KVM_RUN failed or reported an internal error */
	EXIT_ENTRY = 6,		/* the processor refused the VM entry */
	EXIT_TIMEOUT = 7,	/* --timeout passed */
	EXIT_STOPPED = 8,	/* stopped from outside: signal, key, vmctl stop */
	EXIT_PANIC = 9,		/* the guest reported a crash */
	EXIT_PORT = 64,		/* 64 + low six bits written to --exit-port */
};

/* Print the command's usage and help on stdout; returns EXIT_OK. */
int command_help(const struct command *cmd);
/* Print a pointer to --help on stderr; returns EXIT_USAGE. */
int command_usage(const struct command *cmd);

#endif
