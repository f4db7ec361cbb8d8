/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names of attributes, for messages and JSON.
 * Made by tools/nlgen of Documentation/netlink/specs/emys.yaml: edit that.
 */

#ifndef NL_NAMES_H
#define NL_NAMES_H

#include "../../include/uapi/linux/emys_netlink.h"

enum nl_type { NL_PAD, NL_FLAG, NL_U8, NL_U32, NL_U64, NL_S64, NL_NEST };

/* One attribute; an enum's values have names, ended by NULL. */
struct nl_attr_name {
	const char *name;
	enum nl_type type;
	const struct nl_attr_set *nest;
	const char *const *values;
};

struct nl_attr_set {
	const char *name;
	unsigned int max;
	const struct nl_attr_name *attrs;	/* [0] is nothing */
};

extern const struct nl_attr_set nl_counts;
extern const struct nl_attr_set nl_balloon;
extern const struct nl_attr_set nl_vm;
extern const struct nl_attr_set nl_object;
extern const struct nl_attr_set nl_dedup_policy;
extern const struct nl_attr_set nl_dedup_stats;
extern const struct nl_attr_set nl_domain;
extern const struct nl_attr_set nl_scan;
extern const struct nl_attr_set nl_clone;
extern const struct nl_attr_set nl_bounds;
extern const struct nl_attr_set nl_reclaim_policy;
extern const struct nl_attr_set nl_by_state;
extern const struct nl_attr_set nl_reclaim_stats;
extern const struct nl_attr_set nl_module;
extern const struct nl_attr_set nl_event;

extern const char *const nl_dedup_algorithm[];
extern const char *const nl_host_state[];
extern const char *const nl_large_policy[];

/* By command; NULL where there is none. */
extern const char *const nl_commands[EMYS_CMD_MAX + 1];
extern const struct nl_attr_set *const nl_command_set[EMYS_CMD_MAX + 1];

#endif
