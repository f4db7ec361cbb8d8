// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names of attributes.
 * Made by tools/nlgen of Documentation/netlink/specs/emys.yaml: edit that.
 */

#include <stddef.h>

#include "nl_names.h"

const char *const nl_dedup_algorithm[] = {
	"emys", "ksm", "cmd-address", "cmd-count", "cmd-subpage", NULL
};

const char *const nl_host_state[] = {
	"high", "clear", "soft", "hard", "low", NULL
};

const char *const nl_large_policy[] = {
	"proactive", "never", "demand", "small", "module", NULL
};

static const struct nl_attr_name counts_attrs[EMYS_A_COUNTS_MAX + 1] = {
	[EMYS_A_COUNTS_PAD] = { "pad", NL_PAD },
	[EMYS_A_COUNTS_RESIDENT] = { "resident", NL_U64 },
	[EMYS_A_COUNTS_PRIVATE] = { "private", NL_U64 },
	[EMYS_A_COUNTS_SHARED] = { "shared", NL_U64 },
	[EMYS_A_COUNTS_SAVED] = { "saved", NL_U64 },
	[EMYS_A_COUNTS_ZERO] = { "zero", NL_U64 },
	[EMYS_A_COUNTS_BALLOONED] = { "ballooned", NL_U64 },
	[EMYS_A_COUNTS_ABSENT] = { "absent", NL_U64 },
	[EMYS_A_COUNTS_BLOCKS] = { "blocks", NL_U64 },
	[EMYS_A_COUNTS_MADE] = { "made", NL_U64 },
	[EMYS_A_COUNTS_BROKEN] = { "broken", NL_U64 },
	[EMYS_A_COUNTS_COLLAPSED] = { "collapsed", NL_U64 },
	[EMYS_A_COUNTS_KEPT] = { "kept", NL_U64 },
	[EMYS_A_COUNTS_MERGED] = { "merged", NL_U64 },
	[EMYS_A_COUNTS_ZEROED] = { "zeroed", NL_U64 },
	[EMYS_A_COUNTS_COPIED] = { "copied", NL_U64 },
	[EMYS_A_COUNTS_UNSHARED] = { "unshared", NL_U64 },
	[EMYS_A_COUNTS_PUNCHED] = { "punched", NL_U64 },
	[EMYS_A_COUNTS_REFAULTED] = { "refaulted", NL_U64 },
};

const struct nl_attr_set nl_counts = { "counts", EMYS_A_COUNTS_MAX, counts_attrs };

static const struct nl_attr_name balloon_attrs[EMYS_A_BALLOON_MAX + 1] = {
	[EMYS_A_BALLOON_PAD] = { "pad", NL_PAD },
	[EMYS_A_BALLOON_ACTUAL] = { "actual", NL_U64 },
	[EMYS_A_BALLOON_ACTIVE] = { "active", NL_U64 },
	[EMYS_A_BALLOON_SHAREABLE_PERMILLE] = { "shareable-permille", NL_U32 },
};

const struct nl_attr_set nl_balloon = { "balloon", EMYS_A_BALLOON_MAX, balloon_attrs };

static const struct nl_attr_name vm_attrs[EMYS_A_VM_MAX + 1] = {
	[EMYS_A_VM_PAD] = { "pad", NL_PAD },
	[EMYS_A_VM_ID] = { "id", NL_U32 },
	[EMYS_A_VM_PID] = { "pid", NL_U32 },
	[EMYS_A_VM_UID] = { "uid", NL_U32 },
	[EMYS_A_VM_DOMAIN] = { "domain", NL_U32 },
	[EMYS_A_VM_TARGET] = { "target", NL_S64 },
	[EMYS_A_VM_SHARES] = { "shares", NL_U64 },
	[EMYS_A_VM_LARGE] = { "large", NL_U32, NULL, nl_large_policy },
	[EMYS_A_VM_LARGE_OWN] = { "large-own", NL_FLAG },
	[EMYS_A_VM_COUNTS] = { "counts", NL_NEST, &nl_counts },
	[EMYS_A_VM_BALLOON] = { "balloon", NL_NEST, &nl_balloon },
	[EMYS_A_VM_LEAVES_SMALL] = { "leaves-small", NL_U64 },
	[EMYS_A_VM_LEAVES_LARGE] = { "leaves-large", NL_U64 },
	[EMYS_A_VM_TABLES] = { "tables", NL_U64 },
};

