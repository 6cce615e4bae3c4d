/* The Python module under libFuzzer: the interpreter is embedded, the module and the library are
 * instrumented. Run by tests/py_fuzz_test.py; HORUS_DIR is a directory of its own.
 *
 * The first byte says what: 0 the codec (what it reads, it writes, and reads again the same), 1 messages
 * from bytes, 2 a call of the module (the rest is MessagePack: the list of its arguments), 3 a buffer
 * of any format, shape and strides, 4 a DLPack tensor. Nothing may crash, hang, leak a slot or raise what
 * is no Exception; SystemError is the interpreter's word for a broken extension.
 *
 * With FUZZ_TARGET=yaml all of it is a file of InferenceOp's parameters; tests/fuzz/yaml_text.py makes such
 * files, and knows what must hold of each. */
#define HORUS_PYTHON_IMPLEMENTATION
#include "../../horus_python.h"

static horus_context *keeper;
static PyObject *texts; /* the module yaml_text, or NULL */
static uint64_t runs;
static uint32_t slots_before;

static void stop(const char *what)
{
    fprintf(stderr, "not so: %s\n", what);
    if (PyErr_Occurred())
        PyErr_Print();
    abort();
}
/* An exception must be one that a program can expect. */
static void look_at_exception(void)
{
    if (!PyErr_Occurred())
        return;
    if (PyErr_ExceptionMatches(PyExc_SystemError) || !PyErr_ExceptionMatches(PyExc_Exception))
        stop("an exception that says of itself that it is a mistake");
    PyErr_Clear();
}
/* Whatever came out is used: shown, read, copied and pickled. */
static void use(PyObject *o)
{
    static const char *const methods[] = {"copy",       "__reduce__",   "depth_statistics",
                                          "flatten",    "is_valid",     "to_bytes",
                                          "_repr_png_", "to_descriptor"};
    PyObject *r = PyObject_Repr(o);
    if (!r)
        look_at_exception();
    Py_XDECREF(r);
    if (!horusp_is_frame(o) && !horusp_is_message(o))
        return;
    if (horusp_is_frame(o) && ((horusp_frame *)o)->hold) {
        const horus_tensor *t = &((horusp_frame *)o)->t;
        uint64_t bytes, room = 0;
        void *data = NULL;
        if (horus_frame_data(&t->frame, &data, &bytes) == HORUS_OK)
            room = bytes - (uint64_t)((uint8_t *)t->data - (uint8_t *)data);
        if (horusi_tensor_span(t) > room)
            stop("a view that leaves its slot");
    }
    bool large = horusp_is_frame(o) && ((horusp_frame *)o)->hold &&
                 horus_tensor_numel(&((horusp_frame *)o)->t) > 100000;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0] && !large; i++) {
        if (strcmp(methods[i], "_repr_png_") == 0 && runs % 64)
            continue; /* a file each time */
        r = PyObject_CallMethod(o, methods[i], NULL);
        if (!r)
            look_at_exception();
        Py_XDECREF(r);
    }
    if (horusp_is_frame(o)) {
        PyObject *view = PyMemoryView_FromObject(o);
        PyObject *bytes = view ? PyObject_CallMethod(view, "tobytes", NULL) : NULL;
        look_at_exception();
        Py_XDECREF(bytes);
        Py_XDECREF(view);
    }
}

static void codec(const uint8_t *data, size_t bytes)
{
    PyObject *v = horusp_unpack(data, bytes);
    if (!v) {
        look_at_exception();
        return;
    }
    PyObject *args = PyTuple_Pack(1, v), *packed = args ? horusp_codec_pack(NULL, args) : NULL;
    PyObject *again = packed ? horusp_codec_unpack(NULL, packed) : NULL;
    PyObject *args2 = again ? PyTuple_Pack(1, again) : NULL;
    PyObject *packed2 = args2 ? horusp_codec_pack(NULL, args2) : NULL;
    if (!packed2)
        stop("what was read cannot be written and read again");
    if (PyObject_RichCompareBool(packed, packed2, Py_EQ) != 1)
        stop("what was written is read as something else");
    Py_XDECREF(packed2);
    Py_XDECREF(args2);
    Py_XDECREF(again);
    Py_XDECREF(packed);
    Py_XDECREF(args);
    Py_DECREF(v);
}

