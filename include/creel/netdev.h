/* Network devices by rtnetlink: loopback up, and moving a device into the container.  Source:
 * rtnetlink(7). */
#pragma once

#include <creel/compiler.h>

#include <stdbool.h>

struct error;

/* Brings "lo" of our network namespace up. */
int netdev_loopback_up(struct error *err) must_check;

/* Whether our network namespace has a device NAME. */
bool netdev_exists(const char *name);

/*
 * Moves NAME from our network namespace into TARGET (a descriptor of one) as NEW_NAME, in one
 * RTM_NEWLINK: taken down, moved and renamed, its permanent global addresses added again, brought
 * up.  A name that exists there is an error, unless NEW_NAME ends in "%d".
 */
int netdev_move(const char *name, int target, const char *new_name, struct error *err) must_check;
