// SPDX-License-Identifier: GPL-2.0-only
/* What the commands about guest memory share. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "memcmd.h"
#include "util.h"

/* Results of memcmd_size() and memcmd_domain() that live at once. */
#define TEXTS 12

#define DOMAIN_OWN 0x80000000LL

int memcmd_options(const struct command *cmd, int argc, char **argv, bool *json, int *status)
{
	int n = 1;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json") || !strcmp(argv[i], "-j")) {
			*json = true;
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			*status = command_help(cmd);
			return -1;
		} else if (argv[i][0] == '-') {
			msg("%s: %s: not an option", cmd->name, argv[i]);
			*status = command_usage(cmd);
			return -1;
		} else {
			argv[n++] = argv[i];
		}
	}
	return n;
}

bool memcmd_number(const char *what, const char *text, uint64_t max, uint64_t *value)
{
	if (!parse_u64(text, value) && *value && *value <= max)
		return true;
	msg("%s: not a %s", text, what);
	return false;
}

json_t *memcmd_names(void)
{
	json_t *vms = ctl_request_all("status"), *names = json_object(), *vm;
	size_t i;

	json_array_foreach(vms, i, vm) {
		char pid[24];

		snprintf(pid, sizeof(pid), "%lld", family_int(vm, "pid", 0));
		json_object_set(names, pid, json_object_get(vm, "name"));
	}
	json_decref(vms);
	return names;
}

const char *memcmd_name(const json_t *names, const json_t *vm)
{
	char pid[24];

	snprintf(pid, sizeof(pid), "%lld", family_int(vm, "pid", 0));
	return json_string_value(json_object_get(names, pid)) ?: "-";
}

uint32_t memcmd_vm(struct family *f, const char *text)
{
	json_t *vms, *names, *vm;
	uint32_t id = 0;
	uint64_t value;
	size_t i;

	if (text[strspn(text, "0123456789")] == '\0')
		return memcmd_number("VM", text, UINT32_MAX, &value) ? value : 0;
	if (family_dump(f, EMYS_CMD_VM_GET, &vms)) {
		msg("%s", family_error(f));
		return 0;
	}
	names = memcmd_names();
	json_array_foreach(vms, i, vm)
		if (!strcmp(memcmd_name(names, vm), text))
			id = family_int(vm, "id", 0);
	json_decref(names);
	json_decref(vms);
	if (!id)
		msg("%s: there is no such VM on emys, or it is somebody else's", text);
	return id;
}

static const struct nl_attr_name *find_attr(const struct nl_attr_set *set, const char *key,
					    size_t len)
{
	for (unsigned int i = 1; i <= set->max; i++) {
		const struct nl_attr_name *a = &set->attrs[i];

		if (a->name && a->type != NL_PAD && strlen(a->name) == len &&
		    !strncmp(a->name, key, len))
			return a;
	}
	return NULL;
}

static json_t *value_of(const struct nl_attr_name *a, const char *text)
{
	uint64_t n;

	if (a->values)
		return json_string(text);	/* which ones there are is told later */
	if (a->type == NL_U8 && (!strcmp(text, "on") || !strcmp(text, "off")))
		return json_boolean(!strcmp(text, "on"));
	if (a->type == NL_U64 && *text && strchr("KMGTkmgt", text[strlen(text) - 1])) {
		if (parse_size(text, 1, &n))
			return NULL;
		return json_integer(n / PAGE_BYTES);
	}
	return parse_u64(text, &n) || n > INT64_MAX ? NULL : json_integer(n);
}

static bool add_setting(const struct nl_attr_set *set, json_t *into, const char *setting)
{
	const char *key = setting, *value = strchr(setting, '=');
	const struct nl_attr_name *a = NULL;
	json_t *v;

	while (value) {
		size_t len = strcspn(key, ".=");

		a = find_attr(set, key, len);
		if (!a || (a->type == NL_NEST) != (key[len] == '.'))
			break;
		if (a->type != NL_NEST) {
			v = value_of(a, value + 1);
			if (!v)
				msg("%s: is not a number", setting);
			return v && !json_object_set_new(into, a->name, v);
		}
		if (!json_object_get(into, a->name))
			json_object_set_new(into, a->name, json_object());
		into = json_object_get(into, a->name);
		set = a->nest;
		key += len + 1;
	}
	msg("%s: is not a setting, as in key=value; --help has the keys", setting);
	return false;
}

json_t *memcmd_settings(const struct nl_attr_set *set, int argc, char **argv)
{
	json_t *into = json_object();

	for (int i = 0; i < argc; i++)
		if (!add_setting(set, into, argv[i])) {
			json_decref(into);
			return NULL;
		}
	return into;
}

void memcmd_print(const struct nl_attr_set *set, const json_t *object, const char *prefix)
{
	char key[64];

	for (unsigned int i = 1; i <= set->max; i++) {
		const struct nl_attr_name *a = &set->attrs[i];
		const json_t *v = a->name ? json_object_get(object, a->name) : NULL;

		if (!v)
			continue;
		snprintf(key, sizeof(key), "%s%s", prefix, a->name);
		if (a->type == NL_NEST) {
			strncat(key, ".", sizeof(key) - strlen(key) - 1);
			memcmd_print(a->nest, v, key);
		} else if (json_is_string(v)) {
			printf("%-24s %s\n", key, json_string_value(v));
		} else if (a->type == NL_U8) {
			printf("%-24s %s\n", key, json_integer_value(v) ? "on" : "off");
		} else {
			printf("%-24s %lld\n", key, (long long)json_integer_value(v));
		}
	}
}

int memcmd_act(struct family *f, int cmd, json_t *request)
{
	bool ok = family_do(f, cmd, request, NULL);

	json_decref(request);
	return ok ? EXIT_OK : EXIT_FAIL;
}

static char *next_text(void)
{
	static char text[TEXTS][24];
	static unsigned int n;

	return text[n++ % TEXTS];
}

const char *memcmd_size(long long pages)
{
	static const char units[] = "KMGTP";
	unsigned int unit = 0;
	double n = pages * 4.0;
	char *text = next_text();

	while (n >= 1024 && units[unit + 1]) {
		n /= 1024;
		unit++;
	}
	if (n == (long long)n || n >= 100)
		snprintf(text, 24, "%.0f%c", n, units[unit]);
	else
		snprintf(text, 24, "%.1f%c", n, units[unit]);
	return pages ? text : "0";
}

const char *memcmd_domain(long long domain)
{
	char *text = next_text();

	if (domain >= DOMAIN_OWN)
		return "own";
	snprintf(text, 24, "%lld", domain);
	return text;
}

long long memcmd_in(const json_t *o, const char *nest, const char *key)
{
	return family_int(json_object_get(o, nest), key, 0);
}

void memcmd_json(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(json);
}
