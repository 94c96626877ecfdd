/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Annotations of images. Podman before 5.3 copies the annotations of an OCI image's manifest into the
 * container, where they look like those of --annotation. But the maker of an image must not be able to ask
 * for memory of the machines on which it runs. So the annotations are also read from the storage of
 * containers/storage (podman, CRI-O, buildah): an annotation with the same value there is the image's. No
 * runtime copies labels.
 *
 * Other runtimes and managers (crun and runc by themselves, containerd) copy no annotations from images. */

#include "client/oci/state.h"

/* Removes the image's annotations from s->annotations, and returns their number. root: as for
 * oci_place_read(). -EINVAL, with a sentence in reason: the container is of such a storage, and its image
 * cannot be read. */
int oci_image_drop(const char *root, OciState *s, char reason[static OCI_REASON_MAX]);
