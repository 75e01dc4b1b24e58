// SPDX-License-Identifier: AGPL-3.0-or-later
// Why the room did not do what somebody wanted (DENY_LIST in include/palabre/room.h), in plain words.
import { has, t } from './i18n.js';

/** @param {string} id as wish() gives it */
export const whyWords = (id) => has(`why.${id}`) ? t(`why.${id}`) : t('why.internal');