const struct nl_attr_set nl_vm = { "vm", EMYS_A_VM_MAX, vm_attrs };

static const struct nl_attr_name object_attrs[EMYS_A_OBJECT_MAX + 1] = {
	[EMYS_A_OBJECT_PAD] = { "pad", NL_PAD },
	[EMYS_A_OBJECT_ID] = { "id", NL_U32 },
	[EMYS_A_OBJECT_DOMAIN] = { "domain", NL_U32 },
	[EMYS_A_OBJECT_END] = { "end", NL_U64 },
	[EMYS_A_OBJECT_COUNTS] = { "counts", NL_NEST, &nl_counts },
};

const struct nl_attr_set nl_object = { "object", EMYS_A_OBJECT_MAX, object_attrs };

static const struct nl_attr_name dedup_policy_attrs[EMYS_A_DEDUP_POLICY_MAX + 1] = {
	[EMYS_A_DEDUP_POLICY_ALGORITHM] = { "algorithm", NL_U32, NULL, nl_dedup_algorithm },
	[EMYS_A_DEDUP_POLICY_RUN] = { "run", NL_U8 },
	[EMYS_A_DEDUP_POLICY_ADAPTIVE] = { "adaptive", NL_U8 },
	[EMYS_A_DEDUP_POLICY_CLASSES] = { "classes", NL_U32 },
	[EMYS_A_DEDUP_POLICY_PAGES] = { "pages", NL_U32 },
	[EMYS_A_DEDUP_POLICY_SLEEP_MS] = { "sleep-ms", NL_U32 },
	[EMYS_A_DEDUP_POLICY_CPU_PERMILLE] = { "cpu-permille", NL_U32 },
};

const struct nl_attr_set nl_dedup_policy = { "dedup-policy", EMYS_A_DEDUP_POLICY_MAX, dedup_policy_attrs };

static const struct nl_attr_name dedup_stats_attrs[EMYS_A_DEDUP_STATS_MAX + 1] = {
	[EMYS_A_DEDUP_STATS_PAD] = { "pad", NL_PAD },
	[EMYS_A_DEDUP_STATS_PASSES] = { "passes", NL_U64 },
	[EMYS_A_DEDUP_STATS_SCANNED] = { "scanned", NL_U64 },
	[EMYS_A_DEDUP_STATS_SKIPPED] = { "skipped", NL_U64 },
	[EMYS_A_DEDUP_STATS_VOLATILE] = { "volatile", NL_U64 },
	[EMYS_A_DEDUP_STATS_COMPARED] = { "compared", NL_U64 },
	[EMYS_A_DEDUP_STATS_FUTILE] = { "futile", NL_U64 },
	[EMYS_A_DEDUP_STATS_HASH_STEPS] = { "hash-steps", NL_U64 },
	[EMYS_A_DEDUP_STATS_MERGED] = { "merged", NL_U64 },
	[EMYS_A_DEDUP_STATS_ZEROED] = { "zeroed", NL_U64 },
	[EMYS_A_DEDUP_STATS_REFUSED] = { "refused", NL_U64 },
	[EMYS_A_DEDUP_STATS_RACED] = { "raced", NL_U64 },
	[EMYS_A_DEDUP_STATS_BYTES] = { "bytes", NL_U64 },
	[EMYS_A_DEDUP_STATS_TICKS] = { "ticks", NL_U64 },
	[EMYS_A_DEDUP_STATS_PASS_TICKS] = { "pass-ticks", NL_U64 },
	[EMYS_A_DEDUP_STATS_PASS_SCANNED] = { "pass-scanned", NL_U64 },
	[EMYS_A_DEDUP_STATS_STABLE] = { "stable", NL_U64 },
	[EMYS_A_DEDUP_STATS_SHARING] = { "sharing", NL_U64 },
	[EMYS_A_DEDUP_STATS_UNSTABLE] = { "unstable", NL_U64 },
	[EMYS_A_DEDUP_STATS_RECLASSIFIED] = { "reclassified", NL_U64 },
	[EMYS_A_DEDUP_STATS_CLASS_MIN] = { "class-min", NL_U64 },
	[EMYS_A_DEDUP_STATS_CLASS_MAX] = { "class-max", NL_U64 },
	[EMYS_A_DEDUP_STATS_RATE] = { "rate", NL_U64 },
	[EMYS_A_DEDUP_STATS_TRACED] = { "traced", NL_U64 },
	[EMYS_A_DEDUP_STATS_TRACE_WRITTEN] = { "trace-written", NL_U64 },
	[EMYS_A_DEDUP_STATS_TRACE_CHANGED] = { "trace-changed", NL_U64 },
	[EMYS_A_DEDUP_STATS_TRACE_OTHER] = { "trace-other", NL_U64 },
};

