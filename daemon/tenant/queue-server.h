/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Serves those who wait for room. */

typedef struct Book Book;
typedef struct GrantSet GrantSet;
typedef struct QueueServer QueueServer;

int queue_server_new(Book *book, GrantSet *grants, QueueServer **ret);
QueueServer *queue_server_free(QueueServer *s);
/* Something changed that those who wait may have waited for: they are looked at soon. */
void queue_server_look(QueueServer *s);
