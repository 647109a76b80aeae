/* Changes to volumes, named as the control socket names them; the same in a server and in a command. */
#ifndef TENON_TOOLS_LV_CHANGE_H
#define TENON_TOOLS_LV_CHANGE_H

#include <jansson.h>

struct error;
struct volume_group;

/* `method` is lv.create, lv.remove, lv.rename or lv.resize; `params` has "name" (VG/LV) and what the method
 * takes. 0 or a negative errno with `error` set. */
int lv_change(struct volume_group *group, const char *method, json_t *params, struct error *error);

#endif
