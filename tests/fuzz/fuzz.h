/* SPDX-License-Identifier: Apache-2.0 */
/* The entry that every fuzz target defines; the name is libFuzzer's. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
