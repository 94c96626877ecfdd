/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an image says itself. Podman before 5.3 copies the annotations of an OCI image's manifest into the
 * container's, where nothing tells them from those of --annotation; and whoever made an image shall not ask
 * for memory of the machines on which it runs. So they are read from the storage of containers/storage
 * (podman, CRI-O, buildah), and what has the same value there is the image's. Labels are copied by none.
 *
 * Other runtimes and managers (crun and runc by themselves, containerd) take no annotations from images. */

#include "client/oci/state.h"

/* Takes those out of s->annotations. root: as for oci_place_read(). -EINVAL, with a sentence in reason: it
 * is a container of such a storage, and its image cannot be looked at. The number of those taken out. */
int oci_image_drop(const char *root, OciState *s, char reason[static OCI_REASON_MAX]);
