/* See overlay.h. A balanced tree and not a hash table: clients choose the keys. */
#include "overlay.h"

#include <search.h>

#include "value.h"

static int compare(const void *a, const void *b)
{
    return value_compare(((const struct kvs_op *)a)->key, ((const struct kvs_op *)b)->key);
}

static void keep(void *op)
{
    (void)op;
}

void overlay_deinit(struct overlay *overlay)
{
    tdestroy(overlay->root, keep);
    overlay->root = NULL;
}

bool overlay_add(struct overlay *overlay, struct kvs_op *op)
{
    struct kvs_op **node = tsearch(op, &overlay->root, compare);
    if (node == NULL)
        return false;
    *node = op;
    return true;
}

const struct kvs_op *overlay_find(const struct overlay *overlay, const struct kvs_op *op)
{
    struct kvs_op *const *node = tfind(op, &overlay->root, compare);
    return node != NULL ? *node : NULL;
}
