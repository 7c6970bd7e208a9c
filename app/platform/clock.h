/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks of the programs: one that counts suspend for everything the engine does, and its
 * anchor to Unix time. Thread: any. */
#pragma once

#include "engine/base/rng.h"
#include "engine/base/time.h"

/** sp_clock_now() - ns since boot, suspend included; never goes back */
sp_time sp_clock_now(void);
/** sp_clock_wall() - anchor of sp_clock_now() to Unix time, taken now */
struct sp_wall sp_clock_wall(void);
