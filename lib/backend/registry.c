/* SPDX-License-Identifier: MIT
 * Which backends there are, and which one a context gets. A backend that is linked in is a line of
 * `linked`; one that is a module is a line of `modules`, opened when it is first asked for. */
#define _POSIX_C_SOURCE 200809L
#include "backend/backend.h"

#include <dlfcn.h>
#include <stdio.h>

#ifndef DUMI_MODULE_DIR
#define DUMI_MODULE_DIR ""
#endif

/* Best first: the order of "auto". */
static const char *const names[] = {"cuda", "blis", "ref"};
enum { BACKENDS = sizeof names / sizeof names[0] };

/* What a module exports. It gets our ABI number before anything of it runs. */
typedef const dumi_backend *(*module_entry)(uint32_t abi);

static const dumi_backend *open_module(const char *name, const char *folder, char *reason, size_t capacity)
{
    char path[1024];
    if (folder == NULL || folder[0] == '\0')
        folder = DUMI_MODULE_DIR;
    const int length = snprintf(path, sizeof path, "%s/libdum-%s.so", folder, name);
    if (folder[0] != '/' || length < 0 || (size_t)length >= sizeof path) {
        snprintf(reason, capacity, "the module folder \"%.60s\" is not an absolute path", folder);
        return NULL;
    }
    /* Never closed: an unloaded module with threads or exit handlers of its own ends the process. */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        snprintf(reason, capacity, "its module cannot be loaded: %.150s", dlerror());
        return NULL;
    }
    void *symbol = dlsym(library, "dum_backend_open");
    module_entry entry;
    memcpy(&entry, &symbol, sizeof entry);
    const dumi_backend *backend = symbol != NULL ? entry(DUMI_BACKEND_ABI) : NULL;
    if (backend == NULL || backend->abi != DUMI_BACKEND_ABI) {
        snprintf(reason, capacity, "%.100s was built for another version of libdum", path);
        return NULL;
    }
    return backend;
}

/* The table of a backend that works here, or NULL and the reason; `reason` gets the detail if it works. */
static const dumi_backend *find(const char *name, const char *folder, char *reason, size_t capacity)
{
    const dumi_backend *backend = NULL;
    reason[0] = '\0';
    if (strcmp(name, "ref") == 0)
        backend = &dumi_backend_ref;
    else if (strcmp(name, "blis") == 0)
        backend = &dumi_backend_blis;
    else
        backend = open_module(name, folder, reason, capacity);
    if (backend == NULL)
        return NULL;
    const char *problem = backend->unavailable(reason, capacity);
    if (problem == NULL)
        return backend;
    if (problem != reason)
        snprintf(reason, capacity, "%s", problem);
    return NULL;
}

int32_t dum_backend_count(void)
{
    return BACKENDS;
}

dum_status dum_backend_get(int32_t index, dum_backend_info *info)
{
    dumi_clear_error();
    DUMI_REQUIRE(index >= 0 && index < BACKENDS, DUM_ERR_ARGUMENT, "index is %d, expected 0 to %d", index,
                 BACKENDS - 1);
    char reason[200] = "";
    dum_backend_info ours = {.struct_size = sizeof ours, .name = names[index]};
    ours.available = find(names[index], NULL, reason, sizeof reason) != NULL;
    memcpy(ours.reason, reason, sizeof ours.reason);
    return dumi_write_struct("info", info, &ours, sizeof ours, sizeof ours);
}

static dum_status open_with(dum_context *context, const dumi_backend *backend)
{
    DUMI_TRY(backend->open(context));
    context->backend = backend;
    return DUM_OK;
}

static dum_status open_best(dum_context *context, const char *folder)
{
    char reason[200], skipped[256] = "";
    for (int32_t i = 0; i < BACKENDS; i++) {
        const dumi_backend *backend = find(names[i], folder, reason, sizeof reason);
        if (backend == NULL) {
            const size_t used = strlen(skipped);
            snprintf(skipped + used, sizeof skipped - used, "; %s: %s", names[i], reason);
            continue;
        }
        DUMI_TRY(open_with(context, backend));
        dumi_log(context, DUM_LOG_INFO, DUM_LOG_BACKEND, "backend %s (%s)%s", backend->name, reason, skipped);
        return DUM_OK;
    }
    return dumi_fail(DUM_ERR_INTERNAL, "no backend is available%s", skipped);
}

dum_status dumi_backend_open(dum_context *context, const char *name, const char *module_dir)
{
    if (name == NULL || strcmp(name, "auto") == 0)
        return open_best(context, module_dir);
    char reason[200];
    for (int32_t i = 0; i < BACKENDS; i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        const dumi_backend *backend = find(name, module_dir, reason, sizeof reason);
        DUMI_REQUIRE(backend != NULL, DUM_ERR_BACKEND, "backend \"%s\" is not available: %s", name, reason);
        return open_with(context, backend);
    }
    return dumi_fail(DUM_ERR_ARGUMENT, "options.backend is \"%.40s\", expected auto, blis, cuda or ref", name);
}