static void message(const uint8_t *data, size_t bytes)
{
    uint32_t n = bytes ? data[0] : 0;
    const horusp_class *c = horusp_classes;
    for (uint32_t i = 0; c->next && i < n % 80; i++)
        c = c->next;
    uint8_t *exact = malloc(bytes ? bytes : 1); /* so that a byte beyond is seen */
    size_t size = bytes ? bytes - 1 : 0;
    memcpy(exact, data + 1, size);
    uint8_t *just = realloc(exact, size ? size : 1);
    PyObject *m = horusp_message_new((PyObject *)c->type, just, size);
    free(just);
    if (!m) {
        look_at_exception();
        return;
    }
    use(m);
    PyObject *out = horusp_message_to_bytes(m, NULL);
    PyObject *again = out ? horusp_message_from_bytes((PyObject *)c->type, out) : NULL;
    PyObject *out2 = again ? horusp_message_to_bytes(again, NULL) : NULL;
    if (!out2 || PyObject_RichCompareBool(out, out2, Py_EQ) != 1)
        stop("a message that was read is not what was written");
    for (uint32_t i = 0; i < c->fields; i++) {
        PyObject *v = PyObject_GetAttrString(m, c->field[i].name);
        if (!v || PyObject_SetAttrString(again, c->field[i].name, v) < 0)
            look_at_exception(); /* a text that is not UTF-8 is read with other characters */
        Py_XDECREF(v);
    }
    Py_DECREF(out2);
    Py_DECREF(again);
    Py_DECREF(out);
    Py_DECREF(m);
}

/* What may be called with anything; what starts with a dot is a method of a fresh object. */
static const char *const calls[] = {"Image",
                                    "Image.empty",
                                    "Image.from_bytes",
                                    "Image.from_numpy",
                                    "PointCloud",
                                    "DepthImage",
                                    "Tensor",
                                    "Tensor.zeros",
                                    "Tensor.empty",
                                    "Tensor.from_descriptor",
                                    "Tensor.from_dlpack",
                                    "_rebuild",
                                    "_remake",
                                    "CmdVel",
                                    "LaserScan",
                                    "JointState",
                                    "OccupancyGrid",
                                    "Detection",
                                    "BoundingBox2D",
                                    "Imu",
                                    "CameraInfo",
                                    "NavPath",
                                    "Odometry",
                                    "MotorCommand",
                                    "DiagnosticReport",
                                    "TactileArray",
                                    "Image.fill",
                                    "Image.set_pixel",
                                    "Image.pixel",
                                    "Image.roi",
                                    "Image.copy_from",
                                    "Image.set_frame_id",
                                    "Image.set_timestamp_ns",
                                    "Tensor.view",
                                    "Tensor.reshape",
                                    "Tensor.slice",
                                    "Tensor.unsqueeze",
                                    "Tensor.astype",
                                    "Tensor.__dlpack__",
                                    "PointCloud.point_at",
                                    "DepthImage.get_depth",
                                    "DepthImage.set_depth",
                                    "TensorPool.alloc",
                                    "OccupancyGrid.set_occupancy",
                                    "OccupancyGrid.world_to_grid",
                                    "LaserScan._put",
                                    "NavPath._item",
                                    "LaserScan._append",
                                    "Topic.send_one",
                                    "preprocess",
                                    "yolo_decode",
                                    "softmax",
                                    "topk",
                                    "argmax",
                                    "InferenceOp.check"};

