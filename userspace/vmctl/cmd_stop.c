// SPDX-License-Identifier: GPL-2.0-only
/* vmctl stop: end a running VM. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "util.h"
#include "vmctl.h"

static int stop(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt, status = EXIT_OK;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h')
			return command_help(&cmd_stop);
		return command_usage(&cmd_stop);
	}
	if (optind == argc) {
		msg("stop: which VM? \"vmctl list\" shows them");
		return command_usage(&cmd_stop);
	}
	for (; optind < argc; optind++) {
		json_t *reply = ctl_request(argv[optind], "stop");

		if (!reply)
			status = EXIT_FAIL;
		json_decref(reply);
	}
	return status;
}

const struct command cmd_stop = {
	.name = "stop",
	.run = stop,
	.usage = "stop VM...",
	.summary = "stop running VMs at once, like pulling the plug",
	.help =
"VM is a name or the process id of its vmctl run. For an orderly shutdown give\n"
"the guest's own command on its console.\n",
};
