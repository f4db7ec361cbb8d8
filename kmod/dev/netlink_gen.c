// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies and operations.
 * Made by tools/nlgen of Documentation/netlink/specs/emys.yaml: edit that.
 */

#include "netlink_gen.h"

static struct netlink_range_validation range_1_1048576 = { .min = 1, .max = 1048576 };
static struct netlink_range_validation range_0_3600000 = { .min = 0, .max = 3600000 };
static struct netlink_range_validation range_0_1000000 = { .min = 0, .max = 1000000 };
static struct netlink_range_validation range_10_3600000 = { .min = 10, .max = 3600000 };
static struct netlink_range_validation range_1_1000000 = { .min = 1, .max = 1000000 };

static const struct nla_policy emys_dedup_policy_nl_policy[] = {
	[EMYS_A_DEDUP_POLICY_ALGORITHM] = NLA_POLICY_MAX(NLA_U32, 4),
	[EMYS_A_DEDUP_POLICY_RUN] = NLA_POLICY_MAX(NLA_U8, 1),
	[EMYS_A_DEDUP_POLICY_ADAPTIVE] = NLA_POLICY_MAX(NLA_U8, 1),
	[EMYS_A_DEDUP_POLICY_CLASSES] = NLA_POLICY_MAX(NLA_U32, 4096),
	[EMYS_A_DEDUP_POLICY_PAGES] = NLA_POLICY_FULL_RANGE(NLA_U32, &range_1_1048576),
	[EMYS_A_DEDUP_POLICY_SLEEP_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &range_0_3600000),
	[EMYS_A_DEDUP_POLICY_CPU_PERMILLE] = NLA_POLICY_RANGE(NLA_U32, 1, 1000),
};

static const struct nla_policy emys_bounds_nl_policy[] = {
	[EMYS_A_BOUNDS_CLEAR] = NLA_POLICY_FULL_RANGE(NLA_U32, &range_0_1000000),
	[EMYS_A_BOUNDS_SOFT] = NLA_POLICY_FULL_RANGE(NLA_U32, &range_0_1000000),
	[EMYS_A_BOUNDS_HARD] = NLA_POLICY_FULL_RANGE(NLA_U32, &range_0_1000000),
	[EMYS_A_BOUNDS_LOW] = NLA_POLICY_FULL_RANGE(NLA_U32, &range_0_1000000),
};

static const struct nla_policy emys_reclaim_policy_nl_policy[] = {
	[EMYS_A_RECLAIM_POLICY_BUDGET] = { .type = NLA_U64, },
	[EMYS_A_RECLAIM_POLICY_MIN_FREE] = { .type = NLA_U64, },
	[EMYS_A_RECLAIM_POLICY_UP] = NLA_POLICY_NESTED(emys_bounds_nl_policy),
	[EMYS_A_RECLAIM_POLICY_DOWN] = NLA_POLICY_NESTED(emys_bounds_nl_policy),
	[EMYS_A_RECLAIM_POLICY_LARGE] = NLA_POLICY_MAX(NLA_U32, 3),
	[EMYS_A_RECLAIM_POLICY_SAMPLE_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &range_10_3600000),
	[EMYS_A_RECLAIM_POLICY_SAMPLE_PAGES] = NLA_POLICY_RANGE(NLA_U32, 1, 512),
	[EMYS_A_RECLAIM_POLICY_COLD_SAMPLES] = NLA_POLICY_RANGE(NLA_U32, 1, 255),
	[EMYS_A_RECLAIM_POLICY_SHARE_PERMILLE] = NLA_POLICY_RANGE(NLA_U32, 1, 1000),
	[EMYS_A_RECLAIM_POLICY_STORM] = NLA_POLICY_MIN(NLA_U32, 1),
};

static const struct nla_policy emys_vm_get_nl_request[] = {
	[EMYS_A_VM_ID] = NLA_POLICY_MIN(NLA_U32, 1),
};

