// SPDX-License-Identifier: GPL-2.0-only
/* Module load and unload: the order of init, and its reverse. */
#include <linux/module.h>

#include "dev/dev.h"
#include "emys.h"
#include "ksm_cmd/ksm_cmd.h"

static int __init emys_init(void)
{
	int r;

	r = vmx_init();
	if (r)
		return r;
	r = nested_init();
	if (r)
		goto err_vmx;
	r = irqfd_module_init();
	if (r)
		goto err_nested;
	r = mem_dev_init();
	if (r)
		goto err_irqfd;
	r = mem_derived_init();
	if (r)
		goto err_mem;
	r = emys_dedup_init();
	if (r)
		goto err_derived;
	r = stats_init();
	if (r)
		goto err_dedup;
	r = emys_balloon_init();
	if (r)
		goto err_stats;
	r = netlink_init();
	if (r)
		goto err_balloon;
	r = dev_init();
	if (r)
		goto err_netlink;
	return 0;

err_netlink:
	netlink_exit();
err_balloon:
	emys_balloon_exit();
err_stats:
	stats_exit();
err_dedup:
	emys_dedup_exit();
err_derived:
	mem_derived_exit();
err_mem:
	mem_dev_exit();
err_irqfd:
	irqfd_module_exit();
err_nested:
	nested_cleanup();
err_vmx:
	vmx_exit();
	return r;
}

static void __exit emys_exit(void)
{
	dev_exit();
	netlink_exit();
	emys_balloon_exit();
	stats_exit();
	emys_dedup_exit();
	mem_derived_exit();
	mem_dev_exit();
	irqfd_module_exit();
	nested_cleanup();
	vmx_exit();
}

module_init(emys_init);
module_exit(emys_exit);
MODULE_DESCRIPTION("emys: a hosted hypervisor with the KVM ABI");
MODULE_LICENSE("GPL");
