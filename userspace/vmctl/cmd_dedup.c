// SPDX-License-Identifier: GPL-2.0-only
/* vmctl dedup: the deduplication of each domain. */
#include <stdio.h>
#include <string.h>

#include "memcmd.h"
#include "util.h"

/* A domain's number, or "default" as 0; false after a message. */
static bool domain_of(struct family *f, const char *text, uint64_t *domain)
{
	json_t *request, *vm = NULL;
	uint32_t id;

	if (!strcmp(text, "default")) {
		*domain = 0;
		return true;
	}
	if (strncmp(text, "vm:", 3))
		return memcmd_number("domain", text, UINT32_MAX, domain);
	id = memcmd_vm(f, text + 3);
	if (!id)
		return false;
	request = json_pack("{s:I}", "id", (json_int_t)id);
	if (family_do(f, EMYS_CMD_VM_GET, request, &vm))
		*domain = family_int(vm, "domain", 0);
	json_decref(request);
	json_decref(vm);
	return vm;
}

static json_t *get(struct family *f, uint64_t domain)
{
	json_t *request, *reply = NULL;
	bool ok;

	if (!domain)
		return family_do(f, EMYS_CMD_MODULE_GET, NULL, &reply) ? reply : NULL;
	request = json_pack("{s:I}", "id", (json_int_t)domain);
	ok = family_do(f, EMYS_CMD_DOMAIN_GET, request, &reply);
	json_decref(request);
	return ok ? reply : NULL;
}

static int show_one(struct family *f, const char *text, bool json)
{
	uint64_t domain;
	json_t *o;

	if (!domain_of(f, text, &domain))
		return EXIT_FAIL;
	o = get(f, domain);
	if (!o)
		return EXIT_FAIL;
	if (json)
		memcmd_json(json_incref(domain ? o : json_object_get(o, "dedup")));
	else if (domain)
		memcmd_print(&nl_domain, o, "");
	else
		memcmd_print(&nl_dedup_policy, json_object_get(o, "dedup"), "");
	json_decref(o);
	return EXIT_OK;
}

static int show_all(struct family *f, bool json)
{
	json_t *domains, *d;
	size_t i;

	if (family_dump(f, EMYS_CMD_DOMAIN_GET, &domains)) {
		msg("%s", family_error(f));
		return EXIT_FAIL;
	}
	if (json) {
		memcmd_json(domains);
		return EXIT_OK;
	}
	printf("%10s %4s %-11s %-4s %7s %10s %10s %10s %10s %8s\n", "DOMAIN", "VMS", "ALGORITHM",
	       "RUN", "PASSES", "SCANNED", "COMPARED", "FUTILE", "MERGED", "SAVED");
	json_array_foreach(domains, i, d)
		printf("%10lld %4lld %-11s %-4s %7lld %10lld %10lld %10lld %10lld %8s\n",
		       family_int(d, "id", 0), family_int(d, "vms", 0),
		       family_str(json_object_get(d, "policy"), "algorithm"),
		       memcmd_in(d, "policy", "run") ? "on" : "off",
		       memcmd_in(d, "stats", "passes"), memcmd_in(d, "stats", "scanned"),
		       memcmd_in(d, "stats", "compared"), memcmd_in(d, "stats", "futile"),
		       memcmd_in(d, "stats", "merged") + memcmd_in(d, "stats", "zeroed"),
		       memcmd_size(memcmd_in(d, "counts", "saved")));
	json_decref(domains);
	return EXIT_OK;
}

static int set(struct family *f, int argc, char **argv)
{
	json_t *policy;
	uint64_t domain;

	if (!domain_of(f, argv[0], &domain))
		return EXIT_FAIL;
	policy = memcmd_settings(&nl_dedup_policy, argc - 1, argv + 1);
	if (!policy)
		return EXIT_USAGE;
	if (!domain)
		return memcmd_act(f, EMYS_CMD_MODULE_SET, json_pack("{s:o}", "dedup", policy));
	return memcmd_act(f, EMYS_CMD_DOMAIN_SET,
			  json_pack("{s:I s:o}", "id", (json_int_t)domain, "policy", policy));
}

static int scan(struct family *f, int argc, char **argv)
{
	uint64_t domain, passes = 1;

	if (!domain_of(f, argv[0], &domain) ||
	    (argc > 1 && !memcmd_number("number of passes", argv[1], UINT32_MAX, &passes)))
		return EXIT_FAIL;
	return memcmd_act(f, EMYS_CMD_DEDUP_SCAN,
			  json_pack("{s:I s:I}", "domain", (json_int_t)domain, "passes",
				    (json_int_t)passes));
}

static int reset(struct family *f, char **argv)
{
	uint64_t domain;

	if (!domain_of(f, argv[0], &domain))
		return EXIT_FAIL;
	return memcmd_act(f, EMYS_CMD_DOMAIN_SET,
			  json_pack("{s:I s:b}", "id", (json_int_t)domain, "reset", 1));
}

static int dedup(int argc, char **argv)
{
	const char *verb;
	bool json = false;
	struct family *f;
	int status;

	argc = memcmd_options(&cmd_dedup, argc, argv, &json, &status);
	if (argc < 0)
		return status;
	verb = argc > 1 ? argv[1] : "show";
	if (!((!strcmp(verb, "show") && argc <= 3) || (!strcmp(verb, "set") && argc > 3) ||
	      (!strcmp(verb, "scan") && (argc == 3 || argc == 4)) ||
	      (!strcmp(verb, "reset") && argc == 3)))
		return command_usage(&cmd_dedup);
	f = family_open_or_say();
	if (!f)
		return EXIT_FAIL;
	if (!strcmp(verb, "set"))
		status = set(f, argc - 2, argv + 2);
	else if (!strcmp(verb, "scan"))
		status = scan(f, argc - 2, argv + 2);
	else if (!strcmp(verb, "reset"))
		status = reset(f, argv + 2);
	else if (argc == 3)
		status = show_one(f, argv[2], json);
	else
		status = show_all(f, json);
	family_close(f);
	return status;
}

const struct command cmd_dedup = {
	.name = "dedup",
	.run = dedup,
	.usage = "dedup [show [DOMAIN] | set DOMAIN KEY=VALUE... | scan DOMAIN [PASSES] | reset DOMAIN] [--json]",
	.summary = "show and steer how equal pages are found and shared",
	.help =
"  show    every domain, or all figures and settings of one\n"
"  set     change settings; what is not named stays\n"
"  scan    look at all pages now, and return when that is done (1 pass)\n"
"  reset   let a domain's counters start at 0\n"
"  -j, --json\n\n"
"DOMAIN is a number, vm:NAME or vm:ID for the one that VM is in, or for show and set\n"
"\"default\", what new domains start with. Keys:\n"
"  algorithm     emys, ksm, cmd-address, cmd-count or cmd-subpage\n"
"  run           on: scan; off keeps what is shared\n"
"  adaptive      on: scan faster while it pays\n"
"  classes       of the cmd algorithms; 0: as many as the algorithm likes\n"
"  pages         most pages to look at before it sleeps\n"
"  sleep-ms      for how long\n"
"  cpu-permille  most of the time of one CPU\n"
"This is root's.\n",
};
