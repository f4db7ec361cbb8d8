// SPDX-License-Identifier: GPL-2.0-only
/* Task switches, which VMX leaves to software. */
#include "../emys.h"
#include "internal.h"

int vmx_handle_task_switch(struct emys_vcpu *vcpu)
{
	return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
}
