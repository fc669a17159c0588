/*
 * What the plugins of the shelf share. Each is one object made from engine.c or pool.c with
 * SHELF_NAME and at most one SHELF_... switch that says what is wrong with it.
 */
#ifndef SHELF_H
#define SHELF_H

#include <kvs/engine.h>
#include <kvs/plugin.h>
#include <kvs/pool.h>

#ifndef SHELF_NAME
#error "SHELF_NAME is the name of the plugin, as in its file's name"
#endif

#endif
