/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Serves reservations that wait for room. */

typedef struct Book Book;
typedef struct GrantSet GrantSet;
typedef struct QueueServer QueueServer;

int queue_server_new(Book *book, GrantSet *grants, QueueServer **ret);
QueueServer *queue_server_free(QueueServer *s);
/* Must be called when something changed that a waiter may need; walks the queue soon. */
void queue_server_look(QueueServer *s);
