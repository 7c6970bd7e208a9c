/* SPDX-License-Identifier: Apache-2.0 */
/* How many web sockets one address, one token and everybody together may hold. */
#pragma once

#include "engine/base/defs.h"

struct sp_cp_seats;
struct sp_cp_seat;

struct sp_cp_seats *sp_cp_seats_new(unsigned per_address, unsigned per_token);
void sp_cp_seats_free(struct sp_cp_seats *seats);
/** sp_cp_seat_take() - a place for one socket, or NULL when @address or @token has enough.
 * Must be freed before @seats */
struct sp_cp_seat *sp_cp_seat_take(struct sp_cp_seats *seats,
                                   const char *address,
                                   const char *token);
void sp_cp_seat_free(struct sp_cp_seat *seat);