const struct nl_attr_set nl_dedup_stats = { "dedup-stats", EMYS_A_DEDUP_STATS_MAX, dedup_stats_attrs };

static const struct nl_attr_name domain_attrs[EMYS_A_DOMAIN_MAX + 1] = {
	[EMYS_A_DOMAIN_PAD] = { "pad", NL_PAD },
	[EMYS_A_DOMAIN_ID] = { "id", NL_U32 },
	[EMYS_A_DOMAIN_VMS] = { "vms", NL_U32 },
	[EMYS_A_DOMAIN_POLICY] = { "policy", NL_NEST, &nl_dedup_policy },
	[EMYS_A_DOMAIN_STATS] = { "stats", NL_NEST, &nl_dedup_stats },
	[EMYS_A_DOMAIN_COUNTS] = { "counts", NL_NEST, &nl_counts },
	[EMYS_A_DOMAIN_RESET] = { "reset", NL_FLAG },
	[EMYS_A_DOMAIN_CREATE] = { "create", NL_FLAG },
	[EMYS_A_DOMAIN_REMOVE] = { "remove", NL_FLAG },
};

const struct nl_attr_set nl_domain = { "domain", EMYS_A_DOMAIN_MAX, domain_attrs };

static const struct nl_attr_name scan_attrs[EMYS_A_SCAN_MAX + 1] = {
	[EMYS_A_SCAN_DOMAIN] = { "domain", NL_U32 },
	[EMYS_A_SCAN_PASSES] = { "passes", NL_U32 },
};

const struct nl_attr_set nl_scan = { "scan", EMYS_A_SCAN_MAX, scan_attrs };

static const struct nl_attr_name clone_attrs[EMYS_A_CLONE_MAX + 1] = {
	[EMYS_A_CLONE_PAD] = { "pad", NL_PAD },
	[EMYS_A_CLONE_FROM_VM] = { "from-vm", NL_U32 },
	[EMYS_A_CLONE_TO_VM] = { "to-vm", NL_U32 },
	[EMYS_A_CLONE_FROM_OBJECT] = { "from-object", NL_U32 },
	[EMYS_A_CLONE_TO_OBJECT] = { "to-object", NL_U32 },
	[EMYS_A_CLONE_MERGED] = { "merged", NL_U64 },
};

const struct nl_attr_set nl_clone = { "clone", EMYS_A_CLONE_MAX, clone_attrs };

static const struct nl_attr_name bounds_attrs[EMYS_A_BOUNDS_MAX + 1] = {
	[EMYS_A_BOUNDS_CLEAR] = { "clear", NL_U32 },
	[EMYS_A_BOUNDS_SOFT] = { "soft", NL_U32 },
	[EMYS_A_BOUNDS_HARD] = { "hard", NL_U32 },
	[EMYS_A_BOUNDS_LOW] = { "low", NL_U32 },
};

const struct nl_attr_set nl_bounds = { "bounds", EMYS_A_BOUNDS_MAX, bounds_attrs };

static const struct nl_attr_name reclaim_policy_attrs[EMYS_A_RECLAIM_POLICY_MAX + 1] = {
	[EMYS_A_RECLAIM_POLICY_PAD] = { "pad", NL_PAD },
	[EMYS_A_RECLAIM_POLICY_BUDGET] = { "budget", NL_U64 },
	[EMYS_A_RECLAIM_POLICY_MIN_FREE] = { "min-free", NL_U64 },
	[EMYS_A_RECLAIM_POLICY_UP] = { "up", NL_NEST, &nl_bounds },
	[EMYS_A_RECLAIM_POLICY_DOWN] = { "down", NL_NEST, &nl_bounds },
	[EMYS_A_RECLAIM_POLICY_LARGE] = { "large", NL_U32, NULL, nl_large_policy },
	[EMYS_A_RECLAIM_POLICY_SAMPLE_MS] = { "sample-ms", NL_U32 },
	[EMYS_A_RECLAIM_POLICY_SAMPLE_PAGES] = { "sample-pages", NL_U32 },
	[EMYS_A_RECLAIM_POLICY_COLD_SAMPLES] = { "cold-samples", NL_U32 },
	[EMYS_A_RECLAIM_POLICY_SHARE_PERMILLE] = { "share-permille", NL_U32 },
	[EMYS_A_RECLAIM_POLICY_STORM] = { "storm", NL_U32 },
};

