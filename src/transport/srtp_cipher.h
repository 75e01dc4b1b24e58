/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See srtp_cipher.c. Private to transport. */
#ifndef PALABRE_TRANSPORT_SRTP_CIPHER_H
#define PALABRE_TRANSPORT_SRTP_CIPHER_H

#include <srtp2/srtp.h>

/* Once, after srtp_init and before any srtp_create that shall use them. */
srtp_err_status_t srtp_ciphers_replace(void);

#endif