static PyObject *target_of(const char *path)
{
    char name[64];
    const char *dot = strchr(path, '.');
    size_t n = dot ? (size_t)(dot - path) : strlen(path);
    memcpy(name, path, n);
    name[n] = 0;
    PyObject *base = PyObject_GetAttrString(horusp.module, name), *f = NULL;
    if (!dot || !base)
        return base;
    if (strncmp(dot + 1, "from_", 5) == 0 || strcmp(dot, ".empty") == 0 ||
        strcmp(dot, ".zeros") == 0 || strcmp(dot, ".check") == 0) {
        f = PyObject_GetAttrString(base, dot + 1);
    } else if (strcmp(path, "Topic.send_one") == 0) {
        static PyObject *topic; /* one: the rings of closed ones keep what they carried */
        if (!topic)
            topic = PyObject_CallFunction(base, "si", "fuzz", 8);
        f = topic ? PyObject_GetAttrString(topic, "send") : NULL;
    } else {
        PyObject *o =
            strcmp(name, "Image") == 0           ? PyObject_CallFunction(base, "ii", 5, 7)
            : strcmp(name, "DepthImage") == 0    ? PyObject_CallFunction(base, "iis", 5, 7, "mm")
            : strcmp(name, "PointCloud") == 0    ? PyObject_CallFunction(base, "i", 9)
            : strcmp(name, "Tensor") == 0        ? PyObject_CallFunction(base, "((iii))", 2, 3, 4)
            : strcmp(name, "OccupancyGrid") == 0 ? PyObject_CallFunction(base, "ii", 3, 4)
                                                 : PyObject_CallFunction(base, NULL);
        f = o ? PyObject_GetAttrString(o, dot + 1) : NULL;
        Py_XDECREF(o);
    }
    Py_DECREF(base);
    return f;
}
static void call(const uint8_t *data, size_t bytes)
{
    if (bytes < 1)
        return;
    const char *path = calls[data[0] % (sizeof calls / sizeof calls[0])];
    PyObject *v = horusp_unpack(data + 1, bytes - 1);
    if (!v || !PyList_Check(v)) {
        look_at_exception();
        Py_XDECREF(v);
        return;
    }
    PyObject *kw = NULL; /* a dict at the end */
    Py_ssize_t n = PyList_GET_SIZE(v);
    if (n > 0 && PyDict_Check(PyList_GET_ITEM(v, n - 1)) && path[0] != '_') {
        kw = PyList_GET_ITEM(v, n - 1);
        Py_INCREF(kw);
        (void)PyList_SetSlice(v, n - 1, n, NULL);
    }
    PyObject *args = PyList_AsTuple(v), *f = target_of(path), *r = NULL;
    if (strcmp(path, "_remake") == 0 && args &&
        PyTuple_GET_SIZE(args) == 3) { /* lists are tuples there */
        PyObject *t =
            PySequence_Tuple(PyTuple_GET_ITEM(args, 0)); /* one level is enough to get in */
        PyErr_Clear();
        if (t && PyTuple_GET_SIZE(t) == 2 && PyList_Check(PyTuple_GET_ITEM(t, 1))) {
            PyObject *fields = PyList_AsTuple(PyTuple_GET_ITEM(t, 1));
            for (Py_ssize_t i = 0; fields && i < PyTuple_GET_SIZE(fields); i++)
                if (PyList_Check(PyTuple_GET_ITEM(fields, i))) {
                    PyObject *one = PyList_AsTuple(PyTuple_GET_ITEM(fields, i));
                    if (one)
                        (void)PyTuple_SetItem(fields, i, one);
                }
            PyObject *all = PyTuple_Pack(2, PyTuple_GET_ITEM(t, 0), fields);
            PyObject *whole =
                PyTuple_Pack(3, all, PyTuple_GET_ITEM(args, 1), PyTuple_GET_ITEM(args, 2));
            Py_XDECREF(all);
            Py_XDECREF(fields);
            Py_SETREF(args, whole);
        }
        Py_XDECREF(t);
    }
    if (args && f)
        r = PyObject_Call(f, args, kw);
    if (!r)
        look_at_exception();
    else
        use(r);
    Py_XDECREF(r);
    Py_XDECREF(f);
    Py_XDECREF(args);
    Py_XDECREF(kw);
    Py_DECREF(v);
}

