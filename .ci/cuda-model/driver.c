// A model of the CUDA driver, for tests without a device. Its device is main memory, and does everything as late as it may:
// a copy runs when its stream, an event behind it or the context is waited for, and not before. Each thread has a stream of
// its own (handle 2). So a buffer that is used while it is under a copy holds wrong bytes, and whoever does not wait for
// another thread's work reads what was there before it. It has no kernels, and it never fails.
//
// It says that the calls are right under these rules. It says nothing of a real device.

#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef unsigned long long Device;

struct work { struct work *next; long number; char *to, *from; size_t len; int byte, owned; };
struct stream { struct stream *next; long key, last; struct work *first, **end; };
struct event { struct stream *stream; long number; };
struct pinned { struct pinned *next; char *from, *to; };
struct dead { struct dead *next; void *memory; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stream *streams;
static struct pinned *pinned;
static struct dead *dead;
static __thread void *current;

#define LOCKED(...) do { pthread_mutex_lock(&lock); __VA_ARGS__; pthread_mutex_unlock(&lock); return 0; } while (0)

static struct stream *stream_of(void *handle) {
    long key = handle == (void *)2 ? -syscall(SYS_gettid) : (long)handle;
    struct stream *it = streams;
    while (it && it->key != key) it = it->next;
    if (it) return it;
    it = calloc(1, sizeof *it);
    *it = (struct stream){ .next = streams, .key = key };
    it->end = &it->first;
    return streams = it;
}

static void give(void *handle, void *to, const void *from, size_t len, int byte, int owned) {
    struct stream *stream = stream_of(handle);
    struct work *work = calloc(1, sizeof *work);
    *work = (struct work){ .number = ++stream->last, .to = to, .from = (char *)from, .len = len, .byte = byte, .owned = owned };
    *stream->end = work;
    stream->end = &work->next;
}

static void run(struct stream *stream, long number) {
    while (stream && stream->first && stream->first->number <= number) {
        struct work *work = stream->first;
        if (work->from) memcpy(work->to, work->from, work->len); else memset(work->to, work->byte, work->len);
        if (work->owned) free(work->from);
        if (!(stream->first = work->next)) stream->end = &stream->first;
        free(work);
    }
}

static int is_pinned(const void *memory) {
    struct pinned *it = pinned;
    while (it && !(it->from <= (char *)memory && (char *)memory < it->to)) it = it->next;
    return it != 0;
}

// Waits for no work. Memory is given back when none is left that could use it.
static void bury(void *memory) {
    struct dead *it = malloc(sizeof *it);
    *it = (struct dead){ dead, memory };
    dead = it;
    for (struct stream *stream = streams; stream; stream = stream->next) if (stream->first) return;
    while (dead) { it = dead; dead = it->next; free(it->memory); free(it); }
}

static void pin(void **memory, size_t len) {
    struct pinned *it = malloc(sizeof *it);
    *memory = aligned_alloc(4096, (len + 4095) / 4096 * 4096);
    *it = (struct pinned){ pinned, *memory, (char *)*memory + len };
    pinned = it;
}

// What is not pinned is copied aside before the call returns.
static void up(void *stream, Device to, const void *from, size_t len) {
    if (is_pinned(from)) { give(stream, (void *)to, from, len, 0, 0); return; }
    give(stream, (void *)to, memcpy(malloc(len + 1), from, len), len, 0, 1);
}

// What is not pinned is complete before the call returns; what is holds nothing of use until then.
static void down(void *stream, void *to, Device from, size_t len) {
    give(stream, to, (void *)from, len, 0, 0);
    if (is_pinned(to)) memset(to, 0xDD, len); else run(stream_of(stream), stream_of(stream)->last);
}

int cuCtxSynchronize(void) { LOCKED(for (struct stream *it = streams; it; it = it->next) run(it, it->last)); }
int cuStreamSynchronize(void *s) { LOCKED(run(stream_of(s), stream_of(s)->last)); }
int cuStreamWaitEvent(void *s, struct event *e, unsigned f) { LOCKED(run(e->stream, e->number)); }
int cuEventRecord(struct event *e, void *s) { LOCKED(e->stream = stream_of(s); e->number = e->stream->last); }
int cuEventSynchronize(struct event *e) { LOCKED(run(e->stream, e->number)); }
int cuMemHostAlloc(void **p, size_t n, unsigned f) { LOCKED(pin(p, n)); }
int cuMemFreeAsync(Device p, void *s) { LOCKED(bury((void *)p)); }
int cuMemcpyHtoDAsync_v2(Device to, const void *from, size_t n, void *s) { LOCKED(up(s, to, from, n)); }
int cuMemcpyDtoHAsync_v2(void *to, Device from, size_t n, void *s) { LOCKED(down(s, to, from, n)); }
int cuMemcpyDtoDAsync_v2(Device to, Device from, size_t n, void *s) { LOCKED(give(s, (void *)to, (void *)from, n, 0, 0)); }
int cuMemsetD8Async(Device to, unsigned char byte, size_t n, void *s) { LOCKED(give(s, (void *)to, 0, n, byte, 0)); }
int cuMemAllocAsync(Device *p, size_t n, void *s) { *p = (Device)memset(malloc(n + 1), 0xEE, n); return 0; }
int cuMemAlloc_v2(Device *p, size_t n) { return cuMemAllocAsync(p, n, 0); }
int cuMemFree_v2(Device p) { return cuMemFreeAsync(p, 0); }
int cuEventCreate(struct event **e, unsigned f) { *e = calloc(1, sizeof **e); return 0; }
int cuEventDestroy_v2(struct event *e) { free(e); return 0; }
int cuCtxGetCurrent(void **c) { *c = current; return 0; }
int cuCtxSetCurrent(void *c) { current = c; return 0; }
int cuDeviceGet(int *device, int number) { *device = number; return number ? 101 : 0; }
int cuDeviceGetAttribute(int *value, int which, int device) { *value = 1; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDevicePrimaryCtxRetain(void **c, int device) { *c = &streams; return 0; }
int cuGetErrorName(int error, const char **name) { *name = "CUDA_ERROR_OF_THE_MODEL"; return 0; }
int cuGetErrorString(int error, const char **text) { *text = "the model of the driver has no such call"; return 0; }
int cuStreamCreate(void **s, unsigned f) { *s = malloc(16); return 0; }
int cublasCreate_v2(void **handle) { *handle = &streams; return 0; }
int curandCreateGenerator(void **handle, int kind) { *handle = &streams; return 0; }

#define NOTHING(name) int name(void) { return 0; }
NOTHING(cuInit) NOTHING(cuDevicePrimaryCtxRelease_v2) NOTHING(cuStreamDestroy_v2) NOTHING(cuMemFreeHost) NOTHING(cuEventQuery)
NOTHING(cublasDestroy_v2) NOTHING(cublasSetStream_v2) NOTHING(curandDestroyGenerator) NOTHING(curandSetStream)
NOTHING(curandSetPseudoRandomGeneratorSeed)

#define MISSING(name) int name(void) { return 999; }
MISSING(cuCtxDestroy_v2) MISSING(cuLaunchKernel) MISSING(cuMemcpyPeerAsync) MISSING(cuModuleGetFunction) MISSING(cuModuleLoad)
MISSING(cuModuleLoadData) MISSING(cuModuleUnload) MISSING(cuStreamIsCapturing)
