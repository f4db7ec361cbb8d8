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

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