/* An input that gives out bytes, then zeros. */
typedef struct reader {
    const uint8_t *at, *end;
} reader;
static uint8_t byte(reader *r) { return r->at < r->end ? *r->at++ : 0; }

/* Shape and strides of any kind, of which every element lies in `room` bytes from `*begin`: as the
 * protocols promise. */
static int geometry(reader *r, int64_t item, int64_t room, int most, int64_t *shape,
                    int64_t *strides, int64_t *begin)
{
    int ndim = byte(r) % (most + 1);
    int64_t low = 0, high = 0, n = 1;
    bool huge = byte(r) > 250;
    for (int i = 0; i < ndim; i++) {
        uint8_t how = byte(r);
        shape[i] = how < 200 ? how % 6 : how; /* zeros and ones often */
        strides[i] = (int64_t)(int8_t)byte(r);
        /* small, or far beyond the pool: what is between takes long to copy */
        int64_t next = n * (shape[i] ? shape[i] : 1);
        if (next > (1ll << 54) || (next > 1 << 16 && shape[i] > 1 && !huge))
            shape[i] = next = 1;
        n = next > n ? next : n;
        if (shape[i] > 1) {
            int64_t reach = (shape[i] - 1) * strides[i];
            if (low + reach < -room / 2 || high + reach > room / 2 - item) {
                strides[i] = 0;
                reach = 0;
            }
            *(reach < 0 ? &low : &high) += reach;
        }
    }
    for (int i = 0; n > 1 << 16 && n < 1ll << 32 && i < ndim; i++)
        shape[i] = shape[i] > 1 ? 1 : shape[i];
    *begin = room / 2;
    return ndim;
}

typedef struct exporter {
    PyObject_HEAD uint8_t *memory;
    char format[8];
    int64_t begin, item, shape[16], strides[16];
    int ndim, exports, no_shape, no_strides, version;
    horus_dl_managed_versioned dl;
    horus_dl_managed plain;
} exporter;
static int exporter_get(PyObject *self, Py_buffer *view, int flags)
{
    exporter *e = (exporter *)self;
    (void)flags;
    memset(view, 0, sizeof *view);
    int64_t n = 1;
    for (int i = 0; i < e->ndim; i++)
        n *= e->shape[i];
    view->obj = self;
    Py_INCREF(self);
    view->buf = e->memory + e->begin;
    view->itemsize = e->item;
    view->len = n * e->item;
    view->readonly = 1;
    view->ndim = e->ndim;
    view->format = e->format[0] ? e->format : NULL;
    view->shape = e->no_shape ? NULL : (Py_ssize_t *)e->shape;
    view->strides = e->no_strides ? NULL : (Py_ssize_t *)e->strides;
    e->exports++;
    return 0;
}
static void exporter_release(PyObject *self, Py_buffer *view)
{
    (void)view;
    ((exporter *)self)->exports--;
}
static void dl_deleter(void *m) { (void)m; }
static void dl_delete_plain(struct horus_dl_managed *m) { dl_deleter(m); }
static void dl_delete_versioned(struct horus_dl_managed_versioned *m) { dl_deleter(m); }
static PyObject *exporter_dlpack(PyObject *self, PyObject *args, PyObject *kw)
{
    exporter *e = (exporter *)self;
    (void)args;
    (void)kw;
    return e->version < 100 ? PyCapsule_New(&e->plain, "dltensor", NULL)
                            : PyCapsule_New(&e->dl, "dltensor_versioned", NULL);
}
static PyMethodDef exporter_methods[] = {
    {"__dlpack__", HORUSP_FN(exporter_dlpack), METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL}};