const struct nl_attr_set nl_reclaim_policy = { "reclaim-policy", EMYS_A_RECLAIM_POLICY_MAX, reclaim_policy_attrs };

static const struct nl_attr_name by_state_attrs[EMYS_A_BY_STATE_MAX + 1] = {
	[EMYS_A_BY_STATE_PAD] = { "pad", NL_PAD },
	[EMYS_A_BY_STATE_HIGH] = { "high", NL_U64 },
	[EMYS_A_BY_STATE_CLEAR] = { "clear", NL_U64 },
	[EMYS_A_BY_STATE_SOFT] = { "soft", NL_U64 },
	[EMYS_A_BY_STATE_HARD] = { "hard", NL_U64 },
	[EMYS_A_BY_STATE_LOW] = { "low", NL_U64 },
};

const struct nl_attr_set nl_by_state = { "by-state", EMYS_A_BY_STATE_MAX, by_state_attrs };

static const struct nl_attr_name reclaim_stats_attrs[EMYS_A_RECLAIM_STATS_MAX + 1] = {
	[EMYS_A_RECLAIM_STATS_PAD] = { "pad", NL_PAD },
	[EMYS_A_RECLAIM_STATS_STATE] = { "state", NL_U32, NULL, nl_host_state },
	[EMYS_A_RECLAIM_STATS_CHANGES] = { "changes", NL_U64 },
	[EMYS_A_RECLAIM_STATS_USED] = { "used", NL_U64 },
	[EMYS_A_RECLAIM_STATS_BUDGET] = { "budget", NL_U64 },
	[EMYS_A_RECLAIM_STATS_FREE] = { "free", NL_U64 },
	[EMYS_A_RECLAIM_STATS_SAMPLED] = { "sampled", NL_U64 },
	[EMYS_A_RECLAIM_STATS_COLD] = { "cold", NL_U64 },
	[EMYS_A_RECLAIM_STATS_SHAREABLE] = { "shareable", NL_U64 },
	[EMYS_A_RECLAIM_STATS_BROKEN] = { "broken", NL_NEST, &nl_by_state },
	[EMYS_A_RECLAIM_STATS_BROKEN_PRIVATE] = { "broken-private", NL_U64 },
	[EMYS_A_RECLAIM_STATS_COLLAPSED] = { "collapsed", NL_U64 },
	[EMYS_A_RECLAIM_STATS_SHRUNK] = { "shrunk", NL_U64 },
	[EMYS_A_RECLAIM_STATS_WAITS] = { "waits", NL_U64 },
};

const struct nl_attr_set nl_reclaim_stats = { "reclaim-stats", EMYS_A_RECLAIM_STATS_MAX, reclaim_stats_attrs };

static const struct nl_attr_name module_attrs[EMYS_A_MODULE_MAX + 1] = {
	[EMYS_A_MODULE_PAD] = { "pad", NL_PAD },
	[EMYS_A_MODULE_DEDUP] = { "dedup", NL_NEST, &nl_dedup_policy },
	[EMYS_A_MODULE_RECLAIM] = { "reclaim", NL_NEST, &nl_reclaim_policy },
	[EMYS_A_MODULE_STATS] = { "stats", NL_NEST, &nl_reclaim_stats },
	[EMYS_A_MODULE_PAGES] = { "pages", NL_U64 },
	[EMYS_A_MODULE_SHARED] = { "shared", NL_U64 },
	[EMYS_A_MODULE_VMS] = { "vms", NL_U32 },
};

const struct nl_attr_set nl_module = { "module", EMYS_A_MODULE_MAX, module_attrs };

