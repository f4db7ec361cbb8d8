// SPDX-License-Identifier: GPL-2.0-only
/* vmctl: the command table. */
#include <stdio.h>
#include <string.h>

#include "util.h"
#include "vmctl.h"

static int run_version(int argc, char **argv);
static int run_help(int argc, char **argv);

static const struct command cmd_version = {
	.name = "version",
	.run = run_version,
	.usage = "version",
	.summary = "print the version",
	.help = "",
};

static const struct command cmd_help = {
	.name = "help",
	.run = run_help,
	.usage = "help [COMMAND]",
	.summary = "explain a command",
	.help = "",
};

static const struct command *const commands[] = {
	&cmd_run, &cmd_check, &cmd_list, &cmd_stat, &cmd_stop, &cmd_mem, &cmd_dedup,
	&cmd_largepage, &cmd_balloon, &cmd_domain, &cmd_policy, &cmd_events, &cmd_top,
	&cmd_version, &cmd_help,
};

static int run_version(int argc, char **argv)
{
	(void)argv;
	if (argc > 1 && strcmp(argv[1], "--help"))
		return command_usage(&cmd_version);
	printf("vmctl %s\n", VMCTL_VERSION);
	return EXIT_OK;
}

int command_help(const struct command *cmd)
{
	printf("usage: vmctl %s\n\n%c%s.\n%s", cmd->usage,
	       cmd->summary[0] - 'a' + 'A', cmd->summary + 1, cmd->help);
	return EXIT_OK;
}

int command_usage(const struct command *cmd)
{
	say("usage: vmctl %s\n\"vmctl %s --help\" says more\n", cmd->usage,
	    cmd->name);
	return EXIT_USAGE;
}

static int print_help(void)
{
	printf("usage: vmctl COMMAND [ARGUMENTS]\n\nRun and look after virtual machines on /dev/emys or /dev/kvm.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-9s %s\n", commands[i]->name, commands[i]->summary);
	printf("\n\"vmctl COMMAND --help\" explains one. Commands may be shortened.\n");
	return EXIT_OK;
}

/* By name or unambiguous prefix; NULL after a message. */
static const struct command *find(const char *name)
{
	const struct command *hit = NULL;
	char all[128] = "";
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strncmp(commands[i]->name, name, strlen(name)))
			continue;
		if (!strcmp(commands[i]->name, name))
			return commands[i];
		hit = commands[i];
		n++;
		strncat(all, " ", sizeof(all) - strlen(all) - 1);
		strncat(all, hit->name, sizeof(all) - strlen(all) - 1);
	}
	if (n == 1)
		return hit;
	if (n)
		msg("%s: ambiguous command:%s", name, all);
	else
		msg("%s: no such command; \"vmctl --help\" lists them", name);
	return NULL;
}

static int run_help(int argc, char **argv)
{
	const struct command *cmd;

	if (argc < 2 || !strcmp(argv[1], "--help"))
		return print_help();
	cmd = find(argv[1]);
	return cmd ? command_help(cmd) : EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const struct command *cmd;

	if (argc < 2) {
		say("usage: vmctl COMMAND [ARGUMENTS]\n\"vmctl --help\" lists the commands\n");
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return print_help();
	if (!strcmp(argv[1], "--version"))
		return run_version(1, argv);
	cmd = *argv[1] ? find(argv[1]) : NULL;
	return cmd ? cmd->run(argc - 1, argv + 1) : EXIT_USAGE;
}
