/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints of emys, below events/emys in tracefs */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM emys

#if !defined(_EMYS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _EMYS_TRACE_H

#include <linux/tracepoint.h>

/* The state of an owned page changes. from, to: enum mem_page_state of mem/owned.h */
TRACE_EVENT(emys_page_state,
	    TP_PROTO(u32 object, unsigned long index, unsigned int from, unsigned int to),
	    TP_ARGS(object, index, from, to),
	    TP_STRUCT__entry(__field(u32, object)
			     __field(unsigned long, index)
			     __field(unsigned int, from)
			     __field(unsigned int, to)
	    ),
	    TP_fast_assign(__entry->object = object;
			   __entry->index = index;
			   __entry->from = from;
			   __entry->to = to;
	    ),
	    TP_printk("object=%u index=%lu from=%s to=%s", __entry->object, __entry->index,
		      __print_symbolic(__entry->from, { 0, "absent" }, { 1, "private" },
				       { 2, "shared" }, { 3, "zero" }, { 4, "ballooned" }),
		      __print_symbolic(__entry->to, { 0, "absent" }, { 1, "private" },
				       { 2, "shared" }, { 3, "zero" }, { 4, "ballooned" }))
);

/* A VM entry of L1 is refused. error: VM-instruction error, or basic exit reason 33 */
TRACE_EVENT(emys_nested_refused,
	    TP_PROTO(u32 vcpu, u32 error, const char *rule),
	    TP_ARGS(vcpu, error, rule),
	    TP_STRUCT__entry(__field(u32, vcpu)
			     __field(u32, error)
			     __field(const char *, rule)
	    ),
	    TP_fast_assign(__entry->vcpu = vcpu;
			   __entry->error = error;
			   __entry->rule = rule;
	    ),
	    TP_printk("vcpu=%u error=%u %s", __entry->vcpu, __entry->error, __entry->rule)
);

/* VMREAD or VMWRITE of L1 that caused a VM exit, of a field that there is */
TRACE_EVENT(emys_nested_field,
	    TP_PROTO(u32 vcpu, u32 field, bool write),
	    TP_ARGS(vcpu, field, write),
	    TP_STRUCT__entry(__field(u32, vcpu)
			     __field(u32, field)
			     __field(bool, write)
	    ),
	    TP_fast_assign(__entry->vcpu = vcpu;
			   __entry->field = field;
			   __entry->write = write;
	    ),
	    TP_printk("vcpu=%u %s 0x%x", __entry->vcpu, __entry->write ? "write" : "read",
		      __entry->field)
);

/* A VM exit from L2 to L1 */
TRACE_EVENT(emys_nested_exit,
	    TP_PROTO(u32 vcpu, u32 reason, u64 qual, u32 intr_info),
	    TP_ARGS(vcpu, reason, qual, intr_info),
	    TP_STRUCT__entry(__field(u32, vcpu)
			     __field(u32, reason)
			     __field(u64, qual)
			     __field(u32, intr_info)
	    ),
	    TP_fast_assign(__entry->vcpu = vcpu;
			   __entry->reason = reason;
			   __entry->qual = qual;
			   __entry->intr_info = intr_info;
	    ),
	    TP_printk("vcpu=%u reason=%u qualification=0x%llx intr_info=0x%x", __entry->vcpu,
		      __entry->reason, __entry->qual, __entry->intr_info)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
