/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/vouch.h"

#include <stdlib.h>

Vouch *vouch_free(Vouch *v)
{
        if (!v)
                return NULL;
        free(v->cgroup);
        labels_clear(&v->labels);
        free(v);
        return NULL;
}

bool vouch_words_need_permission(const VouchWords *w)
{
        return w->for_nobody || w->has_for_uid || w->labels.n > 0;
}

/* A request that leaves something out does not contradict. */
VouchVerdict vouch_judge(const Vouch *kept, const VouchWords *words, uid_t speaker, const char **ret_reason)
{
        *ret_reason = "only root may ask in the name of root";
        if (words->has_for_uid && words->for_uid == 0 && speaker != 0)
                return VOUCH_DENIED;
        if (!words->has_for_uid && words->labels.n == 0 && !(kept && words->for_nobody))
                return VOUCH_NOTHING;
        if (!kept)
                return VOUCH_NEW;
        *ret_reason = "it has other labels already, which cannot change until it ends";
        if (words->labels.n > 0 && !labels_equal(&words->labels, &kept->labels))
                return VOUCH_CHANGED;
        *ret_reason = kept->for_uid == UID_NONE
                              ? "its labels were set without a user, and none can be added until it ends"
                              : "it is for another user already, which cannot change until it ends";
        if (words->has_for_uid && words->for_uid != kept->for_uid)
                return VOUCH_CHANGED;
        *ret_reason = "it is for a user already, and cannot be for nobody until it ends";
        if (words->for_nobody && kept->for_uid != UID_NONE)
                return VOUCH_CHANGED;
        return VOUCH_NOTHING;
}