static PyBufferProcs exporter_buffer = {exporter_get, exporter_release};
static PyTypeObject exporter_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "fuzz.Exporter",
    .tp_basicsize = sizeof(exporter),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_as_buffer = &exporter_buffer,
    .tp_methods = exporter_methods,
    .tp_new = PyType_GenericNew,
};
static void give(PyObject *o, bool dlpack, bool large)
{
    static const char *const to[] = {"Image", "PointCloud", "DepthImage", "Tensor"};
    for (size_t i = 0; i < 4; i++) {
        PyObject *type = PyObject_GetAttrString(horusp.module, to[i]);
        PyObject *r = PyObject_CallMethod(type, dlpack ? "from_dlpack" : "from_numpy", "O", o);
        if (!r)
            look_at_exception();
        else
            use(r);
        Py_XDECREF(r);
        Py_DECREF(type);
    }
    if (!dlpack && !large) {
        PyObject *r = PyObject_CallMethod(horusp.module, "_pack", "O", o);
        look_at_exception();
        Py_XDECREF(r);
        r = PyObject_CallFunction((PyObject *)horusp_message_class_by_name("LaserScan"), "dddddO",
                                  0., 0., 0., 0., 0., o);
        if (!r)
            look_at_exception();
        else
            use(r);
        Py_XDECREF(r);
    }
}
static void import(const uint8_t *data, size_t bytes, bool dlpack)
{
    static const uint8_t sizes[] = {1, 1, 2, 4, 8, 16, 3, 1};
    static const char formats[] = "BbHhIiLlQqNnfdge?cPsx";
    reader r = {data, data + bytes};
    int64_t room = 4096;
    exporter *e = (exporter *)PyType_GenericAlloc(&exporter_type, 0);
    if (!e)
        stop("no memory");
    uint8_t how = byte(&r);
    e->no_shape = (how & 3) == 3;
    e->no_strides = (how & 12) == 12 || e->no_shape;
    e->version = byte(&r);
    horus_dl_tensor d;
    memset(&d, 0, sizeof d);
    d.dtype.code = byte(&r) % 20;
    d.dtype.bits = byte(&r);
    if (d.dtype.bits & 1) /* the sizes that there are, often */
        d.dtype.bits = (uint8_t)(8 << (d.dtype.bits >> 1) % 4);
    d.dtype.lanes = how & 16 ? byte(&r) : 1;
    d.device.device_type = how & 32 ? byte(&r) : 1;
    int at = 0;
    if (how & 64)
        e->format[at++] = "@=<>!|T{"[byte(&r) % 8];
    e->format[at++] = formats[byte(&r) % (sizeof formats - 1)];
    if (how & 128)
        e->format[at] = (char)byte(&r);
    static const uint8_t native[128] = {
        ['B'] = 1, ['b'] = 1, ['?'] = 1, ['c'] = 1, ['H'] = 2, ['h'] = 2,
        ['e'] = 2, ['I'] = 4, ['i'] = 4, ['f'] = 4, ['L'] = 8, ['l'] = 8,
        ['Q'] = 8, ['q'] = 8, ['N'] = 8, ['n'] = 8, ['d'] = 8, ['P'] = 8};
    uint8_t odd = byte(&r);
    e->item = native[(uint8_t)e->format[at - 1] & 127];
    if (odd > 200 || e->item == 0)
        e->item = sizes[odd % sizeof sizes];
    int64_t item = dlpack ? ((int64_t)d.dtype.bits * d.dtype.lanes + 7) / 8 : e->item;
    if (dlpack && item > 64)
        room = 65536 * 8;
    e->memory = malloc((size_t)room);
    memset(e->memory, 0x3c, (size_t)room);
    e->ndim = geometry(&r, item, room, dlpack ? 12 : 12, e->shape, e->strides, &e->begin);
    if (e->no_strides) { /* then it is dense, from the beginning */
        int64_t n = item;
        for (int i = e->ndim; i-- > 0;) {
            if (n * (e->shape[i] ? e->shape[i] : 1) > room)
                e->shape[i] = 1;
            n *= e->shape[i] ? e->shape[i] : 1;
        }
        e->begin = 0;
        if (e->no_shape)
            e->ndim = e->ndim > 0;
    }
    if (dlpack) {
        if (item > 0)
            for (int i = 0; i < e->ndim; i++) /* DLPack counts in elements */
                e->strides[i] /= item;
        uint64_t offset = how & 1 ? 64 : 0;
        d.data = e->memory + e->begin - offset;
        d.byte_offset = offset;
        d.ndim = (how & 2) && byte(&r) > 250 ? (int32_t)(int8_t)byte(&r) : e->ndim;
        if (d.ndim > e->ndim)
            d.ndim = 16;
        d.shape = e->shape;
        d.strides = e->no_strides ? NULL : e->strides;
        if (d.ndim == 16)
            memset(e->shape, 0, sizeof e->shape);
        e->dl.major = e->version == 101 ? 2 : 1;
        e->dl.dl_tensor = e->plain.dl_tensor = d;
        e->dl.deleter = dl_delete_versioned;
        e->plain.deleter = dl_delete_plain;
    }
    double elements = 1;
    for (int i = 0; i < e->ndim; i++)
        elements *= (double)e->shape[i];
    give((PyObject *)e, dlpack, elements > 1 << 17);
    if (e->exports != 0)
        stop("a buffer that was taken and not given back");
    free(e->memory);
    if (Py_REFCNT(e) != 1)
        stop("somebody keeps the exporter");
    Py_DECREF(e);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (!getenv("HORUS_DIR"))
        exit((fprintf(stderr, "set HORUS_DIR to an empty directory of your own in /dev/shm\n"), 2));
    horus_context_desc d;
    memset(&d, 0, sizeof d);
    d.pool_bytes = 64 << 20; /* what is asked for is often too much */
    if (horus_context_open(&keeper, &d) != HORUS_OK)
        exit((fprintf(stderr, "%s\n", horus_last_error()), 2));
    if (PyImport_AppendInittab("horus", PyInit_horus) < 0)
        exit(2);
    Py_InitializeEx(0);
    PyObject *m = PyImport_ImportModule("horus");
    if (!m || PyType_Ready(&exporter_type) < 0)
        stop("no module");
    const char *target = getenv("FUZZ_TARGET");
    if (target && strcmp(target, "yaml") == 0 && !(texts = PyImport_ImportModule("yaml_text")))
        stop("no yaml_text");
    return 0;
}
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    if (!texts || seed % 8 == 0)
        return LLVMFuzzerMutate(data, bytes, room);
    PyObject *text = PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)bytes);
    PyObject *made = PyObject_CallMethod(texts, "mutate", "NIn", text, seed, (Py_ssize_t)room);
    if (!made || !PyBytes_Check(made) || (size_t)PyBytes_GET_SIZE(made) > room)
        stop("no text was made");
    bytes = (size_t)PyBytes_GET_SIZE(made);
    memcpy(data, PyBytes_AS_STRING(made), bytes);
    Py_DECREF(made);
    return bytes;
}
static void parameters(const uint8_t *data, size_t bytes)
{
    PyObject *text = PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)bytes);
    PyObject *r = PyObject_CallMethod(texts, "look", "N", text);
    if (!r)
        stop("what must hold of a file of parameters");
    Py_DECREF(r);
}
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    horus_pool_stats s;
    if (bytes == 0)
        return 0;
    switch (texts ? 5 : data[0] % 5) {
    case 0:
        codec(data + 1, bytes - 1);
        break;
    case 1:
        message(data + 1, bytes - 1);
        break;
    case 2:
        call(data + 1, bytes - 1);
        break;
    case 5:
        parameters(data, bytes);
        break;
    default:
        import(data + 1, bytes - 1, data[0] % 5 == 4);
    }
    if (PyErr_Occurred())
        stop("an exception that nobody raised");
    if (runs++ % 256 == 0) {
        (void)PyGC_Collect();
        if (horus_pool_get_stats(NULL, &s) != HORUS_OK)
            stop("no statistics");
        if (runs == 1)
            slots_before = s.used_slots;
        if (s.used_slots > slots_before + 16) /* a topic, its ring and what it holds */
            stop("slots that nobody holds are not free");
    }
    return 0;
}