static const struct nla_policy emys_vm_set_nl_request[] = {
	[EMYS_A_VM_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[EMYS_A_VM_DOMAIN] = { .type = NLA_U32, },
	[EMYS_A_VM_TARGET] = NLA_POLICY_MIN(NLA_S64, 0),
	[EMYS_A_VM_SHARES] = NLA_POLICY_FULL_RANGE(NLA_U64, &range_1_1000000),
	[EMYS_A_VM_LARGE] = NLA_POLICY_MAX(NLA_U32, 4),
};

static const struct nla_policy emys_object_get_nl_request[] = {
	[EMYS_A_OBJECT_ID] = NLA_POLICY_MIN(NLA_U32, 1),
};

static const struct nla_policy emys_domain_get_nl_request[] = {
	[EMYS_A_DOMAIN_ID] = NLA_POLICY_MIN(NLA_U32, 1),
};

static const struct nla_policy emys_domain_set_nl_request[] = {
	[EMYS_A_DOMAIN_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[EMYS_A_DOMAIN_POLICY] = NLA_POLICY_NESTED(emys_dedup_policy_nl_policy),
	[EMYS_A_DOMAIN_RESET] = { .type = NLA_FLAG, },
	[EMYS_A_DOMAIN_CREATE] = { .type = NLA_FLAG, },
	[EMYS_A_DOMAIN_REMOVE] = { .type = NLA_FLAG, },
};

static const struct nla_policy emys_dedup_scan_nl_request[] = {
	[EMYS_A_SCAN_DOMAIN] = NLA_POLICY_MIN(NLA_U32, 1),
	[EMYS_A_SCAN_PASSES] = NLA_POLICY_RANGE(NLA_U32, 1, 1000),
};

static const struct nla_policy emys_module_set_nl_request[] = {
	[EMYS_A_MODULE_DEDUP] = NLA_POLICY_NESTED(emys_dedup_policy_nl_policy),
	[EMYS_A_MODULE_RECLAIM] = NLA_POLICY_NESTED(emys_reclaim_policy_nl_policy),
};

static const struct nla_policy emys_clone_nl_request[] = {
	[EMYS_A_CLONE_FROM_VM] = NLA_POLICY_MIN(NLA_U32, 1),
	[EMYS_A_CLONE_TO_VM] = NLA_POLICY_MIN(NLA_U32, 1),
	[EMYS_A_CLONE_FROM_OBJECT] = NLA_POLICY_MIN(NLA_U32, 1),
	[EMYS_A_CLONE_TO_OBJECT] = NLA_POLICY_MIN(NLA_U32, 1),
};

const struct genl_ops emys_nl_ops[] = {
	{
		.cmd = EMYS_CMD_VM_GET,
		.doit = emys_nl_vm_get_doit,
		.start = emys_nl_dump_start,
		.dumpit = emys_nl_vm_get_dumpit,
		.policy = emys_vm_get_nl_request,
		.maxattr = ARRAY_SIZE(emys_vm_get_nl_request) - 1,
	},
	{
		.cmd = EMYS_CMD_VM_SET,
		.doit = emys_nl_vm_set_doit,
		.policy = emys_vm_set_nl_request,
		.maxattr = ARRAY_SIZE(emys_vm_set_nl_request) - 1,
	},
	{
		.cmd = EMYS_CMD_OBJECT_GET,
		.doit = emys_nl_object_get_doit,
		.start = emys_nl_dump_start,
		.dumpit = emys_nl_object_get_dumpit,
		.policy = emys_object_get_nl_request,
		.maxattr = ARRAY_SIZE(emys_object_get_nl_request) - 1,
	},
	{
		.cmd = EMYS_CMD_DOMAIN_GET,
		.doit = emys_nl_domain_get_doit,
		.start = emys_nl_dump_start,
		.dumpit = emys_nl_domain_get_dumpit,
		.policy = emys_domain_get_nl_request,
		.maxattr = ARRAY_SIZE(emys_domain_get_nl_request) - 1,
	},
	{
		.cmd = EMYS_CMD_DOMAIN_SET,
		.doit = emys_nl_domain_set_doit,
		.policy = emys_domain_set_nl_request,
		.maxattr = ARRAY_SIZE(emys_domain_set_nl_request) - 1,
	},
	{
		.cmd = EMYS_CMD_DEDUP_SCAN,
		.doit = emys_nl_dedup_scan_doit,
		.policy = emys_dedup_scan_nl_request,
		.maxattr = ARRAY_SIZE(emys_dedup_scan_nl_request) - 1,
	},
	{
		.cmd = EMYS_CMD_MODULE_GET,
		.doit = emys_nl_module_get_doit,
	},
	{
		.cmd = EMYS_CMD_MODULE_SET,
		.doit = emys_nl_module_set_doit,
		.policy = emys_module_set_nl_request,
		.maxattr = ARRAY_SIZE(emys_module_set_nl_request) - 1,
	},
	{
		.cmd = EMYS_CMD_RECLAIM_ROUND,
		.doit = emys_nl_reclaim_round_doit,
	},
	{
		.cmd = EMYS_CMD_CLONE,
		.doit = emys_nl_clone_doit,
		.policy = emys_clone_nl_request,
		.maxattr = ARRAY_SIZE(emys_clone_nl_request) - 1,
	},
};

const unsigned int emys_nl_nr_ops = ARRAY_SIZE(emys_nl_ops);
