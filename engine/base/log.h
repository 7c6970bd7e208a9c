/* SPDX-License-Identifier: Apache-2.0 */
/* Logging by argument. Levels and categories are checked before arguments are evaluated. Nothing
 * personal (addresses, names, ids of people) above DEBUG; secrets never. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/defs.h"

enum sp_log_level {
    SP_LOG_ERROR, /* action needed */
    SP_LOG_WARN,  /* degraded */
    SP_LOG_INFO,  /* life-cycle */
    SP_LOG_DEBUG, /* may hold addresses and names */
    SP_LOG_TRACE, /* per packet */
};

enum sp_log_cat {
    SP_LOG_BASE = 1u << 0,
    SP_LOG_WG = 1u << 1,
    SP_LOG_STUN = 1u << 2,
    SP_LOG_TURN = 1u << 3,
    SP_LOG_ICE = 1u << 4,
    SP_LOG_NODE = 1u << 5,
    SP_LOG_DNS = 1u << 6,
    SP_LOG_NAT = 1u << 7,
    SP_LOG_CLIENT = 1u << 8,
    SP_LOG_GW = 1u << 9,
    SP_LOG_PORTAL = 1u << 10,
    SP_LOG_DRIVER = 1u << 11,
    SP_LOG_APP = 1u << 12,
};
#define SP_LOG_ALL 0xffffffffu

/** struct sp_log - where log lines go. @fn is called with a finished line without newline.
 * @max: the highest level wanted; @mask: categories wanted. A NULL @fn logs nothing. */
struct sp_log {
    void (*fn)(void *ctx, enum sp_log_level level, enum sp_log_cat cat, const char *line);
    void *ctx;
    enum sp_log_level max;
    uint32_t mask;
};

static inline bool
sp_log_on(const struct sp_log *log, enum sp_log_level level, enum sp_log_cat cat)
{
    return log && log->fn && level <= log->max && (log->mask & (uint32_t)cat);
}

void sp_log_write(const struct sp_log *log,
                  enum sp_log_level level,
                  enum sp_log_cat cat,
                  const char *format,
                  ...) SP_PRINTF(4, 5);

#define SP_LOG_AT(log, level, cat, ...)                       \
    do {                                                      \
        if (sp_log_on((log), (level), (cat)))                 \
            sp_log_write((log), (level), (cat), __VA_ARGS__); \
    } while (0)
/* SP_DEBUG(log, WG, "format", ...) */
#define SP_ERROR(log, cat, ...) SP_LOG_AT(log, SP_LOG_ERROR, SP_LOG_##cat, __VA_ARGS__)
#define SP_WARN(log, cat, ...)  SP_LOG_AT(log, SP_LOG_WARN, SP_LOG_##cat, __VA_ARGS__)
#define SP_INFO(log, cat, ...)  SP_LOG_AT(log, SP_LOG_INFO, SP_LOG_##cat, __VA_ARGS__)
#define SP_DEBUG(log, cat, ...) SP_LOG_AT(log, SP_LOG_DEBUG, SP_LOG_##cat, __VA_ARGS__)
#define SP_TRACE(log, cat, ...) SP_LOG_AT(log, SP_LOG_TRACE, SP_LOG_##cat, __VA_ARGS__)

const char *sp_log_level_name(enum sp_log_level level);
/** sp_log_cat_name() - lower case module prefix, e.g. "wg" */
const char *sp_log_cat_name(enum sp_log_cat cat);
