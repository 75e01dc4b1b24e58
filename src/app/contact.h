/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Whom to write to about this server. Control thread. */
#ifndef APP_CONTACT_H
#define APP_CONTACT_H

struct conf;
struct http_server;

/* /.well-known/security.txt, if there is a server.contact. Before the api's routes. */
void contact_route(struct http_server *http, const struct conf *c);

#endif