static const struct nl_attr_name event_attrs[EMYS_A_EVENT_MAX + 1] = {
	[EMYS_A_EVENT_PAD] = { "pad", NL_PAD },
	[EMYS_A_EVENT_TIME] = { "time", NL_U64 },
	[EMYS_A_EVENT_WITHHELD] = { "withheld", NL_U32 },
	[EMYS_A_EVENT_VM] = { "vm", NL_U32 },
	[EMYS_A_EVENT_DOMAIN] = { "domain", NL_U32 },
	[EMYS_A_EVENT_PID] = { "pid", NL_U32 },
	[EMYS_A_EVENT_UID] = { "uid", NL_U32 },
	[EMYS_A_EVENT_WAS] = { "was", NL_U32, NULL, nl_host_state },
	[EMYS_A_EVENT_STATE] = { "state", NL_U32, NULL, nl_host_state },
	[EMYS_A_EVENT_USED] = { "used", NL_U64 },
	[EMYS_A_EVENT_BUDGET] = { "budget", NL_U64 },
	[EMYS_A_EVENT_FREE] = { "free", NL_U64 },
	[EMYS_A_EVENT_TARGET] = { "target", NL_S64 },
	[EMYS_A_EVENT_ACTUAL] = { "actual", NL_U64 },
	[EMYS_A_EVENT_PASSES] = { "passes", NL_U64 },
	[EMYS_A_EVENT_SCANNED] = { "scanned", NL_U64 },
	[EMYS_A_EVENT_MERGED] = { "merged", NL_U64 },
	[EMYS_A_EVENT_TICKS] = { "ticks", NL_U64 },
	[EMYS_A_EVENT_COPIED] = { "copied", NL_U64 },
	[EMYS_A_EVENT_REFAULTED] = { "refaulted", NL_U64 },
};

const struct nl_attr_set nl_event = { "event", EMYS_A_EVENT_MAX, event_attrs };

const char *const nl_commands[EMYS_CMD_MAX + 1] = {
	[EMYS_CMD_VM_GET] = "vm-get",
	[EMYS_CMD_VM_SET] = "vm-set",
	[EMYS_CMD_OBJECT_GET] = "object-get",
	[EMYS_CMD_DOMAIN_GET] = "domain-get",
	[EMYS_CMD_DOMAIN_SET] = "domain-set",
	[EMYS_CMD_DEDUP_SCAN] = "dedup-scan",
	[EMYS_CMD_MODULE_GET] = "module-get",
	[EMYS_CMD_MODULE_SET] = "module-set",
	[EMYS_CMD_RECLAIM_ROUND] = "reclaim-round",
	[EMYS_CMD_CLONE] = "clone",
	[EMYS_CMD_VM_NEW] = "vm-new",
	[EMYS_CMD_VM_GONE] = "vm-gone",
	[EMYS_CMD_PRESSURE] = "pressure",
	[EMYS_CMD_PASS_END] = "pass-end",
	[EMYS_CMD_BALLOON_TARGET] = "balloon-target",
	[EMYS_CMD_BALLOON_REACHED] = "balloon-reached",
	[EMYS_CMD_PAGE_STORM] = "page-storm",
};

const struct nl_attr_set *const nl_command_set[EMYS_CMD_MAX + 1] = {
	[EMYS_CMD_VM_GET] = &nl_vm,
	[EMYS_CMD_VM_SET] = &nl_vm,
	[EMYS_CMD_OBJECT_GET] = &nl_object,
	[EMYS_CMD_DOMAIN_GET] = &nl_domain,
	[EMYS_CMD_DOMAIN_SET] = &nl_domain,
	[EMYS_CMD_DEDUP_SCAN] = &nl_scan,
	[EMYS_CMD_MODULE_GET] = &nl_module,
	[EMYS_CMD_MODULE_SET] = &nl_module,
	[EMYS_CMD_RECLAIM_ROUND] = &nl_module,
	[EMYS_CMD_CLONE] = &nl_clone,
	[EMYS_CMD_VM_NEW] = &nl_event,
	[EMYS_CMD_VM_GONE] = &nl_event,
	[EMYS_CMD_PRESSURE] = &nl_event,
	[EMYS_CMD_PASS_END] = &nl_event,
	[EMYS_CMD_BALLOON_TARGET] = &nl_event,
	[EMYS_CMD_BALLOON_REACHED] = &nl_event,
	[EMYS_CMD_PAGE_STORM] = &nl_event,
};
