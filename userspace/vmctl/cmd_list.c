// SPDX-License-Identifier: GPL-2.0-only
/* vmctl list: the running VMs. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "util.h"
#include "vmctl.h"

static const char *str(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "?";
}

static long long num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static int list(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false;
	json_t *vms, *vm;
	size_t i;
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (opt == 'j')
			json = true;
		else if (opt == 'h')
			return command_help(&cmd_list);
		else
			return command_usage(&cmd_list);
	}
	if (optind < argc) {
		msg("list: %s: not an option", argv[optind]);
		return command_usage(&cmd_list);
	}

	vms = ctl_request_all("status");
	if (json) {
		json_dumpf(vms, stdout, JSON_INDENT(2));
		printf("\n");
	} else if (json_array_size(vms)) {
		printf("%-16s %7s %4s %8s %9s %-12s %s\n", "NAME", "PID",
		       "CPUS", "MEMORY", "UPTIME", "DEVICE", "KERNEL");
		json_array_foreach(vms, i, vm)
			printf("%-16s %7lld %4lld %7lldM %8llds %-12s %s\n",
			       str(vm, "name"), num(vm, "pid"),
			       num(vm, "cpus"), num(vm, "memory") >> 20,
			       num(vm, "uptime_ms") / 1000, str(vm, "device"),
			       str(vm, "kernel"));
	}
	json_decref(vms);
	return EXIT_OK;
}

const struct command cmd_list = {
	.name = "list",
	.run = list,
	.usage = "list [--json]",
	.summary = "list the running VMs",
	.help =
"  -j, --json   an array of objects\n\n"
"Shows the VMs of this user, and for root those started by root.\n",
};
