/* horus_python.h - the CPython module `horus`: pool memory, topics and messages of horus.h for
 * Python, zero-copy into NumPy, PyTorch, JAX, OpenCV, ONNX Runtime and TensorFlow
 *
 * Version 0.1.0. Public domain or MIT, as you choose; see the end of horus.h.
 *
 * Contents (search for the tag)
 *
 *     the ground   >>manual >>state >>errors >>arguments
 *     memory       >>holds >>numpy >>dlpack >>frames >>sources >>arithmetic
 *     types        >>image >>cloud >>depth >>tensor >>pool
 *     any value    >>codec >>encode >>decode
 *     messages     >>messages >>values >>methods >>table >>classes >>definitions
 *     topics       >>topic >>receive >>handles
 *     vision       >>vision
 *     scheduler    >>node >>callbacks >>scheduler >>runs >>reports >>clock
 *     models       >>backends >>inference
 *     module       >>module
 *
 * ------------------------------------------------------------------------------------ >>manual
 *
 * One command makes the module for the interpreter at hand; horus.h lies beside this file:
 *
 *     gcc -O2 -shared -fPIC -DHORUS_PYTHON_IMPLEMENTATION -x c horus_python.h \
 *         -o horus$(python3-config --extension-suffix) $(python3-config --includes)
 *
 *     import horus, numpy as np
 *     topic = horus.Topic(horus.Image)                   # in two processes
 *     topic.send(horus.Image.from_numpy(frame))          # in one: one copy, into the pool
 *     pixels = topic.recv(timeout=1).to_numpy()          # in the other: no copy
 *
 * No header of NumPy, torch or DLPack is needed. The frameworks are imported when a call needs one;
 * ImportError names it if it is missing.
 *
 * Lifetimes. An array, tensor or capsule made from a frame keeps the frame's memory, whatever becomes
 * of the object it came from: views stay valid after del, release() and any number of later recv().
 *
 * Writing. A fresh frame is writable through each of its views. send() publishes it: from then on new
 * views are read-only, and so are the views of what recv() returned; copy() gives a private one. A
 * NumPy array or a tensor that was made before send() stays writable, and writes through it reach
 * every reader: make them anew, or let them go. torch, ONNX Runtime and OpenCV before 4.9 ignore the
 * flag and write straight through. To find who does, run with HORUS_PROTECT=1 in the environment: such
 * a write is a SIGSEGV where it happens (python -X faulthandler shows the line).
 *
 * Traps. `a += frame`, where `a` is an ndarray, does not write into `a`: NumPy leaves the operator to the
 * frame, and `a` becomes a new Tensor; np.add(a, frame, out=a) and a += frame.to_numpy() write into it.
 * `==` compares element by element and gives a Tensor, which is true, as every message is, whatever is in
 * it: not `if a == b` but np.array_equal(a, b). A view that begins within a frame (slice(), an index) is
 * no longer 64-byte aligned, unless by chance: JAX makes a copy of it, and TensorFlow ends the process in
 * the first operation on it: hand out its copy(), which is aligned.
 *
 * Who asks for plain bytes (file.write(), hashlib, zlib, PIL.Image.fromarray()) gets them of a 1-D uint8
 * tensor alone, since torch.asarray() would read those of any other as numbers: BufferError; hand out
 * memoryview(frame) or frame.to_numpy().
 *
 * Values. What a type cannot hold is OverflowError or another ValueError where one number is set: fill(),
 * set_pixel(), set_depth(), fields of messages; 1e39 does not become the infinity of float32, and
 * infinities stay what they are. Arrays are converted by NumPy's own rule, a RuntimeWarning at most:
 * astype(), t[:] = array, and DepthImage.from_numpy() and from_torch() of float64. Other from_numpy() keep
 * the dtype. Subclasses of ndarray are taken as the arrays that they are (memmap, recarray, matrix); a
 * masked array is refused, for its mask would be lost: filled() gives a plain one.
 *
 * JAX without jax_enable_x64 has no 64-bit types: to_jax() gives what JAX makes of them, a copy of
 * 32 bits, with a UserWarning as JAX's own; jax.dlpack.from_dlpack(frame) does the same in silence.
 *
 * Kernels in C. Images, clouds, depth images and tensors have DLPack's exchange table
 * (__dlpack_c_exchange_api__), so that a kernel of tvm-ffi takes them as they are, allocates in the
 * pool, zeroed, and returns a Tensor: of the same memory where that is a frame's, else of a copy. The
 * table's plain DLTensor keeps nothing and cannot say that a frame is read-only.
 *
 * Threads. Every object may be used by any thread. Waits let other threads run, and so does whatever
 * copies more than 64 KB in one go: copy(), copy_from(), fill(), roi(), from_numpy() and the like, DLPack,
 * pickling, statistics, a bytes, bytearray or str in a message, messages into the pool and out of it,
 * preprocess(), softmax(), topk(), argmax() and yolo_decode().
 * What is made of many small objects (a long list, the arrays of a message class as they are gathered
 * into one) does not. A frame that one thread writes to through its object (fill, copy_from, []=, in-place
 * operators) cannot be sent by another at the same time: BusyError. Deleters of exported tensors need no
 * interpreter lock.
 *
 * Nodes. Ordered nodes tick on the thread that called run(); compute, async and on= nodes on threads of
 * their own. Python runs one of them at a time: a tick that spends its time in NumPy, torch or ONNX
 * Runtime lets the others go on, one in pure Python holds them up for 5 ms at a time
 * (sys.setswitchinterval): put it into a process of its own. run() returns after Ctrl-C, SIGTERM and what
 * policies stop; a handler of your own for these signals stays in place, and then nothing of that, nor
 * if run() is called in another thread than Python's main one: there a handler of yours calls stop().
 * Figures are in shared memory under the scheduler's name, as horus_scheduler_read finds them; of an
 * InferenceOp those of each model, too, as "node/model".
 *
 * Inference. InferenceOp is a Node over the C operator (horus.h, >>inference): what is said there of frames,
 * maps and parallel models holds. A model of ONNX Runtime reads and writes pool memory and lets other
 * threads run; the C library is never loaded beside the Python package, which has its own. torch reads pool
 * memory, and its results are copied once. A back end in Python (register_backend()) has the GIL while
 * run() is Python. Results of infer() and get() are read-only, for they may be sent again.
 *
 * Capacity. A topic's handle keeps its newest 1024 messages, or as many as it was opened with. What is
 * larger than an entry of its ring (stats()["message_bytes"]: 168 bytes where no class is named, 1000
 * or more where a class has variable fields) is a pool block each; they take at most an eighth of the
 * pool. Of frames and arrays it keeps 8 unless a capacity is given.
 *
 * fork(). In the child, frames that were inherited stay readable and hold nothing: their memory is
 * theirs only as long as the parent keeps it. The first new frame or topic joins again, and a Topic
 * that was inherited opens itself anew. Send or describe a copy() of an inherited frame.
 *
 * Errors. Whatever the module raises over a value, a state or the system derives from horus.Error and
 * from the builtin that fits: OverflowError is a ValueError too. Python's own stay what they are:
 * TypeError for arguments that a signature has not, ImportError, AttributeError for what cannot be
 * deleted, MemoryError of the heap, what NumPy and other frameworks raise (IndexError of t[99]), and what
 * a method of an argument raises. An argument of a wrong Python type (None for a shape) is mostly a
 * horus.MessageTypeError; where Python itself refuses it, it is a plain TypeError: catch TypeError. The
 * methods of message classes that take a message take whatever has the fields that they read, and what
 * has not is an AttributeError.
 *
 * One interpreter of a process may use the module; a second one is refused with ImportError. A build
 * without the interpreter's lock (3.13t, 3.14t) takes it again when it imports the module, and says so in
 * a RuntimeWarning: handles of topics, counters, the codec's table of keys and the scheduler's list are
 * guarded by that lock alone. So its tests pass with CPython 3.13.5 built without the lock. PYTHON_GIL=0,
 * which keeps it away all the same, is not supported.
 *
 * Coming from horus-robotics 0.4.1. Programs that use its images, clouds, depth, tensors, topics, nodes
 * and message classes run unchanged but for what is listed below; tests/py_dropin_test.py compares
 * names, signatures, defaults, values and errors, class by class. What you gain: frames that outlive the
 * next recv(), topics that lose nothing silently (missed_count(), policy=, history=), messages of any
 * length, and processes that may be killed at any time. What changes:
 *
 *     views after send()         new ones are read-only; copy() gives a writable frame
 *     pixel()                    a list of numbers, as the documentation says; not bytes
 *     lengths                    nothing is filled up or cut: LaserScan() has no ranges, texts, joints
 *                                and paths have any length or are ValueError
 *     values out of range        OverflowError or ValueError; never clamped or wrapped
 *     x += 1                     stays in place for every frame, and an Image stays an Image
 *     nested messages            views: odom.pose.x = 1 writes into odom. There they are copies
 *     messages                   have keyword defaults and more writable attributes, compare with ==
 *                                without timestamp_ns, all are true
 *     read_latest()              every type
 *     recv(), send()             take timeout= in the first place after the message; a Node is known there
 *                                as what it is, and not needed
 *     depth_scale                of uint16 is 0.001: get_depth() is in metres
 *     Tensor.slice()             clamps as Python's slices do
 *     masked arrays              are refused
 *     errors                     also derive from horus.Error. A name or a capacity that cannot be is
 *                                ValueError, what the pool can never hold too: there RuntimeError
 *     sizes                      0 rows, columns or fields are ValueError for images, depth and clouds;
 *                                Tensor() may have none, and dimensions of 0
 *     Tensor                     has NumPy's operators, compares element by element and is hashed
 *                                as an object; astype() always copies; refcount counts holds, not views
 *     stats()                    have more keys; max_slots of a pool is what fits into it
 *     send_blocking()            returns True, there None
 *     get_uptime()               counts on its own clock if deterministic=True. rate=True is refused
 *     sub_count()                counts a handle from its opening until its first send
 *     not there                  PointXYZ and its kin, transforms, Params, drivers, msggen, NodeInfo's log_pub(),
 *                                log_sub() and transition_to_error(), Scheduler's remove_node() and its list
 *                                of recordings */
#ifndef HORUS_PYTHON_H
#define HORUS_PYTHON_H
#ifdef HORUS_PYTHON_IMPLEMENTATION

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#define HORUS_STATIC
#define HORUS_IMPLEMENTATION
#include "horus.h"
#include <math.h>
#include <sys/resource.h>

#if PY_VERSION_HEX < 0x03090000
#error "horus_python.h: CPython 3.9 or newer is needed"
#endif

#define HORUSP_FN(f) ((PyCFunction)(void (*)(void))(f))
#define HORUSP_FAST (METH_FASTCALL | METH_KEYWORDS)

/* ------------------------------------------------------------------------------------ >>state
 *
 * One process, one interpreter: what the module knows lies in one struct. Frameworks and their
 * functions are looked up at first use. */
static struct {
    PyObject *module;
    PyObject *error;          /* horus.Error */
    PyObject *by_code[32];    /* for each horus_result below 0, at its negative */
    PyObject *timeout_error;  /* TIMEOUT */
    PyObject *overflow_error; /* a number that its place cannot hold: an ArgumentError too */
    PyObject *buffer_error;   /* DLPack and the buffer protocol */
    PyObject *unicode_error;  /* a text that is not UTF-8 */
    PyObject *decode_error;   /* bytes that are not UTF-8, where a text should be */
    PyObject *index_error;    /* beyond the elements of a message */
    PyObject *dtype_error;    /* an array whose elements are of a wrong type: ValueError too */
    PyObject *numpy;          /* the module, or NULL */
    PyObject *torch_from, *jax_from; /* from_dlpack of the frameworks, or NULL */
    PyObject *bfloat16;              /* NumPy's dtype of ml_dtypes, or NULL */
    PyObject *pools;                 /* dict: pool_id -> TensorPool */
    PyObject *pixel_map;             /* horus.PixelMap */
    void **np;                       /* NumPy's C table, or NULL */
    bool np_tried;
    PyTypeObject *torch_type; /* torch.Tensor, or NULL, and its table, or NULL */
    const struct horusp_exchange *torch;
} horusp;

static PyObject *horusp_ref(PyObject *o)
{
    Py_XINCREF(o);
    return o;
}

/* A name that is looked up once. */
typedef struct horusp_name {
    const char *text;
    PyObject *object;
} horusp_name;
static PyObject *horusp_str(horusp_name *n)
{
    if (!n->object)
        n->object = PyUnicode_InternFromString(n->text);
    return n->object;
}

/* A framework, imported when somebody needs it. A new reference, or NULL with ImportError. */
static PyObject *horusp_import(PyObject **slot, const char *name)
{
    if (!*slot) {
        PyObject *m = PyImport_ImportModule(name);
        if (!m) {
            if (PyErr_ExceptionMatches(PyExc_ModuleNotFoundError)) {
                PyErr_Clear();
                PyErr_Format(PyExc_ImportError,
                             "horus: this needs %s, which is not installed: pip install %s", name,
                             name);
            }
            return NULL;
        }
        if (*slot)
            Py_DECREF(m);
        else
            *slot = m;
    }
    Py_INCREF(*slot);
    return *slot;
}
static PyObject *horusp_numpy(void) { return horusp_import(&horusp.numpy, "numpy"); }

/* ------------------------------------------------------------------------------------ >>errors
 *
 * Each code below 0 is an exception of its own, which derives from horus.Error and from the builtin
 * that a user would catch. What Python itself raises stays what it is: see the manual. */
/* clang-format off */
#define HORUSP_EXCEPTIONS(X)                                                                              \
    X(E_ARG, "ArgumentError", PyExc_ValueError, "A value is out of range.")                               \
    X(E_NAME, "NameSyntaxError", PyExc_ValueError, "Not a name for a topic, pool or namespace.")          \
    X(E_TYPE, "MessageTypeError", PyExc_TypeError, "A topic or a value is of another type.")              \
    X(E_POLICY, "PolicyError", PyExc_ValueError, "The topic has another delivery policy.")                \
    X(E_SIZE, "SizeError", PyExc_ValueError, "A size or count does not fit.")                             \
    X(E_MEMORY, "OutOfMemoryError", PyExc_MemoryError, "Out of heap memory or address space.")            \
    X(E_POOL_FULL, "PoolFullError", PyExc_MemoryError, "The pool is full; the text says who holds what.") \
    X(E_LIMIT, "LimitError", PyExc_RuntimeError, "A fixed limit was reached.")                            \
    X(E_BUSY, "BusyError", PyExc_RuntimeError, "In use by another thread or process.")                    \
    X(E_CLOSED, "ClosedError", PyExc_RuntimeError, "The object is closed or was released.")               \
    X(E_READONLY, "ReadOnlyError", PyExc_ValueError, "The frame is published; copy() is writable.")       \
    X(E_NOT_FOUND, "NotFoundError", PyExc_FileNotFoundError, "There is no such thing.")                   \
    X(E_PERMISSION, "PermissionError", PyExc_PermissionError, "Not allowed.")                             \
    X(E_VERSION, "VersionError", PyExc_RuntimeError, "Another version of the shared layout.")             \
    X(E_CORRUPT, "CorruptError", PyExc_RuntimeError, "Shared memory holds impossible values.")            \
    X(E_SYSTEM, "SystemError", PyExc_OSError, "The operating system refused.")                            \
    X(E_UNSUPPORTED, "UnsupportedError", PyExc_RuntimeError, "Not available here.")                       \
    X(E_GONE, "GoneError", PyExc_RuntimeError, "The namespace's file was removed.")                       \
    X(E_DETACHED, "DetachedError", PyExc_RuntimeError, "Opened before fork().")                           \
    X(E_DIVERGED, "DivergedError", PyExc_RuntimeError, "A replay did something else than the recording.")
/* clang-format on */

/* Raises what horus_last_error() says; NULL. */
static PyObject *horusp_error(horus_result r)
{
    const char *text = horus_last_error();
    if (r == HORUS_INTERRUPTED && PyErr_CheckSignals() < 0)
        return NULL;
    if (r == HORUS_TIMEOUT) {
        PyErr_SetString(horusp.timeout_error, text[0] ? text : horus_result_text(r));
        return NULL;
    }
    PyObject *type = r < 0 && -(int)r < 32 ? horusp.by_code[-(int)r] : NULL;
    PyErr_SetString(type ? type : horusp.error, r < 0 && text[0] ? text : horus_result_text(r));
    return NULL;
}
static PyObject *horusp_released(const char *what)
{
    PyErr_Format(horusp.by_code[-HORUS_E_CLOSED], "this %s was released", what);
    return NULL;
}
static PyObject *horusp_read_only(void)
{
    PyErr_SetString(horusp.by_code[-HORUS_E_READONLY],
                    "this frame was sent, or inherited over fork(), so it can only be read: copy() "
                    "gives a writable one");
    return NULL;
}

/* Values of a wrong type or out of range. */
#define HORUSP_TYPE_ERROR (horusp.by_code[-HORUS_E_TYPE])
#define HORUSP_VALUE_ERROR (horusp.by_code[-HORUS_E_ARG])

/* As PyErr_Format(), for texts that show a value of the user's: an int of thousands of digits cannot
 * be shown, and is an error of ours all the same. NULL. */
static PyObject *horusp_refuse(PyObject *type, const char *format, ...)
{
    va_list args;
    PyErr_Clear(); /* what calls repr() needs none */
    va_start(args, format);
    PyObject *text = PyUnicode_FromFormatV(format, args);
    va_end(args);
    PyObject *raised = text ? NULL : PyErr_Occurred();
    if (text)
        PyErr_SetObject(type, text);
    else if (raised == PyExc_ValueError)
        PyErr_SetString(type, "an int of too many digits to be shown is no value for this");
    Py_XDECREF(text);
    return NULL;
}

/* A builtin exception that Python raised over a value of the user's, as ours. -1. */
static int horusp_ours(void)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    PyObject *ours = type == PyExc_UnicodeEncodeError   ? horusp.unicode_error
                     : type == PyExc_UnicodeDecodeError ? horusp.decode_error
                     : type == PyExc_OverflowError      ? horusp.overflow_error
                     : type == PyExc_BufferError        ? horusp.buffer_error
                                                        : NULL;
    PyObject *args = ours && value ? PyObject_GetAttrString(value, "args") : NULL;
    PyObject *made = args && PyTuple_Check(args) ? PyObject_CallObject(ours, args) : NULL;
    Py_XDECREF(args);
    if (made) {
        PyErr_SetObject(ours, made);
        Py_DECREF(made);
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
    } else {
        PyErr_Clear();
        PyErr_Restore(type, value, trace);
    }
    return -1;
}
/* The bytes of a str; NULL with an exception, also if it holds lone surrogates. */
static const char *horusp_utf8(PyObject *o, Py_ssize_t *bytes)
{
    const char *s = PyUnicode_AsUTF8AndSize(o, bytes);
    if (!s)
        (void)horusp_ours();
    return s;
}
/* What the operating system refused: of ours and of the builtin that errno has. NULL. */
static PyObject *horusp_os_error(int code, PyObject *path)
{
    PyObject *plain = PyObject_CallFunction(PyExc_OSError, "isO", code, strerror(code), path);
    PyObject *made = NULL, *type = NULL, *known = NULL;
    if (!plain)
        return NULL;
    PyObject *base = (PyObject *)Py_TYPE(plain);
    if (base == PyExc_OSError || base == PyExc_PermissionError || base == PyExc_FileNotFoundError) {
        type = horusp_ref(horusp.by_code[base == PyExc_OSError           ? -HORUS_E_SYSTEM
                                         : base == PyExc_PermissionError ? -HORUS_E_PERMISSION
                                                                         : -HORUS_E_NOT_FOUND]);
    } else { /* IsADirectoryError and its like: made when one is needed */
        char full[64];
        (void)snprintf(full, sizeof full, "horus.%.40s", Py_TYPE(plain)->tp_name);
        known = PyObject_GetAttrString(horusp.module, Py_TYPE(plain)->tp_name);
        PyErr_Clear();
        PyObject *bases = PyTuple_Pack(2, horusp.by_code[-HORUS_E_SYSTEM], base);
        type = known ? horusp_ref(known) : bases ? PyErr_NewException(full, bases, NULL) : NULL;
        if (type && !known &&
            PyObject_SetAttrString(horusp.module, Py_TYPE(plain)->tp_name, type) < 0)
            Py_CLEAR(type);
        Py_XDECREF(bases);
        Py_XDECREF(known);
    }
    if (type)
        made = PyObject_CallFunction(type, "isO", code, strerror(code), path);
    if (made)
        PyErr_SetObject(type, made);
    Py_XDECREF(made);
    Py_XDECREF(type);
    Py_DECREF(plain);
    return NULL;
}

/* Base: of the class, itself a subclass of horus.Error; over: a class of ours that it belongs to. */
static PyObject *horusp_exception(PyObject *module, const char *name, PyObject *over,
                                  PyObject *base, const char *doc)
{
    char full[64];
    (void)snprintf(full, sizeof full, "horus.%s", name);
    PyObject *bases = base ? PyTuple_Pack(2, over, base) : PyTuple_Pack(1, PyExc_Exception);
    if (!bases)
        return NULL;
    PyObject *e = PyErr_NewExceptionWithDoc(full, doc, bases, NULL);
    Py_DECREF(bases);
    if (!e)
        return NULL;
    Py_INCREF(e);
    if (PyModule_AddObject(module, name, e) < 0) {
        Py_DECREF(e);
        Py_DECREF(e);
        return NULL;
    }
    return e;
}
static int horusp_errors_init(PyObject *module)
{
    horusp.error = horusp_exception(module, "Error", NULL, NULL,
                                    "What every error of this module derives from.");
    if (!horusp.error)
        return -1;
    horusp.timeout_error = horusp_exception(module, "TimeoutError", horusp.error,
                                            PyExc_TimeoutError, "The time ran out.");
    if (!horusp.timeout_error)
        return -1;
#define HORUSP_X(code, name, base, doc)                                                            \
    if (!(horusp.by_code[-HORUS_##code] =                                                          \
              horusp_exception(module, name, horusp.error, base, doc)))                            \
        return -1;
    HORUSP_EXCEPTIONS(HORUSP_X)
#undef HORUSP_X
    if (!(horusp.overflow_error =
              horusp_exception(module, "OverflowError", HORUSP_VALUE_ERROR, PyExc_OverflowError,
                               "A number that its place cannot hold.")) ||
        !(horusp.buffer_error =
              horusp_exception(module, "BufferError", horusp.error, PyExc_BufferError,
                               "Memory that cannot be shared as was asked.")) ||
        !(horusp.unicode_error =
              horusp_exception(module, "UnicodeEncodeError", HORUSP_VALUE_ERROR,
                               PyExc_UnicodeEncodeError, "A text that is not UTF-8.")) ||
        !(horusp.decode_error =
              horusp_exception(module, "UnicodeDecodeError", HORUSP_VALUE_ERROR,
                               PyExc_UnicodeDecodeError, "A received text that is not UTF-8.")) ||
        !(horusp.index_error = horusp_exception(module, "IndexError", HORUSP_VALUE_ERROR,
                                                PyExc_IndexError, "Beyond the elements.")) ||
        !(horusp.dtype_error =
              horusp_exception(module, "DTypeError", HORUSP_TYPE_ERROR, PyExc_ValueError,
                               "An array whose elements are of another type than is taken.")))
        return -1;
    Py_INCREF(horusp.timeout_error);
    if (PyModule_AddObject(module, "HorusTimeoutError", horusp.timeout_error) < 0)
        return -1;
    Py_INCREF(horusp.by_code[-HORUS_E_NOT_FOUND]);
    return PyModule_AddObject(module, "HorusNotFoundError", horusp.by_code[-HORUS_E_NOT_FOUND]);
}

/* ------------------------------------------------------------------------------------ >>arguments
 *
 * Arguments of a fast call, by position and by keyword, into an array with a place for each. */
enum { HORUSP_ARGS = 20 };
typedef struct horusp_sig {
    const char *function;
    int count, required, positional; /* names; needed ones; those that may come by position */
    horusp_name name[HORUSP_ARGS];
} horusp_sig;

static bool horusp_args(horusp_sig *s, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                        PyObject **out)
{
    if (nargs > s->positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d positional arguments (%zd given)",
                     s->function, s->positional, nargs);
        return false;
    }
    for (int i = 0; i < s->count; i++)
        out[i] = i < nargs ? args[i] : NULL;
    Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t k = 0; k < keywords; k++) {
        PyObject *key = PyTuple_GET_ITEM(kwnames, k);
        if (!PyUnicode_Check(key)) { /* functools.partial lets anything through */
            PyErr_Format(PyExc_TypeError, "%s(): keywords must be strings", s->function);
            return false;
        }
        int i = 0;
        for (; i < s->count && s->name[i].object != key; i++)
            ;
        if (i == s->count)
            for (i = 0;
                 i < s->count && PyUnicode_CompareWithASCIIString(key, s->name[i].text) != 0;)
                i++;
        if (i == s->count) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'",
                         s->function, key);
            return false;
        }
        if (!horusp_str(&s->name[i])) /* kept for the next call; this one goes without */
            PyErr_Clear();
        if (out[i]) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'", s->function,
                         s->name[i].text);
            return false;
        }
        out[i] = args[nargs + k];
    }
    for (int i = 0; i < s->required; i++)
        if (!out[i]) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument: '%s'", s->function,
                         s->name[i].text);
            return false;
        }
    return true;
}
/* The same for tp_new and tp_init, whose arguments come as a tuple and a dict. */
static bool horusp_args_tuple(horusp_sig *s, PyObject *args, PyObject *kwargs, PyObject **out)
{
    if (kwargs && !PyArg_ValidateKeywordArguments(kwargs))
        return false;
    Py_ssize_t n = PyTuple_GET_SIZE(args), at = 0, k = 0;
    PyObject *flat[HORUSP_ARGS], *key, *value, *names = NULL;
    if (n + (kwargs ? PyDict_GET_SIZE(kwargs) : 0) > HORUSP_ARGS) {
        PyErr_Format(PyExc_TypeError, "%s() got too many arguments", s->function);
        return false;
    }
    for (; at < n; at++)
        flat[at] = PyTuple_GET_ITEM(args, at);
    if (kwargs) {
        names = PyTuple_New(PyDict_GET_SIZE(kwargs));
        if (!names)
            return false;
        for (Py_ssize_t i = 0; PyDict_Next(kwargs, &k, &key, &value); i++) {
            Py_INCREF(key);
            PyTuple_SET_ITEM(names, i, key);
            flat[at++] = value;
        }
    }
    bool ok = horusp_args(s, flat, n, names, out);
    Py_XDECREF(names);
    return ok;
}

/* PySequence_Fast() with an error of ours for what is no sequence. */
static PyObject *horusp_items(PyObject *o, const char *what)
{
    if (Py_TYPE(o)->tp_iter || PySequence_Check(o))
        return PySequence_Fast(o, what);
    return PyErr_Format(HORUSP_TYPE_ERROR, "%s, not %.100s", what, Py_TYPE(o)->tp_name);
}
/* The bytes of an object, in one piece. */
static bool horusp_buffer(PyObject *o, int flags, Py_buffer *b)
{
    if (!PyObject_CheckBuffer(o)) {
        PyErr_Format(HORUSP_TYPE_ERROR,
                     "data must be bytes or another contiguous buffer, not %.100s",
                     Py_TYPE(o)->tp_name);
        return false;
    }
    return PyObject_GetBuffer(o, b, flags) == 0 || horusp_ours() == 0;
}
/* A path as the system takes it: a new bytes object. */
static bool horusp_path_bytes(PyObject *o, PyObject **bytes)
{
    if (!PyUnicode_Check(o) && !PyBytes_Check(o) && !PyObject_HasAttrString(o, "__fspath__")) {
        PyErr_Format(HORUSP_TYPE_ERROR, "a path must be str, bytes or os.PathLike, not %.100s",
                     Py_TYPE(o)->tp_name);
        return false;
    }
    if (PyUnicode_FSConverter(o, bytes))
        return true;
    if (PyErr_Occurred() == PyExc_ValueError)
        PyErr_SetString(HORUSP_VALUE_ERROR, "a path has no NUL");
    else
        (void)horusp_ours();
    return false;
}

/* A method of one argument, by position or by name. */
#define HORUSP_ONE(function, method, parameter)                                                    \
    static PyObject *function##_(PyObject *self, PyObject *const *args, Py_ssize_t nargs,          \
                                 PyObject *kw)                                                     \
    {                                                                                              \
        static horusp_sig sig = {method, 1, 1, 1, {{parameter, 0}}};                               \
        PyObject *v[1];                                                                            \
        return horusp_args(&sig, args, nargs, kw, v) ? function(self, v[0]) : NULL;                \
    }

/* An int from anything with __index__, within bounds. */
static bool horusp_int(PyObject *o, const char *what, int64_t low, int64_t high, int64_t *out)
{
    PyObject *n = PyNumber_Index(o);
    if (!n) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(HORUSP_TYPE_ERROR, "%s must be an int, not %.100s", what,
                         Py_TYPE(o)->tp_name);
        return false;
    }
    int over = 0;
    long long v = PyLong_AsLongLongAndOverflow(n, &over);
    Py_DECREF(n);
    if (v == -1 && !over && PyErr_Occurred())
        return false;
    if (over || v < low || v > high) { /* below what counts, or beyond what any of them could be */
        bool no_place = over || (v < 0 && low >= 0) || v > UINT32_MAX;
        horusp_refuse(no_place ? horusp.overflow_error : horusp.by_code[-HORUS_E_ARG],
                      "%s must be %lld to %lld, not %S", what, (long long)low, (long long)high, o);
        return false;
    }
    *out = v;
    return true;
}
static bool horusp_double(PyObject *o, const char *what, double *out)
{
    *out = PyFloat_AsDouble(o);
    if (*out == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(HORUSP_TYPE_ERROR, "%s must be a number, not %.100s", what,
                         Py_TYPE(o)->tp_name);
        else
            (void)horusp_ours(); /* an int beyond float64 */
        return false;
    }
    return true;
}
/* A rate. True is no number of times. */
static bool horusp_hertz(PyObject *o, const char *what, double *out)
{
    if (!PyBool_Check(o))
        return horusp_double(o, what, out);
    horusp_refuse(HORUSP_TYPE_ERROR, "%s must be a number of Hz, not %R", what, o);
    return false;
}
static bool horusp_dtype_of(PyObject *o, bool depth, horus_dtype *out)
{
    static const struct {
        const char *text;
        horus_dtype dtype;
    } names[] = {
#define HORUSI_X(name, value, bytes, text, dl) {text, HORUS_##name},
        HORUS_DTYPES(HORUSI_X)
#undef HORUSI_X
            {"float", HORUS_F32},
        {"double", HORUS_F64},
        {"half", HORUS_F16},
        {"f32", HORUS_F32},
        {"f64", HORUS_F64},
        {"f16", HORUS_F16},
        {"bf16", HORUS_BF16},
        {"u8", HORUS_U8},
        {"u16", HORUS_U16},
        {"u32", HORUS_U32},
        {"u64", HORUS_U64},
        {"i8", HORUS_I8},
        {"i16", HORUS_I16},
        {"i32", HORUS_I32},
        {"i64", HORUS_I64},
        {"bool_", HORUS_BOOL},
        {"byte", HORUS_U8},
        {"int", HORUS_I32}, /* as C has it; the type int is NumPy's */
        {"long", HORUS_I64},
        {"meters", HORUS_F32}, /* from here on: of depth images */
        {"mm", HORUS_U16},
        {"millimeters", HORUS_U16},
    };
    const size_t count = sizeof names / sizeof names[0] - (depth ? 0 : 3);
    if (o == (PyObject *)&PyLong_Type) {
        *out = HORUS_I64;
        return true;
    }
    PyObject *text = NULL;
    const char *s = NULL;
    if (PyUnicode_Check(o)) {
        Py_INCREF(o);
        text = o;
    } else if ((text = PyObject_GetAttrString(o, "name")) == NULL) { /* numpy.dtype("uint8") */
        PyErr_Clear();
        if ((text = PyObject_GetAttrString(o, "__name__")) == NULL) { /* numpy.uint8, float */
            PyErr_Clear();
            text = PyObject_Str(o); /* torch.uint8 */
        }
    }
    Py_ssize_t bytes = 0;
    if (!text || !PyUnicode_Check(text) || !(s = horusp_utf8(text, &bytes))) {
        Py_XDECREF(text);
        if (!PyErr_Occurred())
            PyErr_Format(HORUSP_TYPE_ERROR, "dtype must be a name like \"float32\"");
        return false;
    }
    const char *start = s, *dot = strrchr(s, '.');
    if (dot)
        s = dot + 1;
    bool whole = strlen(s) == (size_t)bytes - (size_t)(s - start);
    for (size_t i = 0; whole && i < count; i++)
        if (horusi_same_text(s, names[i].text)) {
            *out = names[i].dtype;
            Py_DECREF(text);
            return true;
        }
    horusp_refuse(horusp.by_code[-HORUS_E_ARG],
                  "dtype %R is none of bool, uint8 to uint64, int8 to int64, float16, float32, "
                  "float64, bfloat16",
                  o);
    Py_DECREF(text);
    return false;
}
static bool horusp_dtype(PyObject *o, horus_dtype *out) { return horusp_dtype_of(o, false, out); }
/* "cpu", by whatever name: false with UnsupportedError if it is a GPU, ArgumentError if it is no device. */
static bool horusp_device(PyObject *o, bool here)
{
    if (PyLong_Check(o)) {
        PyErr_SetString(HORUSP_TYPE_ERROR, "device must be a str like \"cpu\", not an int");
        return false;
    }
    PyObject *text = PyObject_Str(o); /* torch.device("cpu") */
    const char *s = text ? horusp_utf8(text, NULL) : NULL;
    bool cpu = s && (horusi_same_text(s, "cpu") || horusi_same_text(s, "cpu:0"));
    if (s && !cpu) {
        char kind[8] = "";
        size_t digits = strlen(s) > 5 ? strspn(s + 5, "0123456789") : 0;
        (void)snprintf(kind, sizeof kind, "%.5s", s);
        bool gpu = horusi_same_text(s, "cuda") ||
                   (horusi_same_text(kind, "cuda:") && digits > 0 && !s[5 + digits]);
        horusp_refuse(gpu ? horusp.by_code[-HORUS_E_UNSUPPORTED] : horusp.by_code[-HORUS_E_ARG],
                      gpu ? "device %R: pool memory is the CPU's: to_torch().to(\"cuda\") copies "
                            "it to a GPU"
                      : here ? "device must be \"cpu\", not %R"
                             : "device must be \"cuda\" or \"cuda:0\" and so on, not %R",
                      o);
    }
    Py_XDECREF(text);
    return cpu;
}
/* A single number, and nothing with elements: arrays have __index__ and __float__ as well. */
static bool horusp_is_number(PyObject *o)
{
    if (PyFloat_Check(o) || PyLong_Check(o))
        return true;
    if (!PyIndex_Check(o) && !(Py_TYPE(o)->tp_as_number && Py_TYPE(o)->tp_as_number->nb_float))
        return false;
    if (PyObject_Size(o) >= 0)
        return false;
    PyErr_Clear();
    return true;
}
/* A shape: an int or a sequence of ints. */
static bool horusp_shape(PyObject *o, int64_t low, uint32_t *ndim, int64_t *shape)
{
    if (horusp_is_number(o)) {
        *ndim = 1;
        return horusp_int(o, "shape", low, INT64_MAX, shape);
    }
    PyObject *list = horusp_items(o, "shape must be an int or a sequence of ints");
    if (!list)
        return false;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(list);
    if (n > HORUS_MAX_DIMS) {
        PyErr_Format(horusp.by_code[-HORUS_E_ARG], "%zd dimensions; at most %d are possible", n,
                     HORUS_MAX_DIMS);
        Py_DECREF(list);
        return false;
    }
    *ndim = (uint32_t)n;
    bool ok = true;
    for (Py_ssize_t i = 0; ok && i < n; i++) {
        if (PySequence_Fast_GET_SIZE(list) != n) {
            PyErr_SetString(horusp.by_code[-HORUS_E_BUSY], "shape changed while it was read");
            ok = false;
            break;
        }
        PyObject *item = PySequence_Fast_GET_ITEM(list, i);
        Py_INCREF(item);
        ok = horusp_int(item, "a dimension", low, INT64_MAX, &shape[i]);
        Py_DECREF(item);
    }
    Py_DECREF(list);
    return ok;
}
static PyObject *horusp_int_list(const int64_t *v, uint32_t n)
{
    PyObject *list = PyList_New(n);
    for (uint32_t i = 0; list && i < n; i++) {
        PyObject *item = PyLong_FromLongLong(v[i]);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, item);
    }
    return list;
}

/* ------------------------------------------------------------------------------------ >>holds
 *
 * A hold is one hold on a slot as an object. A frame object has one; so has each array made from
 * it: that is what keeps the memory after the frame object is released. */
typedef struct horusp_hold {
    PyObject_HEAD horus_frame frame;
    PyObject *owner;  /* of memory that is not the pool's, or NULL */
    uint32_t writers; /* calls that write into it, and may let other threads run: nobody sends it */
} horusp_hold;
static PyTypeObject horusp_hold_type;

/* Takes over the hold that `f` stands for, also if it fails. */
static horusp_hold *horusp_hold_new(horus_frame f)
{
    horusp_hold *h = PyObject_New(horusp_hold, &horusp_hold_type);
    if (!h) {
        (void)horus_frame_release(&f);
        return NULL;
    }
    h->frame = f;
    h->owner = NULL;
    h->writers = 0;
    return h;
}
static void horusp_hold_dealloc(PyObject *self)
{
    (void)horus_frame_release(&((horusp_hold *)self)->frame); /* nothing, in a forked child */
    Py_XDECREF(((horusp_hold *)self)->owner);
    PyObject_Free(self);
}
/* NumPy asks here whether setflags(write=True) may be granted. */
static int horusp_hold_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    horusp_hold *h = (horusp_hold *)self;
    void *data = NULL;
    uint64_t bytes = 0;
    if (horus_frame_data(&h->frame, &data, &bytes) != HORUS_OK) {
        view->obj = NULL;
        (void)horusp_error(HORUS_E_CLOSED);
        return -1;
    }
    return PyBuffer_FillInfo(view, self, data, (Py_ssize_t)bytes, horus_frame_published(&h->frame),
                             flags);
}
/* Of what a frame object exports, too: a buffer keeps the hold, not the frame object. */
static void horusp_hold_releasebuffer(PyObject *self, Py_buffer *view)
{
    (void)self;
    PyMem_Free(view->internal);
}
static PyBufferProcs horusp_hold_buffer = {.bf_getbuffer = horusp_hold_getbuffer,
                                           .bf_releasebuffer = horusp_hold_releasebuffer};
static PyTypeObject horusp_hold_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus._Hold",
    .tp_basicsize = sizeof(horusp_hold),
    .tp_dealloc = horusp_hold_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Keeps a slot of the pool while an array needs it.",
    .tp_as_buffer = &horusp_hold_buffer,
};

/* Images, clouds, depth images and tensors: a hold and the geometry of a view into it. */
typedef struct horusp_frame {
    PyObject_HEAD PyObject *weak;
    horusp_hold *hold; /* NULL: released */
    horusp_hold
        *lent;      /* the same, once __array_interface__ was read: whoever did keeps this object */
    horus_tensor t; /* its frame is the hold's */
    double scale;   /* depth: metres per unit */
    uint8_t kind, encoding;
    int64_t strides[HORUS_MAX_DIMS]; /* those of t in elements, once DLPack's table asked */
} horusp_frame;
static PyTypeObject horusp_image_type, horusp_cloud_type, horusp_depth_type, horusp_tensor_type;

static PyTypeObject *horusp_type_of(uint32_t kind)
{
    return kind == HORUS_KIND_IMAGE   ? &horusp_image_type
           : kind == HORUS_KIND_CLOUD ? &horusp_cloud_type
           : kind == HORUS_KIND_DEPTH ? &horusp_depth_type
                                      : &horusp_tensor_type;
}
static bool horusp_is_frame(PyObject *o)
{
    PyTypeObject *t = Py_TYPE(o);
    return t == &horusp_image_type || t == &horusp_cloud_type || t == &horusp_depth_type ||
           t == &horusp_tensor_type;
}
static const char *horusp_kind_name(const horusp_frame *f)
{
    return strrchr(horusp_type_of(f->kind)->tp_name, '.') + 1;
}
/* The frame of an object in use; false with an exception if it was released. */
static bool horusp_live(horusp_frame *f)
{
    if (f->hold) {
        if (f->t.frame.pool && horusi_is_detached(f->t.frame.pool->context)) {
            /* inherited over fork(): the mapping stays, so it is read as memory of no pool */
            memset(&f->t.frame, 0, sizeof f->t.frame);
            f->t.readonly = true;
        }
        return true;
    }
    (void)horusp_released(horusp_kind_name(f));
    return false;
}
static bool horusp_is_read_only(const horusp_frame *f)
{
    return f->t.readonly || horus_frame_published(&f->t.frame);
}

/* A call begins to write into a frame: NULL with an exception if nobody may. It holds the memory until
 * the call ends it; from the one to the other the frame is not sent. */
static horusp_hold *horusp_write_begin(horusp_frame *f)
{
    if (!horusp_live(f))
        return NULL;
    if (horusp_is_read_only(f)) {
        (void)horusp_read_only();
        return NULL;
    }
    f->hold->writers++;
    return (horusp_hold *)horusp_ref((PyObject *)f->hold);
}
static void horusp_write_end(horusp_hold *h)
{
    h->writers--;
    Py_DECREF(h);
}

/* A frame object of a kind. Takes over the hold in t->frame, or shares `hold`. */
static PyObject *horusp_frame_of(uint32_t kind, const horus_tensor *t, horusp_hold *hold)
{
    if (hold)
        Py_INCREF(hold);
    else if (!(hold = horusp_hold_new(t->frame)))
        return NULL;
    PyTypeObject *type = horusp_type_of(kind);
    horusp_frame *f = (horusp_frame *)type->tp_alloc(type, 0);
    if (!f) {
        Py_DECREF(hold);
        return NULL;
    }
    f->hold = hold;
    f->t = *t;
    f->kind = (uint8_t)kind;
    f->scale = t->dtype == HORUS_U16 ? 0.001 : 1;
    return (PyObject *)f;
}
static horusp_frame *horusp_frame_new(uint32_t kind, horus_pool *pool, horus_dtype dtype,
                                      uint32_t ndim, const int64_t *shape, uint32_t flags)
{
    horus_tensor t;
    horus_result r = horus_tensor_alloc(&t, pool, dtype, ndim, shape, flags);
    return (horusp_frame *)(r == HORUS_OK ? horusp_frame_of(kind, &t, NULL) : horusp_error(r));
}
static void horusp_frame_dealloc(PyObject *self)
{
    horusp_frame *f = (horusp_frame *)self;
    if (f->weak)
        PyObject_ClearWeakRefs(self);
    Py_CLEAR(f->hold);
    Py_CLEAR(f->lent);
    Py_TYPE(self)->tp_free(self);
}

/* ------------------------------------------------------------------------------------ >>numpy
 *
 * NumPy's C table, found without its headers: the slots below are the same in 1.x and 2.x. If the
 * table is not what is expected, the buffer protocol does the same more slowly. */
enum {
    HORUSP_NP_ABI = 0,
    HORUSP_NP_ARRAY_TYPE = 2,
    HORUSP_NP_DESCR = 45,
    HORUSP_NP_NEW = 94,
    HORUSP_NP_SET_BASE = 282
};
/* The function in a slot; ISO C has no cast for it. */
static void horusp_np_function(int slot, void *function)
{
    memcpy(function, &horusp.np[slot], sizeof horusp.np[slot]);
}
typedef PyObject *(*horusp_np_new)(PyTypeObject *, PyObject *, int, const Py_ssize_t *,
                                   const Py_ssize_t *, void *, int, PyObject *);

static bool horusp_np_table(void)
{
    if (horusp.np_tried)
        return true;
    PyObject *numpy = horusp_numpy();
    if (!numpy)
        return false;
    Py_DECREF(numpy);
    PyObject *core = PyImport_ImportModule("numpy._core._multiarray_umath");
    if (!core) {
        PyErr_Clear();
        core = PyImport_ImportModule("numpy.core._multiarray_umath");
    }
    PyObject *capsule = core ? PyObject_GetAttrString(core, "_ARRAY_API") : NULL;
    void **table = capsule ? (void **)PyCapsule_GetPointer(capsule, NULL) : NULL;
    PyErr_Clear();
    if (table) {
        unsigned (*abi)(void);
        horusp.np = table; /* its module is never unloaded */
        horusp_np_function(HORUSP_NP_ABI, &abi);
        unsigned major = abi() >> 24;
        if (major != 1 && major != 2)
            horusp.np = NULL;
    }
    Py_XDECREF(capsule);
    Py_XDECREF(core);
    horusp.np_tried = true;
    return true;
}
static int horusp_np_number(uint8_t dtype)
{
    static const int8_t numbers[] = {[HORUS_F32] = 11, [HORUS_F64] = 12,
                                     [HORUS_F16] = 23, [HORUS_BF16] = -1,
                                     [HORUS_U8] = 2,   [HORUS_U16] = 4,
                                     [HORUS_U32] = 6,  [HORUS_U64] = sizeof(long) == 8 ? 8 : 10,
                                     [HORUS_I8] = 1,   [HORUS_I16] = 3,
                                     [HORUS_I32] = 5,  [HORUS_I64] = sizeof(long) == 8 ? 7 : 9,
                                     [HORUS_BOOL] = 0};
    return numbers[dtype];
}
/* NumPy's dtype for bfloat16, which the package ml_dtypes brings. Borrowed. */
static PyObject *horusp_bfloat16(void)
{
    if (!horusp.bfloat16) {
        PyObject *m = PyImport_ImportModule("ml_dtypes");
        PyObject *type = m ? PyObject_GetAttrString(m, "bfloat16") : NULL;
        PyObject *numpy = type ? horusp_numpy() : NULL;
        if (numpy)
            horusp.bfloat16 = PyObject_CallMethod(numpy, "dtype", "O", type);
        Py_XDECREF(numpy);
        Py_XDECREF(type);
        Py_XDECREF(m);
        if (!horusp.bfloat16) {
            PyErr_Clear();
            PyErr_SetString(HORUSP_TYPE_ERROR,
                            "NumPy has no bfloat16 of its own: pip install ml_dtypes, "
                            "or use to_torch(), to_jax() or astype(\"float32\")");
        }
    }
    return horusp.bfloat16;
}
static PyObject *horusp_dtype_object(uint8_t dtype)
{
    if (dtype == HORUS_BF16) {
        PyObject *d = horusp_bfloat16();
        Py_XINCREF(d);
        return d;
    }
    PyObject *numpy = horusp_numpy();
    PyObject *d = numpy ? PyObject_CallMethod(numpy, "dtype", "s", horus_dtype_name(dtype)) : NULL;
    Py_XDECREF(numpy);
    return d;
}

/* The view as an ndarray whose base is the hold. */
static PyObject *horusp_ndarray(horusp_frame *f)
{
    if (!horusp.np_tried &&
        !horusp_np_table()) /* this may run anything: look at the frame after it */
        return NULL;
    if (f->t.dtype == HORUS_BF16 && !horusp_bfloat16())
        return NULL;
    if (!horusp_live(f))
        return NULL;
    const horus_tensor *t = &f->t;
    bool ro = horusp_is_read_only(f);
    if (horusp.np) {
        PyObject *descr, *(*from_number)(int);
        int (*set_base)(PyObject *, PyObject *);
        horusp_np_new make;
        horusp_np_function(HORUSP_NP_DESCR, &from_number);
        horusp_np_function(HORUSP_NP_NEW, &make);
        horusp_np_function(HORUSP_NP_SET_BASE, &set_base);
        Py_ssize_t shape[HORUS_MAX_DIMS], strides[HORUS_MAX_DIMS];
        int number = horusp_np_number(t->dtype);
        if (number < 0) {
            descr = horusp_ref(horusp.bfloat16);
        } else {
            descr = from_number(number);
        }
        if (!descr)
            return NULL;
        for (uint32_t i = 0; i < t->ndim; i++) {
            shape[i] = (Py_ssize_t)t->shape[i];
            strides[i] = (Py_ssize_t)t->strides_bytes[i];
        }
        PyObject *a = make((PyTypeObject *)horusp.np[HORUSP_NP_ARRAY_TYPE], descr, (int)t->ndim,
                           shape, strides, t->data, ro ? 0 : 0x400, NULL);
        if (!a)
            return NULL;
        Py_INCREF(f->hold);
        if (set_base(a, (PyObject *)f->hold) < 0) {
            Py_DECREF(a);
            return NULL;
        }
        return a;
    }
    PyObject *numpy = horusp_numpy(), *view = PyMemoryView_FromObject((PyObject *)f), *a = NULL;
    if (numpy && view)
        a = PyObject_CallMethod(numpy, "asarray", "O", view);
    Py_XDECREF(view);
    Py_XDECREF(numpy);
    return a;
}
/* numpy.name(a, b): borrowed arguments, b may be NULL. */
static PyObject *horusp_np_call(const char *name, PyObject *a, PyObject *b)
{
    PyObject *numpy = horusp_numpy(), *f = numpy ? PyObject_GetAttrString(numpy, name) : NULL;
    PyObject *r = f ? PyObject_CallFunctionObjArgs(f, a, b, NULL) : NULL;
    Py_XDECREF(f);
    Py_XDECREF(numpy);
    return r;
}

/* Format characters of the buffer protocol and of __array_interface__. */
static const char *horusp_format(uint8_t dtype)
{
    static const char *const formats[] = {
        [HORUS_F32] = "f", [HORUS_F64] = "d", [HORUS_F16] = "e", [HORUS_BF16] = NULL,
        [HORUS_U8] = "B",  [HORUS_U16] = "H", [HORUS_U32] = "I", [HORUS_U64] = "Q",
        [HORUS_I8] = "b",  [HORUS_I16] = "h", [HORUS_I32] = "i", [HORUS_I64] = "q",
        [HORUS_BOOL] = "?"};
    return formats[dtype];
}
static const char *horusp_typestr(uint8_t dtype)
{
    static const char *const names[] = {
        [HORUS_F32] = "<f4", [HORUS_F64] = "<f8", [HORUS_F16] = "<f2", [HORUS_BF16] = NULL,
        [HORUS_U8] = "|u1",  [HORUS_U16] = "<u2", [HORUS_U32] = "<u4", [HORUS_U64] = "<u8",
        [HORUS_I8] = "|i1",  [HORUS_I16] = "<i2", [HORUS_I32] = "<i4", [HORUS_I64] = "<i8",
        [HORUS_BOOL] = "|b1"};
    return names[dtype];
}

static int horusp_frame_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    horusp_frame *f = (horusp_frame *)self;
    horus_tensor *t = &f->t;
    view->obj = NULL;
    if (!horusp_live(f))
        return -1;
    bool plain = t->dtype == HORUS_U8 && t->ndim == 1, dense = horus_tensor_is_contiguous(t);
    bool ro = horusp_is_read_only(f);
    const char *why = NULL;
    if (!horusp_format(t->dtype))
        why = "the buffer protocol has no bfloat16: use to_torch(), to_jax() or __dlpack__()";
    else if ((flags & PyBUF_WRITABLE) && ro)
        why = "this frame is published, it can only be read: copy() gives a writable one";
    else if (!(flags & PyBUF_ND) && !plain)
        why = "only a 1-D uint8 tensor is plain bytes: hand out memoryview(frame) or to_numpy()";
    else if ((flags & PyBUF_STRIDES) != PyBUF_STRIDES && !dense)
        why = "the view is not contiguous: ask for strides";
    else if (((flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS ||
              (flags & PyBUF_ANY_CONTIGUOUS) == PyBUF_ANY_CONTIGUOUS) &&
             !dense)
        why = "the view is not contiguous";
    else if ((flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS && (!dense || t->ndim > 1))
        why = "the view is row-major, not column-major";
    if (why) {
        PyErr_SetString(horusp.buffer_error, why);
        return -1;
    }
    _Static_assert(sizeof(Py_ssize_t) == 8 || sizeof(Py_ssize_t) == 4, "sizes");
    Py_ssize_t *dims = NULL;
    if (t->ndim > 0 && (flags & PyBUF_ND)) {
        dims = PyMem_Malloc(2 * t->ndim * sizeof *dims);
        if (!dims) {
            PyErr_NoMemory();
            return -1;
        }
        for (uint32_t i = 0; i < t->ndim; i++) {
            dims[i] = (Py_ssize_t)t->shape[i];
            dims[t->ndim + i] = (Py_ssize_t)t->strides_bytes[i];
        }
    }
    size_t bytes = horus_dtype_bytes((horus_dtype)t->dtype);
    memset(view, 0, sizeof *view);
    view->buf = t->data;
    view->len = (Py_ssize_t)(horus_tensor_numel(t) * bytes);
    view->itemsize = (Py_ssize_t)bytes;
    view->readonly = ro;
    view->ndim = (flags & PyBUF_ND) ? (int)t->ndim : 1;
    view->format = (flags & PyBUF_FORMAT) ? (char *)(uintptr_t)horusp_format(t->dtype) : NULL;
    view->shape = dims;
    view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES && dims ? dims + t->ndim : NULL;
    view->internal = dims;
    Py_INCREF(f->hold); /* not the frame object: release() may come while the buffer is in use */
    view->obj = (PyObject *)f->hold;
    return 0;
}
static PyBufferProcs horusp_frame_buffer = {.bf_getbuffer = horusp_frame_getbuffer};

/* ------------------------------------------------------------------------------------ >>dlpack
 *
 * An exported tensor has a hold of its own, which its deleter gives back without the interpreter:
 * frameworks call it on threads that Python never saw, and after the interpreter has ended. */
static const char horusp_plain_name[] = "dltensor", horusp_versioned_name[] = "dltensor_versioned";

/* The destructor of a capsule that nobody consumed. */
static void horusp_capsule_end(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, horusp_plain_name)) {
        horus_dl_managed *m = (horus_dl_managed *)PyCapsule_GetPointer(capsule, horusp_plain_name);
        m->deleter(m);
    } else if (PyCapsule_IsValid(capsule, horusp_versioned_name)) {
        horus_dl_managed_versioned *m =
            (horus_dl_managed_versioned *)PyCapsule_GetPointer(capsule, horusp_versioned_name);
        m->deleter(m);
    }
}
/* Read-only frames are exported unversioned too: half of the frameworks know nothing else. */
static PyObject *horusp_capsule(const horus_tensor *t, bool versioned, bool copied)
{
    horus_dl_managed_versioned *m = NULL;
    horusi_export *e = NULL;
    horus_result r =
        versioned ? horus_dlpack_export_versioned(&m, t) : horusi_export_begin(t, "__dlpack__", &e);
    if (r != HORUS_OK)
        return horusp_error(r);
    PyObject *capsule;
    if (versioned) {
        m->flags |= (uint64_t)copied << 1;
        capsule = PyCapsule_New(m, horusp_versioned_name, horusp_capsule_end);
        if (!capsule)
            m->deleter(m);
    } else {
        e->dl.plain.dl_tensor = horusi_dl_tensor(&e->tensor, e->strides);
        e->dl.plain.manager_ctx = e;
        e->dl.plain.deleter = horusi_delete_plain;
        capsule = PyCapsule_New(&e->dl.plain, horusp_plain_name, horusp_capsule_end);
        if (!capsule)
            horusi_export_end(e);
    }
    return capsule;
}
/* True if `o` is the tuple (a, b); two ints in either form. */
static bool horusp_pair(PyObject *o, const char *what, long *a, long *b)
{
    if (!PyTuple_Check(o) || PyTuple_GET_SIZE(o) != 2) {
        PyErr_Format(HORUSP_TYPE_ERROR, "%s must be a tuple of two ints, not %.100s", what,
                     Py_TYPE(o)->tp_name);
        return false;
    }
    int64_t x, y; /* a device type may be an enum of the array API */
    if (!horusp_int(PyTuple_GET_ITEM(o, 0), what, INT32_MIN, INT32_MAX, &x) ||
        !horusp_int(PyTuple_GET_ITEM(o, 1), what, INT32_MIN, INT32_MAX, &y))
        return false;
    *a = (long)x;
    *b = (long)y;
    return true;
}
static bool horusp_dims_positive(const horus_tensor *t)
{
    for (uint32_t i = 0; i < t->ndim; i++)
        if (t->strides_bytes[i] < 0)
            return false;
    return true;
}
/* Elements of others that lie on one another (strides of 0, a window that slides) can be many more than
 * the bytes that they are in, and whoever copies them would fill its memory: refused. */
static horus_result horusp_check_strides(const horus_tensor *t)
{
    horus_tensor dense = *t;
    uint64_t bytes = 0, span = horusi_tensor_span(t);
    if (!horusp_dims_positive(t))
        return horusi_fail(HORUS_E_UNSUPPORTED, "a tensor with negative strides");
    if (horusi_is_empty(t) || (horusi_tensor_dense(&dense, &bytes) && bytes <= span))
        return HORUS_OK;
    return horusi_fail(HORUS_E_UNSUPPORTED,
                       "a tensor whose elements overlap: more of them than fit into its %llu bytes",
                       (unsigned long long)span);
}
/* Both run other threads meanwhile if it is much: the caller holds the memory. */
static void horusp_copy_bytes(void *to, const void *from, size_t bytes)
{
    if (bytes == 0)
        return;
    if (bytes < 65536) {
        memmove(to, from, bytes);
        return;
    }
    PyThreadState *thread = PyEval_SaveThread();
    memmove(to, from, bytes);
    PyEval_RestoreThread(thread);
}
static horus_result horusp_copy_tensor(horus_tensor *out, const horus_tensor *t, horus_pool *pool)
{
    horus_result r;
    if (horus_tensor_numel(t) * horus_dtype_bytes((horus_dtype)t->dtype) < 65536)
        return horus_tensor_copy(out, t, pool);
    PyThreadState *thread = PyEval_SaveThread();
    r = horus_tensor_copy(out, t, pool);
    PyEval_RestoreThread(thread);
    return r;
}

static horusp_sig horusp_sig_dlpack = {
    "__dlpack__", 4, 0, 0, {{"stream", 0}, {"max_version", 0}, {"dl_device", 0}, {"copy", 0}}};
static PyObject *horusp_dlpack(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *kw)
{
    horusp_frame *f = (horusp_frame *)self;
    PyObject *v[4];
    long major = 0, minor = 0, device = 1, id = 0;
    if (!horusp_args(&horusp_sig_dlpack, args, nargs, kw, v) || !horusp_live(f))
        return NULL;
    if (v[0] && v[0] != Py_None) {
        PyErr_SetString(horusp.buffer_error, "stream must be None: the memory is the CPU's");
        return NULL;
    }
    if (v[1] && v[1] != Py_None && !horusp_pair(v[1], "max_version", &major, &minor))
        return NULL;
    if (v[2] && v[2] != Py_None && !horusp_pair(v[2], "dl_device", &device, &id))
        return NULL;
    if (device != 1 || id != 0) {
        PyErr_Format(horusp.buffer_error, "dl_device (%ld, %ld): the memory is the CPU's, (1, 0)",
                     device, id);
        return NULL;
    }
    int copy = v[3] && v[3] != Py_None ? PyObject_IsTrue(v[3]) : 0;
    if (copy < 0)
        return NULL;
    if (!horusp_live(f)) /* what was called above may have released it */
        return NULL;
    if (!copy)
        return horusp_capsule(&f->t, major >= 1, false);
    horus_tensor t;
    horusp_hold *hold = f->hold;
    Py_INCREF(hold);
    horus_result r = horusp_copy_tensor(&t, &f->t, NULL);
    Py_DECREF(hold);
    if (r != HORUS_OK)
        return horusp_error(r);
    PyObject *capsule = horusp_capsule(&t, major >= 1, true);
    (void)horus_tensor_release(&t);
    return capsule;
}
static PyObject *horusp_dlpack_device(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_live((horusp_frame *)self) ? Py_BuildValue("(ii)", 1, 0) : NULL;
}

/* The tensor in `m`; NULL with BufferError if its layout is of another major version. */
static const horus_dl_tensor *horusp_managed(const horus_dl_managed_versioned *m)
{
    if (m->major == 1)
        return &m->dl_tensor;
    PyErr_Format(horusp.buffer_error, "DLPack version %u.%u; 1.x is understood", (unsigned)m->major,
                 (unsigned)m->minor);
    return NULL;
}
/* Memory of others, copied into the pool. */
static bool horusp_import_dl(const horus_dl_tensor *d, horus_pool *pool, horus_tensor *out)
{
    if (d->ndim > HORUS_MAX_DIMS) { /* not BufferError: a ValueError, as from_numpy() has it */
        PyErr_Format(HORUSP_VALUE_ERROR, "%d dimensions; at most %d are possible", (int)d->ndim,
                     HORUS_MAX_DIMS);
        return false;
    }
    PyThreadState *thread = PyEval_SaveThread();
    horus_result r = horus_dlpack_import(out, d, pool);
    PyEval_RestoreThread(thread);
    if (r == HORUS_E_UNSUPPORTED) {
        PyErr_SetString(horusp.buffer_error, horus_last_error());
        return false;
    }
    return r == HORUS_OK || horusp_error(r);
}
/* What any producer of a DLPack tensor gives, copied into the pool. The capsule is left unconsumed:
 * its own destructor frees it. */
static bool horusp_from_capsule(PyObject *capsule, horus_pool *pool, horus_tensor *out)
{
    const horus_dl_tensor *d = NULL;
    if (PyCapsule_IsValid(capsule, horusp_versioned_name)) {
        d = horusp_managed(
            (horus_dl_managed_versioned *)PyCapsule_GetPointer(capsule, horusp_versioned_name));
        if (!d)
            return false;
    } else if (PyCapsule_IsValid(capsule, horusp_plain_name)) {
        d = &((horus_dl_managed *)PyCapsule_GetPointer(capsule, horusp_plain_name))->dl_tensor;
    } else {
        PyErr_SetString(HORUSP_VALUE_ERROR,
                        PyCapsule_CheckExact(capsule)
                            ? "the DLPack capsule was consumed before, or is none"
                            : "__dlpack__() returned no capsule");
        return false;
    }
    const char *name = PyCapsule_GetName(capsule);
    if (PyCapsule_SetName(capsule, "horus_reads_this") < 0) /* nobody may consume it meanwhile */
        return false;
    bool ok = horusp_import_dl(d, pool, out);
    if (PyCapsule_SetName(capsule, name) < 0)
        return false;
    return ok;
}
/* ---- the exchange API of DLPack 1.3: a table of C functions, a capsule of each of the four types
 *
 * It is for consumers in C (tvm-ffi's kernels): they find it at the type, keep it for ever, and make
 * no capsule per tensor. */
typedef struct horusp_exchange {
    uint32_t major, minor;
    const struct horusp_exchange *older; /* a table of an older major version; none */
    int (*managed_tensor_allocator)(horus_dl_tensor *prototype, horus_dl_managed_versioned **out,
                                    void *error_context,
                                    void (*set_error)(void *error_context, const char *kind,
                                                      const char *message));
    int (*managed_tensor_from_py_object_no_sync)(void *object, horus_dl_managed_versioned **out);
    int (*managed_tensor_to_py_object_no_sync)(horus_dl_managed_versioned *m, void **out);
    int (*dltensor_from_py_object_no_sync)(void *object, horus_dl_tensor *out);
    int (*current_work_stream)(int32_t device_type, int32_t device_id, void **out);
} horusp_exchange;
_Static_assert(offsetof(horusp_exchange, managed_tensor_allocator) == 8 + sizeof(void *) &&
                   sizeof(horusp_exchange) == 8 + 6 * sizeof(void *),
               "DLPackExchangeAPI");
static const char horusp_exchange_name[] = "dlpack_exchange_api";

/* torch.Tensor, once somebody has imported it. Borrowed. */
static PyTypeObject *horusp_torch_type(void)
{
    static horusp_name name = {"torch", NULL};
    if (!horusp.torch_type) {
        PyObject *n = horusp_str(&name);
        PyObject *m = n ? PyDict_GetItemWithError(PyImport_GetModuleDict(), n) : NULL;
        PyObject *type = m ? PyObject_GetAttrString(m, "Tensor") : NULL;
        PyObject *c = type ? PyObject_GetAttrString(type, "__dlpack_c_exchange_api__") : NULL;
        if (c && PyCapsule_IsValid(c, horusp_exchange_name))
            horusp.torch = (const horusp_exchange *)PyCapsule_GetPointer(c, horusp_exchange_name);
        while (horusp.torch && horusp.torch->major != 1)
            horusp.torch = horusp.torch->older;
        if (type && PyType_Check(type))
            horusp.torch_type = (PyTypeObject *)horusp_ref(type);
        Py_XDECREF(c);
        Py_XDECREF(type);
        PyErr_Clear(); /* torch before 2.10 has no table; an import that is under way no Tensor */
    }
    return horusp.torch_type;
}
/* True if the property of that name, or what the method returns, is `value`. */
static bool horusp_torch_says(PyObject *o, horusp_name *name, bool method, PyObject *value)
{
    PyObject *r = !horusp_str(name) ? NULL
                  : method          ? PyObject_CallMethodNoArgs(o, name->object)
                                    : PyObject_GetAttr(o, name->object);
    Py_XDECREF(r);
    PyErr_Clear();
    return r == value;
}
static horusp_name horusp_gradient = {"requires_grad", NULL}, horusp_is_neg = {"is_neg", NULL};

/* A plain tensor through torch's table. 1: done; 0: take the other way; -1: exception. The table does
 * not heed gradients, nor that elements are to be negated when read (or conjugated: but those are
 * complex, which no frame is). */
static int horusp_from_torch_table(PyObject *o, horus_pool *pool, horus_tensor *out)
{
    horus_dl_managed_versioned *m = NULL;
    if (Py_TYPE(o) != horusp_torch_type() || !horusp.torch ||
        !horusp_torch_says(o, &horusp_gradient, false, Py_False) ||
        !horusp_torch_says(o, &horusp_is_neg, true, Py_False))
        return 0;
    if (horusp.torch->managed_tensor_from_py_object_no_sync(o, &m) != 0 || !m) {
        PyErr_Clear(); /* sparse, or without storage: __dlpack__() says so */
        return 0;
    }
    const horus_dl_tensor *d = horusp_managed(m);
    int r = d && horusp_import_dl(d, pool, out) ? 1 : -1;
    if (m->deleter)
        m->deleter(m);
    return r;
}
static bool horusp_from_dlpack(PyObject *o, horus_pool *pool, horus_tensor *out)
{
    if (PyCapsule_CheckExact(o))
        return horusp_from_capsule(o, pool, out);
    int by_table = horusp_from_torch_table(o, pool, out);
    if (by_table != 0)
        return by_table > 0;
    PyObject *plain = NULL;
    if (horusp.torch_type && PyObject_TypeCheck(o, horusp.torch_type) &&
        horusp_torch_says(o, &horusp_is_neg, true, Py_True)) { /* torch's __dlpack__() forgets it */
        o = plain = PyObject_CallMethod(o, "resolve_neg", NULL);
        if (!plain)
            return false;
    }
    PyObject *none = PyTuple_New(0), *kw = Py_BuildValue("{s(ii)}", "max_version", 1, 0);
    PyObject *method = none && kw ? PyObject_GetAttrString(o, "__dlpack__") : NULL;
    PyObject *capsule = method ? PyObject_Call(method, none, kw) : NULL;
    if (method && !capsule && PyErr_ExceptionMatches(PyExc_TypeError)) { /* an older producer */
        PyErr_Clear();
        capsule = PyObject_CallObject(method, NULL);
    } else if (!method && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Format(HORUSP_TYPE_ERROR, "a %.100s has no __dlpack__()", Py_TYPE(o)->tp_name);
    }
    bool ok = capsule && horusp_from_capsule(capsule, pool, out);
    Py_XDECREF(capsule);
    Py_XDECREF(none);
    Py_XDECREF(kw);
    Py_XDECREF(method);
    Py_XDECREF(plain);
    return ok;
}

/* Zeroed memory in the pool. A kernel's allocator is called without the interpreter's lock. */
static int horusp_exchange_alloc(horus_dl_tensor *prototype, horus_dl_managed_versioned **out,
                                 void *error_context,
                                 void (*set_error)(void *, const char *, const char *))
{
    horus_tensor wish, t;
    *out = NULL;
    horus_result r = horusi_dlpack_shape(&wish, prototype);
    if (r == HORUS_OK && (prototype->device.device_type != 1 || prototype->device.device_id != 0))
        r = horusi_fail(HORUS_E_UNSUPPORTED, "device (%d, %d): the pool's memory is the CPU's",
                        (int)prototype->device.device_type, (int)prototype->device.device_id);
    if (r == HORUS_OK)
        r = horus_tensor_alloc(&t, NULL, (horus_dtype)wish.dtype, wish.ndim, wish.shape, 0);
    if (r == HORUS_OK) {
        r = horus_dlpack_export_versioned(out, &t);
        (void)horus_tensor_release(&t);
    }
    if (r == HORUS_OK)
        return 0;
    set_error(error_context,
              r == HORUS_E_UNSUPPORTED                        ? "BufferError"
              : r == HORUS_E_POOL_FULL || r == HORUS_E_MEMORY ? "MemoryError"
              : r == HORUS_E_ARG || r == HORUS_E_SIZE         ? "ValueError"
                                                              : "RuntimeError",
              horus_last_error());
    return -1;
}
static horusp_frame *horusp_exchanged(void *object)
{
    PyObject *o = (PyObject *)object;
    if (!horusp_is_frame(o)) {
        PyErr_Format(HORUSP_TYPE_ERROR, "the table of horus's types got a %.100s",
                     Py_TYPE(o)->tp_name);
        return NULL;
    }
    return horusp_live((horusp_frame *)o) ? (horusp_frame *)o : NULL;
}
static int horusp_exchange_from(void *object, horus_dl_managed_versioned **out)
{
    *out = NULL;
    horusp_frame *f = horusp_exchanged(object);
    if (!f)
        return -1;
    horus_result r = horus_dlpack_export_versioned(out, &f->t);
    return r == HORUS_OK ? 0 : (horusp_error(r), -1);
}
/* Holds nothing, and cannot say that the frame is read-only. */
static int horusp_exchange_view(void *object, horus_dl_tensor *out)
{
    horusp_frame *f = horusp_exchanged(object);
    if (!f)
        return -1;
    *out = horusi_dl_tensor(&f->t, f->strides);
    return 0;
}
/* The frame of this process in which `bytes` bytes at `data` lie, held once more; false: there is
 * none. Whoever calls knows that the memory stays meanwhile. */
static bool horusp_frame_around(const void *data, uint64_t bytes, horus_frame *out)
{
    horus_context *c;
    void *first;
    uint64_t room;
    if (horus_context_default(&c) != HORUS_OK)
        return false;
    for (horus_pool *p = c->pools; p; p = horusi_next(p)) {
        uint64_t offset = (uint64_t)((uintptr_t)data - (uintptr_t)p->data);
        if (offset >> p->granule_log2 >= p->granules)
            continue;
        uint32_t g = (uint32_t)(offset >> p->granule_log2), shape = horusi_shape(p, g);
        if (horusi_kind(shape) == HORUSI_BODY) {
            g = horusi_value(shape);
            shape = g < p->granules ? horusi_shape(p, g) : HORUSI_FREE;
        }
        horus_frame f = {p, g << p->blocks_log2, 0};
        if (horusi_kind(shape) == HORUSI_SPLIT && horusi_value(shape) < p->blocks_log2)
            f.slot += (uint32_t)((offset - ((uint64_t)g << p->granule_log2)) /
                                 ((uint64_t)p->block_bytes << horusi_value(shape)));
        if (f.slot >= p->slots)
            return false;
        f.generation = horusi_ld32_rlx(own, &p->rec[f.slot].generation);
        if (horus_frame_hold(&f) != HORUS_OK)
            return false;
        if (horus_frame_data(&f, &first, &room) == HORUS_OK && data >= first && bytes <= room &&
            (uint64_t)((const uint8_t *)data - (const uint8_t *)first) <= room - bytes) {
            *out = f;
            return true;
        }
        (void)horus_frame_release(&f);
        return false;
    }
    return false;
}
/* A Tensor of what a kernel made: of the same memory where that is in a pool (an argument that was
 * handed through, or what the allocator above gave), else of a copy. After a failure `m` is still
 * the caller's, as with torch's function. */
static int horusp_exchange_to(horus_dl_managed_versioned *m, void **out)
{
    horus_tensor t, from;
    *out = NULL;
    const horus_dl_tensor *d = horusp_managed(m);
    if (!d)
        return -1;
    uint64_t bytes = 0;
    bool dense = horusi_dlpack_view(&from, d) == HORUS_OK && horus_tensor_is_contiguous(&from) &&
                 (uintptr_t)from.data % horus_dtype_bytes((horus_dtype)from.dtype) == 0 &&
                 horusi_tensor_dense(&from, &bytes); /* no odd strides of size-1 dimensions */
    if (dense && bytes > 0 && horusp_frame_around(from.data, bytes, &from.frame)) {
        t = from;
        t.readonly = m->flags & 1;
    } else if (!horusp_import_dl(d, NULL, &t)) {
        return -1;
    }
    if (!(*out = horusp_frame_of(HORUS_KIND_TENSOR, &t, NULL)))
        return -1;
    if (m->deleter)
        m->deleter(m);
    return 0;
}
/* The CPU has no streams. */
static int horusp_exchange_stream(int32_t device_type, int32_t device_id, void **out)
{
    (void)device_type;
    (void)device_id;
    *out = NULL;
    return 0;
}
static const horusp_exchange horusp_exchange_table = {
    .major = 1,
    .minor = 3,
    .managed_tensor_allocator = horusp_exchange_alloc,
    .managed_tensor_from_py_object_no_sync = horusp_exchange_from,
    .managed_tensor_to_py_object_no_sync = horusp_exchange_to,
    .dltensor_from_py_object_no_sync = horusp_exchange_view,
    .current_work_stream = horusp_exchange_stream,
};
static PyObject *horusp_exchange_capsule(void)
{
    void *table = NULL; /* a capsule knows no const */
    const horusp_exchange *address = &horusp_exchange_table;
    memcpy(&table, &address, sizeof table);
    return PyCapsule_New(table, horusp_exchange_name, NULL);
}

/* The same memory in another framework: module.submodule.function of a capsule or of the object. */
static PyObject *horusp_found(PyObject **slot, const char *package, const char *module,
                              const char *name)
{
    if (!*slot) {
        PyObject *top = NULL, *m = horusp_import(&top, package);
        Py_XDECREF(top);
        Py_XDECREF(m);
        if (!m || !(m = PyImport_ImportModule(module)))
            return NULL;
        PyObject *found = PyObject_GetAttrString(m, name);
        Py_DECREF(m);
        if (!found)
            return NULL;
        if (*slot)
            Py_DECREF(found);
        else
            *slot = found;
    }
    return *slot;
}
static PyObject *horusp_to_torch(PyObject *self, PyObject *none)
{
    horusp_frame *f = (horusp_frame *)self;
    (void)none;
    PyObject *from = horusp_found(&horusp.torch_from, "torch", "torch._C", "_from_dlpack");
    if (!from || !horusp_live(f))
        return NULL;
    if (horusp_torch_type() && horusp.torch) {
        horus_dl_managed_versioned *m;
        void *made = NULL;
        horus_result r = horus_dlpack_export_versioned(&m, &f->t);
        if (r != HORUS_OK)
            return horusp_error(r);
        if (horusp.torch->managed_tensor_to_py_object_no_sync(m, &made) == 0)
            return (PyObject *)made;
        m->deleter(m);
        return NULL;
    }
    PyObject *capsule = horusp_capsule(&f->t, false, false);
    PyObject *r = capsule ? PyObject_CallOneArg(from, capsule) : NULL;
    Py_XDECREF(capsule);
    return r;
}
static PyObject *horusp_to_jax(PyObject *self, PyObject *none)
{
    (void)none;
    horusp_frame *f = (horusp_frame *)self;
    PyObject *from = horusp_found(&horusp.jax_from, "jax", "jax.dlpack", "from_dlpack");
    if (!from || !horusp_live(f))
        return NULL;
    horus_dtype dtype = (horus_dtype)f->t.dtype;
    PyObject *a = PyObject_CallOneArg(from, self);
    if (!a || horus_dtype_bytes(dtype) != 8)
        return a;
    /* JAX warns of this where it makes an array, but not where it takes one */
    PyObject *its = PyObject_GetAttrString(a, "dtype"), *text = its ? PyObject_Str(its) : NULL;
    if (!text ||
        (PyUnicode_CompareWithASCIIString(text, horus_dtype_name(dtype)) != 0 &&
         PyErr_WarnFormat(PyExc_UserWarning, 1,
                          "to_jax(): dtype %s is not available, and was truncated to dtype "
                          "%U in a copy: set JAX's configuration option jax_enable_x64, or "
                          "astype() first",
                          horus_dtype_name(dtype), text) < 0))
        Py_CLEAR(a);
    Py_XDECREF(text);
    Py_XDECREF(its);
    return a;
}

/* ------------------------------------------------------------------------------------ >>sources
 *
 * Arrays of others, copied into the pool: whatever their order of bytes or of elements. */
typedef struct horusp_source {
    horus_tensor t; /* a view of the other's memory */
    Py_buffer view;
    bool open;
} horusp_source;

static void horusp_source_end(horusp_source *s)
{
    if (s->open)
        PyBuffer_Release(&s->view);
    s->open = false;
}
static bool horusp_find_format(const char *format, Py_ssize_t itemsize, uint8_t *dtype)
{
    const char *c = format ? format : "B";
    if (*c == '@' || *c == '=' || *c == '<') /* native order on every machine that horus runs on */
        c++;
    else if ((*c == '>' || *c == '!') && itemsize > 1)
        return false;
    else if (*c == '>' || *c == '!' || *c == '|')
        c++;
    if (!*c || c[1])
        return false;
    for (uint32_t d = 0; d <= HORUS_BOOL; d++) {
        const char *f = horusp_format((uint8_t)d);
        bool same = f && *f == *c;
        if (f && (*c == 'l' || *c == 'q') && *f == (itemsize == 8 ? 'q' : 'i'))
            same = true; /* long is either */
        if (f && (*c == 'L' || *c == 'Q') && *f == (itemsize == 8 ? 'Q' : 'I'))
            same = true;
        if (same && horus_dtype_bytes((horus_dtype)d) == (size_t)itemsize) {
            *dtype = (uint8_t)d;
            return true;
        }
    }
    return false;
}
/* `o` through the buffer protocol. 0: it has none that can be used as it is; -1: exception. */
static int horusp_source_buffer(horusp_source *s, PyObject *o, bool writable)
{
    if (!PyObject_CheckBuffer(o))
        return 0;
    if (PyObject_GetBuffer(o, &s->view, writable ? PyBUF_RECORDS : PyBUF_RECORDS_RO) < 0) {
        if (PyErr_ExceptionMatches(PyExc_MemoryError))
            return -1;
        PyErr_Clear(); /* bfloat16, datetime: NumPy has no format for them */
        return 0;
    }
    s->open = true;
    memset(&s->t, 0, sizeof s->t);
    if (writable && s->view.readonly) { /* an exporter that does not look at flags */
        horusp_source_end(s);
        return 0;
    }
    if (s->view.ndim > HORUS_MAX_DIMS) {
        PyErr_Format(horusp.by_code[-HORUS_E_ARG], "%d dimensions; at most %d are possible",
                     s->view.ndim, HORUS_MAX_DIMS);
        horusp_source_end(s);
        return -1;
    }
    if (!horusp_find_format(s->view.format, s->view.itemsize, &s->t.dtype)) {
        horusp_source_end(s);
        return 0;
    }
    s->t.data = s->view.buf;
    s->t.ndim = (uint32_t)s->view.ndim;
    s->t.readonly = !writable;
    Py_ssize_t stride =
        s->view.itemsize; /* exporters may leave out strides, and a flat one its shape */
    for (int i = s->view.ndim; i-- > 0;) {
        s->t.shape[i] = s->view.shape ? s->view.shape[i] : s->view.len / s->view.itemsize;
        s->t.strides_bytes[i] = s->view.strides ? s->view.strides[i] : stride;
        stride *= s->t.shape[i];
    }
    return 1;
}
/* An array of NumPy's, of a subclass too (memmap, recarray, matrix); NumPy is not imported for it. */
static bool horusp_is_ndarray(PyObject *o)
{
    if (horusp.np)
        return PyObject_TypeCheck(o, (PyTypeObject *)horusp.np[HORUSP_NP_ARRAY_TYPE]);
    for (PyTypeObject *type = Py_TYPE(o); type; type = type->tp_base)
        if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE) && strcmp(type->tp_name, "numpy.ndarray") == 0)
            return true;
    return false;
}
/* Refuses what has no meaning without more than its elements: 0, or -1 with an exception. */
static int horusp_check_array(PyObject *o)
{
    static horusp_name name = {"numpy.ma", NULL};
    if (!(Py_TYPE(o)->tp_flags & Py_TPFLAGS_HEAPTYPE) || !horusp_is_ndarray(o))
        return 0; /* not one that Python code derived */
    PyObject *n = horusp_str(&name);
    PyObject *ma = n ? PyDict_GetItemWithError(PyImport_GetModuleDict(), n) : NULL;
    PyObject *type = ma ? PyObject_GetAttrString(ma, "MaskedArray") : NULL;
    int masked = type ? PyObject_IsInstance(o, type) : PyErr_Occurred() ? -1 : 0;
    Py_XDECREF(type);
    if (masked > 0)
        PyErr_Format(HORUSP_TYPE_ERROR,
                     "a %.100s would lose its mask: filled() gives a plain array, and so does data",
                     Py_TYPE(o)->tp_name);
    return masked ? -1 : 0;
}
/* Anything that NumPy makes an array of. `keep` gets what must live as long. */
static bool horusp_source_begin(horusp_source *s, PyObject *o, PyObject **keep)
{
    memset(s, 0, sizeof *s);
    *keep = NULL;
    int r = horusp_check_array(o);
    if (r == 0)
        r = horusp_source_buffer(s, o, false);
    if (r != 0)
        return r > 0;
    PyObject *a = horusp_np_call("asarray", o, NULL), *d = NULL, *name = NULL;
    if (!a)
        return false;
    r = horusp_source_buffer(s, a, false);
    if (r == 0) {
        d = PyObject_GetAttrString(a, "dtype");
        name = d ? PyObject_GetAttrString(d, "name") : NULL;
        const char *text = name && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
        PyObject *other = NULL;
        if (text && strcmp(text, "bfloat16") == 0) {
            other = PyObject_CallMethod(a, "view", "s", "uint16");
        } else if (text) { /* the other order of bytes */
            PyObject *native = PyObject_CallMethod(d, "newbyteorder", "s", "=");
            other = native ? PyObject_CallMethod(a, "astype", "O", native) : NULL;
            Py_XDECREF(native);
        }
        if (other) {
            r = horusp_source_buffer(s, other, false);
            if (r > 0 && strcmp(text, "bfloat16") == 0)
                s->t.dtype = HORUS_BF16;
        }
        if (r == 0 && (other || !PyErr_Occurred()))
            horusp_refuse(horusp.dtype_error,
                          "dtype %S is none of bool, uint8 to uint64, int8 to int64, float16, "
                          "float32, float64, bfloat16",
                          d ? d : Py_None);
        Py_XDECREF(name);
        Py_XDECREF(d);
        Py_DECREF(a);
        a = other;
    }
    if (r <= 0) {
        Py_XDECREF(a);
        return false;
    }
    *keep = a;
    return true;
}
/* The source's elements in a new slot. */
static bool horusp_source_copy(horusp_source *s, horus_pool *pool, horus_tensor *out)
{
    horus_result r = horusp_copy_tensor(out, &s->t, pool);
    return r == HORUS_OK || horusp_error(r);
}
/* A torch tensor as something that has __dlpack__ on the CPU: detached, conjugated, copied from the
 * device where needed. A new reference. */
static PyObject *horusp_plain_torch(PyObject *o)
{
    static const char *const steps[] = {"detach", "cpu", "resolve_conj", "resolve_neg"};
    static horusp_name is_cpu = {"is_cpu", NULL};
    Py_INCREF(o);
    if (Py_TYPE(o) == horusp_torch_type() &&
        horusp_torch_says(o, &horusp_gradient, false, Py_False) &&
        horusp_torch_says(o, &is_cpu, false, Py_True))
        return o; /* horusp_from_dlpack() does the rest */
    for (size_t i = 0; o && i < sizeof steps / sizeof steps[0]; i++) {
        PyObject *next = PyObject_HasAttrString(o, steps[i])
                             ? PyObject_CallMethod(o, steps[i], NULL) /* `o` itself is new, too */
                             : horusp_ref(o);
        Py_DECREF(o);
        o = next;
    }
    return o;
}

/* ------------------------------------------------------------------------------------ >>frames
 *
 * What images, clouds, depth images and tensors have in common. */
static PyObject *horusp_get_nbytes(PyObject *self, void *unused)
{
    horusp_frame *f = (horusp_frame *)self;
    (void)unused;
    if (!horusp_live(f))
        return NULL;
    return PyLong_FromUnsignedLongLong(horus_tensor_numel(&f->t) *
                                       horus_dtype_bytes((horus_dtype)f->t.dtype));
}
static PyObject *horusp_get_dtype(PyObject *self, void *unused)
{
    horusp_frame *f = (horusp_frame *)self;
    (void)unused;
    return horusp_live(f) ? PyUnicode_FromString(horus_dtype_name((horus_dtype)f->t.dtype)) : NULL;
}
/* The name and time of a live frame: of an inherited one as they lie in the slot. */
static horus_result horusp_meta(const horusp_frame *f, char *id, uint64_t *ns)
{
    const horus_frame *h = &f->hold->frame;
    if (f->t.frame.pool) {
        horus_result r = horus_frame_get_id(h, id);
        return r == HORUS_OK ? horus_frame_get_time(h, ns) : r;
    }
    horusi_slot *slot = &h->pool->slot[h->slot];
    for (size_t i = 0; i < HORUS_FRAME_ID_BYTES / 8; i++) {
        uint64_t v = horusi_ld64_rlx(own, &slot->frame_id[i]);
        memcpy(id + 8 * i, &v, 8);
    }
    id[HORUS_FRAME_ID_BYTES - 1] = 0;
    *ns = horusi_ld64_rlx(own, &slot->time_ns);
    return HORUS_OK;
}
static PyObject *horusp_get_frame_id(PyObject *self, void *unused)
{
    horusp_frame *f = (horusp_frame *)self;
    char id[HORUS_FRAME_ID_BYTES];
    uint64_t ns;
    (void)unused;
    if (!horusp_live(f))
        return NULL;
    horus_result r = horusp_meta(f, id, &ns);
    return r == HORUS_OK ? PyUnicode_DecodeUTF8(id, (Py_ssize_t)strlen(id), "replace")
                         : horusp_error(r);
}
static int horusp_put_frame_id(PyObject *self, PyObject *value, void *unused)
{
    horusp_frame *f = (horusp_frame *)self;
    Py_ssize_t n = 0;
    (void)unused;
    if (!horusp_live(f))
        return -1;
    if (!value || !PyUnicode_Check(value)) {
        PyErr_SetString(HORUSP_TYPE_ERROR, "frame_id must be a str");
        return -1;
    }
    const char *text = horusp_utf8(value, &n);
    if (!text)
        return -1;
    if (n >= HORUS_FRAME_ID_BYTES || strlen(text) != (size_t)n) {
        PyErr_Format(horusp.by_code[-HORUS_E_SIZE],
                     "frame_id: at most %d bytes of UTF-8 without NUL, not %zd",
                     HORUS_FRAME_ID_BYTES - 1, n);
        return -1;
    }
    if (!f->t.frame.pool)
        return (void)horusp_read_only(), -1;
    horus_result r = horus_frame_set_id(&f->t.frame, text);
    return r == HORUS_OK ? 0 : (horusp_error(r), -1);
}
static PyObject *horusp_get_time(PyObject *self, void *unused)
{
    horusp_frame *f = (horusp_frame *)self;
    char id[HORUS_FRAME_ID_BYTES];
    uint64_t ns = 0;
    (void)unused;
    if (!horusp_live(f))
        return NULL;
    horus_result r = horusp_meta(f, id, &ns);
    return r == HORUS_OK ? PyLong_FromUnsignedLongLong(ns) : horusp_error(r);
}
static int horusp_put_time(PyObject *self, PyObject *value, void *unused)
{
    horusp_frame *f = (horusp_frame *)self;
    (void)unused;
    if (!horusp_live(f))
        return -1;
    if (!value) {
        PyErr_SetString(HORUSP_TYPE_ERROR, "timestamp_ns cannot be deleted");
        return -1;
    }
    PyObject *n = PyNumber_Index(value);
    if (!n) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(HORUSP_TYPE_ERROR, "timestamp_ns must be an int, not %.100s",
                         Py_TYPE(value)->tp_name);
        return -1;
    }
    unsigned long long ns = PyLong_AsUnsignedLongLong(n);
    Py_DECREF(n);
    if (ns == (unsigned long long)-1 && PyErr_Occurred()) {
        horusp_refuse(horusp.overflow_error, "timestamp_ns must be 0 to 2**64 - 1, not %S", value);
        return -1;
    }
    if (!horusp_live(f)) /* what was called above may have released it */
        return -1;
    if (!f->t.frame.pool)
        return (void)horusp_read_only(), -1;
    horus_result r = horus_frame_set_time(&f->t.frame, ns);
    return r == HORUS_OK ? 0 : (horusp_error(r), -1);
}
static PyObject *horusp_set_frame_id(PyObject *self, PyObject *value)
{
    if (horusp_put_frame_id(self, value, NULL) < 0)
        return NULL;
    Py_RETURN_NONE;
}
HORUSP_ONE(horusp_set_frame_id, "set_frame_id", "id")
static PyObject *horusp_set_time(PyObject *self, PyObject *value)
{
    if (horusp_put_time(self, value, NULL) < 0)
        return NULL;
    Py_RETURN_NONE;
}
HORUSP_ONE(horusp_set_time, "set_timestamp_ns", "ts")
static PyObject *horusp_get_device(PyObject *self, void *unused)
{
    (void)unused;
    return horusp_live((horusp_frame *)self) ? PyUnicode_FromString("cpu") : NULL;
}
static PyObject *horusp_get_false(PyObject *self, void *unused)
{
    (void)unused;
    return horusp_live((horusp_frame *)self) ? horusp_ref(Py_False) : NULL;
}
static PyObject *horusp_is_cpu(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_live((horusp_frame *)self) ? horusp_ref(Py_True) : NULL;
}
static PyObject *horusp_is_cuda(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_get_false(self, NULL);
}
static PyObject *horusp_get_readonly(PyObject *self, void *unused)
{
    horusp_frame *f = (horusp_frame *)self;
    (void)unused;
    return horusp_live(f) ? PyBool_FromLong(horusp_is_read_only(f)) : NULL;
}
/* This process's handles to the slot, and one for each other process that holds it. */
static PyObject *horusp_get_refcount(PyObject *self, void *unused)
{
    horusp_frame *f = (horusp_frame *)self;
    (void)unused;
    if (!horusp_live(f))
        return NULL;
    if (!f->t.frame.pool)
        return PyLong_FromLong(0); /* inherited: it holds nothing */
    uint32_t mine = horusi_ld32_rlx(own, &f->t.frame.pool->rec[f->t.frame.slot].count);
    uint32_t processes = horus_frame_holders(&f->t.frame);
    return PyLong_FromUnsignedLong(mine + (processes ? processes - 1 : 0));
}
static PyObject *horusp_get_interface(PyObject *self, void *unused)
{
    horusp_frame *f = (horusp_frame *)self;
    (void)unused;
    if (!horusp_live(f))
        return NULL;
    const char *type = horusp_typestr(f->t.dtype);
    if (!type) {
        PyErr_SetString(PyExc_AttributeError, "__array_interface__ has no bfloat16");
        return NULL;
    }
    PyObject *shape = PyTuple_New(f->t.ndim), *strides = PyTuple_New(f->t.ndim), *d = NULL;
    for (uint32_t i = 0; shape && strides && i < f->t.ndim; i++) {
        PyObject *n = PyLong_FromLongLong(f->t.shape[i]),
                 *s = PyLong_FromLongLong(f->t.strides_bytes[i]);
        if (!n || !s) {
            Py_XDECREF(n);
            Py_XDECREF(s);
            Py_CLEAR(shape);
            break;
        }
        PyTuple_SET_ITEM(shape, i, n);
        PyTuple_SET_ITEM(strides, i, s);
    }
    if (shape && strides)
        d = Py_BuildValue("{si sO sO ss s(KO)}", "version", 3, "shape", shape, "strides",
                          horus_tensor_is_contiguous(&f->t) ? Py_None : strides, "typestr", type,
                          "data", (unsigned long long)(uintptr_t)f->t.data,
                          horusp_is_read_only(f) ? Py_True : Py_False);
    Py_XDECREF(shape);
    Py_XDECREF(strides);
    if (d && !horusp_live(f)) /* making it may set off a collection, whose code may release it */
        Py_CLEAR(d);
    if (d && !f->lent)
        f->lent = (horusp_hold *)horusp_ref((PyObject *)f->hold);
    return d;
}
static horusp_sig horusp_sig_array = {"__array__", 2, 0, 2, {{"dtype", 0}, {"copy", 0}}};
static PyObject *horusp_array(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    PyObject *v[2];
    if (!horusp_args(&horusp_sig_array, args, nargs, kw, v))
        return NULL;
    int copy = v[1] && v[1] != Py_None ? PyObject_IsTrue(v[1]) : -2; /* -2: as needed */
    PyObject *a = copy == -1 ? NULL : horusp_ndarray((horusp_frame *)self), *b = NULL;
    if (!a)
        return NULL;
    if (v[0] && v[0] != Py_None) {
        PyObject *yes = PyBool_FromLong(copy == 1), *none = PyTuple_New(0);
        PyObject *kw_as = none ? Py_BuildValue("{sOsO}", "dtype", v[0], "copy", yes) : NULL;
        PyObject *as = kw_as ? PyObject_GetAttrString(a, "astype") : NULL;
        b = as ? PyObject_Call(as, none, kw_as) : NULL; /* perhaps `a`, held once more */
        Py_XDECREF(as);
        Py_XDECREF(kw_as);
        Py_XDECREF(none);
        Py_XDECREF(yes);
        if (b && b != a && copy == 0) {
            Py_CLEAR(b);
            PyErr_SetString(HORUSP_VALUE_ERROR, "another dtype is not to be had without a copy");
        }
    } else {
        b = copy == 1 ? PyObject_CallMethod(a, "copy", NULL) : horusp_ref(a);
    }
    Py_DECREF(a);
    return b;
}
static horusp_sig horusp_sig_to_numpy = {"to_numpy", 1, 0, 1, {{"copy", 0}}};
static PyObject *horusp_to_numpy(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kw)
{
    PyObject *v[1] = {NULL};
    if ((nargs || kw) && !horusp_args(&horusp_sig_to_numpy, args, nargs, kw, v))
        return NULL;
    int copy = v[0] ? PyObject_IsTrue(v[0]) : 0;
    if (copy < 0)
        return NULL;
    PyObject *a = horusp_ndarray((horusp_frame *)self);
    if (a && copy) {
        PyObject *b = PyObject_CallMethod(a, "copy", NULL);
        Py_DECREF(a);
        return b;
    }
    return a;
}
/* Another kind of view of the same memory. */
static PyObject *horusp_share(horusp_frame *f, uint32_t kind, const horus_tensor *t)
{
    if (!horusp_live(f))
        return NULL;
    horusp_frame *n = (horusp_frame *)horusp_frame_of(kind, t, f->hold);
    if (n) {
        n->encoding = f->encoding;
        n->scale = f->scale;
    }
    return (PyObject *)n;
}
static PyObject *horusp_as_tensor(PyObject *self, PyObject *none)
{
    horusp_frame *f = (horusp_frame *)self;
    (void)none;
    return horusp_share(f, HORUS_KIND_TENSOR, &f->t);
}
static PyObject *horusp_frame_copy(PyObject *self, PyObject *none)
{
    horusp_frame *f = (horusp_frame *)self;
    horus_tensor t;
    (void)none;
    if (!horusp_live(f))
        return NULL;
    horusp_hold *hold = f->hold;
    Py_INCREF(hold);
    horus_result r = horusp_copy_tensor(&t, &f->t, NULL);
    char id[HORUS_FRAME_ID_BYTES];
    uint64_t ns;
    if (r == HORUS_OK && f->hold && !f->t.frame.pool && horusp_meta(f, id, &ns) == HORUS_OK) {
        (void)horus_frame_set_id(&t.frame, id); /* it came from no pool */
        (void)horus_frame_set_time(&t.frame, ns);
    }
    Py_DECREF(hold);
    if (r != HORUS_OK)
        return horusp_error(r);
    horusp_frame *n = (horusp_frame *)horusp_frame_of(f->kind, &t, NULL);
    if (n) {
        n->encoding = f->encoding;
        n->scale = f->scale;
    }
    return (PyObject *)n;
}
static PyObject *horusp_deepcopy(PyObject *self, PyObject *memo)
{
    (void)memo;
    return horusp_frame_copy(self, NULL);
}
static PyObject *horusp_release(PyObject *self, PyObject *none)
{
    (void)none;
    Py_CLEAR(((horusp_frame *)self)->hold);
    Py_RETURN_NONE;
}
static PyObject *horusp_enter_self(PyObject *self, PyObject *none)
{
    (void)none;
    if (!horusp_live((horusp_frame *)self))
        return NULL;
    return horusp_ref(self);
}
static PyObject *horusp_exit_self(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)args;
    (void)nargs;
    return horusp_release(self, NULL);
}
/* Pickling goes by value: the bytes and what describes them. */
static PyObject *horusp_reduce(PyObject *self, PyObject *none)
{
    horusp_frame *f = (horusp_frame *)self;
    horus_tensor dense;
    PyObject *result = NULL, *id = NULL, *time = NULL;
    (void)none;
    if (!horusp_live(f))
        return NULL;
    uint64_t n = horus_tensor_numel(&f->t) * horus_dtype_bytes((horus_dtype)f->t.dtype);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
    PyObject *shape = bytes ? horusp_int_list(f->t.shape, f->t.ndim) : NULL;
    PyObject *rebuild = shape ? PyObject_GetAttrString(horusp.module, "_rebuild") : NULL;
    id = rebuild ? horusp_get_frame_id(self, NULL) : NULL;
    time = id ? horusp_get_time(self, NULL) : NULL;
    if (time) {
        dense = f->t;
        dense.data = PyBytes_AS_STRING(bytes);
        int64_t stride = (int64_t)horus_dtype_bytes((horus_dtype)dense.dtype);
        for (uint32_t i = dense.ndim; i-- > 0;) {
            dense.strides_bytes[i] = stride;
            stride *= dense.shape[i];
        }
        horus_tensor from = f->t;
        PyObject *hold = horusp_ref((PyObject *)f->hold); /* release() may come meanwhile */
        PyThreadState *thread = n >= 65536 ? PyEval_SaveThread() : NULL;
        if (n && horus_tensor_is_contiguous(&from))
            memcpy(dense.data, from.data, (size_t)n);
        else if (n)
            horusi_copy_elements(&dense, &from, 0, (uint8_t *)dense.data,
                                 (const uint8_t *)from.data);
        if (thread)
            PyEval_RestoreThread(thread);
        Py_DECREF(hold);
        result = Py_BuildValue("O(iiidOOOO)", rebuild, (int)f->kind, (int)f->t.dtype,
                               (int)f->encoding, f->scale, shape, bytes, id, time);
    }
    Py_XDECREF(bytes);
    Py_XDECREF(shape);
    Py_XDECREF(rebuild);
    Py_XDECREF(id);
    Py_XDECREF(time);
    return result;
}
static PyObject *horusp_rebuild(PyObject *module, PyObject *args)
{
    int kind, dtype, encoding;
    double scale;
    PyObject *shape_list, *id, *time;
    Py_buffer bytes;
    uint32_t ndim;
    int64_t shape[HORUS_MAX_DIMS];
    (void)module;
    if (!PyArg_ParseTuple(args, "iiidOy*OO:_rebuild", &kind, &dtype, &encoding, &scale, &shape_list,
                          &bytes, &id, &time))
        return NULL;
    horusp_frame *f = NULL;
    bool ok = horusp_shape(shape_list, 0, &ndim, shape);
    if (ok) { /* whoever made the pickle: nothing is believed, and nothing allocated before it fits */
        ok = kind >= 1 && kind <= 4 && dtype >= 0 && dtype <= HORUS_BOOL && encoding >= 0 &&
             encoding <= HORUS_DEPTH16;
        uint32_t channels = ok ? horus_encoding_channels((horus_encoding)encoding) : 0;
        uint64_t room = (uint64_t)bytes.len, size = ok ? horus_dtype_bytes((horus_dtype)dtype) : 1;
        bool empty = false;
        for (uint32_t i = 0; i < ndim; i++)
            empty = empty || shape[i] == 0;
        for (uint32_t i = 0; ok && !empty && i < ndim; i++) {
            ok = (uint64_t)shape[i] <= room / size;
            size *= (uint64_t)shape[i];
        }
        ok = ok && room == (empty ? 0 : size);
        bool pixels = ndim >= 2 && shape[0] >= 1 && shape[0] <= INT32_MAX && shape[1] >= 1 &&
                      shape[1] <= INT32_MAX;
        if (kind == HORUS_KIND_IMAGE)
            ok = ok && pixels && ndim == (channels > 1 ? 3u : 2u) &&
                 (channels == 1 || shape[2] == channels) &&
                 horusi_encodings[encoding].dtype == dtype;
        else if (kind == HORUS_KIND_DEPTH)
            ok = ok && pixels && ndim == 2 && (dtype == HORUS_F32 || dtype == HORUS_U16) &&
                 scale > 0 && scale < 1e6 && (dtype == HORUS_U16 || !(scale < 1 || scale > 1));
        else if (kind == HORUS_KIND_CLOUD)
            ok = ok && ndim == 2 && shape[1] >= 1 && shape[1] <= 65535;
        if (!ok)
            PyErr_SetString(HORUSP_VALUE_ERROR, "not what pickling a frame gives");
    }
    if (ok)
        f = horusp_frame_new((uint32_t)kind, NULL, (horus_dtype)dtype, ndim, shape, HORUS_UNINIT);
    if (f) {
        horusp_copy_bytes(f->t.data, bytes.buf, (size_t)bytes.len); /* nobody else knows f */
        if (kind == HORUS_KIND_IMAGE)
            f->encoding = (uint8_t)encoding;
        if (kind == HORUS_KIND_DEPTH)
            f->scale = scale;
        if (horusp_put_frame_id((PyObject *)f, id, NULL) < 0 ||
            horusp_put_time((PyObject *)f, time, NULL) < 0)
            Py_CLEAR(f);
    }
    PyBuffer_Release(&bytes);
    return (PyObject *)f;
}
static PyObject *horusp_to_cpu(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_live((horusp_frame *)self) ? horusp_ref(self) : NULL;
}
static horusp_sig horusp_sig_cuda = {"cuda", 1, 0, 1, {{"device", 0}}};
static PyObject *horusp_cuda(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    PyObject *v[1];
    if (!horusp_args(&horusp_sig_cuda, args, nargs, kw, v) || !horusp_live((horusp_frame *)self))
        return NULL;
    if (v[0])
        return horusp_device(v[0], false) ? horusp_to_cpu(self, NULL) : NULL;
    PyErr_SetString(horusp.by_code[-HORUS_E_UNSUPPORTED],
                    "pool memory is the CPU's: to_torch().to(\"cuda\") copies it to a GPU");
    return NULL;
}

#define HORUSP_FRAME_GETSET                                                                        \
    {"nbytes", horusp_get_nbytes, NULL, "Size of the data, bytes.", NULL},                         \
        {"dtype", horusp_get_dtype, NULL, "Element type, by NumPy's name.", NULL},                 \
        {"frame_id", horusp_get_frame_id, horusp_put_frame_id,                                     \
         "The sensor's coordinate frame: at most 63 bytes of UTF-8.", NULL},                       \
        {"timestamp_ns", horusp_get_time, horusp_put_time, "When it was taken, ns.", NULL},        \
        {"device", horusp_get_device, NULL, "\"cpu\".", NULL},                                     \
        {"is_gpu", horusp_get_false, NULL, "False: pool memory is the CPU's.", NULL},              \
        {"readonly", horusp_get_readonly, NULL, "True once the frame was sent.", NULL},            \
        {"refcount", horusp_get_refcount, NULL,                                                    \
         "This process's handles to the slot, and one for each other process that holds it.",      \
         NULL},                                                                                    \
    {                                                                                              \
        "__array_interface__", horusp_get_interface, NULL, "NumPy's array interface, version 3.",  \
            NULL                                                                                   \
    }
#define HORUSP_FRAME_METHODS                                                                       \
    {"set_frame_id", HORUSP_FN(horusp_set_frame_id_), HORUSP_FAST,                                 \
     "set_frame_id($self, id)\n--\n\nNames the sensor's coordinate frame: at most 63 bytes."},     \
        {"set_timestamp_ns", HORUSP_FN(horusp_set_time_), HORUSP_FAST,                             \
         "set_timestamp_ns($self, ts)\n--\n\nSays when it was taken, ns."},                        \
        {"is_cpu", horusp_is_cpu, METH_NOARGS, "is_cpu($self)\n--\n\nTrue."},                      \
        {"is_cuda", horusp_is_cuda, METH_NOARGS, "is_cuda($self)\n--\n\nFalse."},                  \
        {"to_cpu", horusp_to_cpu, METH_NOARGS, "to_cpu($self)\n--\n\nItself."},                    \
        {"copy", horusp_frame_copy, METH_NOARGS,                                                   \
         "copy($self)\n--\n\nA private, writable copy in the pool."},                              \
        {"__copy__", horusp_frame_copy, METH_NOARGS, NULL},                                        \
        {"__deepcopy__", horusp_deepcopy, METH_O, NULL},                                           \
        {"release", horusp_release, METH_NOARGS,                                                   \
         "release($self)\n--\n\nLets go of the memory now; arrays made from it keep theirs. "      \
         "Every "                                                                                  \
         "later use is RuntimeError. Once __array_interface__ was read, the memory goes with the " \
         "object."},                                                                               \
        {"as_tensor", horusp_as_tensor, METH_NOARGS,                                               \
         "as_tensor($self)\n--\n\nThe same memory as a Tensor."},                                  \
        {"to_numpy", HORUSP_FN(horusp_to_numpy), HORUSP_FAST,                                      \
         "to_numpy($self, copy=False)\n--\n\nThe same memory as a NumPy array, read-only once "    \
         "the "                                                                                    \
         "frame was sent; with copy=True a copy of its own."},                                     \
        {"to_torch", horusp_to_torch, METH_NOARGS,                                                 \
         "to_torch($self)\n--\n\nThe same memory as a torch.Tensor. torch knows no read-only "     \
         "memory: do not write into a received frame."},                                           \
        {"to_jax", horusp_to_jax, METH_NOARGS,                                                     \
         "to_jax($self)\n--\n\nThe same memory as a jax.Array. Without jax_enable_x64, JAX "       \
         "copies 64-bit types to 32 bits, which is a UserWarning."},                               \
        {"__dlpack__", HORUSP_FN(horusp_dlpack), HORUSP_FAST,                                      \
         "__dlpack__($self, *, stream=None, max_version=None, dl_device=None, copy=None)\n--\n\n"  \
         "A DLPack capsule of the same memory."},                                                  \
        {"__dlpack_device__", horusp_dlpack_device, METH_NOARGS,                                   \
         "__dlpack_device__($self)\n--\n\n(1, 0): the CPU."},                                      \
        {"__array__", HORUSP_FN(horusp_array), HORUSP_FAST,                                        \
         "__array__($self, dtype=None, copy=None)\n--\n\nFor np.asarray."},                        \
        {"__reduce__", horusp_reduce, METH_NOARGS,                                                 \
         "__reduce__($self)\n--\n\nPickling, by value."},                                          \
        {"__enter__", horusp_enter_self, METH_NOARGS, NULL},                                       \
    {                                                                                              \
        "__exit__", HORUSP_FN(horusp_exit_self), METH_FASTCALL, NULL                               \
    }

/* ------------------------------------------------------------------------------------ >>arithmetic
 *
 * NumPy does the work, by its own rules of promotion and broadcasting; results become Tensors in the
 * pool. An index gives what NumPy gives: a view of the same memory, a copy or a scalar. */
static PyObject *horusp_operand(PyObject *o)
{
    return horusp_is_frame(o) ? horusp_ndarray((horusp_frame *)o) : horusp_ref(o);
}
/* An array's elements as a new Tensor. Steals `a`. A scalar gets the shape [1] if `one`. */
static PyObject *horusp_tensor_from(PyObject *a, bool one)
{
    horusp_source s;
    PyObject *keep, *result = NULL;
    horus_tensor t;
    if (!a || a == Py_NotImplemented)
        return a;
    if (horusp_source_begin(&s, a, &keep)) {
        if (one && s.t.ndim == 0) {
            s.t.ndim = 1;
            s.t.shape[0] = 1;
            s.t.strides_bytes[0] = (int64_t)horus_dtype_bytes((horus_dtype)s.t.dtype);
        }
        if (horusp_source_copy(&s, NULL, &t))
            result = horusp_frame_of(HORUS_KIND_TENSOR, &t, NULL);
        horusp_source_end(&s);
        Py_XDECREF(keep);
    }
    Py_DECREF(a);
    return result;
}
static PyObject *horusp_binary(const char *name, PyObject *a, PyObject *b)
{
    PyObject *x = horusp_operand(a), *y = x ? horusp_operand(b) : NULL;
    PyObject *r = y ? horusp_np_call(name, x, y) : NULL;
    Py_XDECREF(x);
    Py_XDECREF(y);
    return horusp_tensor_from(r, false);
}
static PyObject *horusp_in_place(const char *name, PyObject *a, PyObject *b)
{
    horusp_frame *f = (horusp_frame *)a;
    horusp_hold *hold = horusp_write_begin(f);
    if (!hold)
        return NULL;
    PyObject *x = horusp_ndarray(f), *y = x ? horusp_operand(b) : NULL, *r = NULL;
    PyObject *numpy = y ? horusp_numpy() : NULL,
             *function = numpy ? PyObject_GetAttrString(numpy, name) : NULL;
    PyObject *args = function ? PyTuple_Pack(2, x, y) : NULL;
    PyObject *kw = args ? Py_BuildValue("{sO}", "out", x) : NULL;
    if (kw)
        r = PyObject_Call(function, args, kw);
    horusp_write_end(hold);
    Py_XDECREF(kw);
    Py_XDECREF(args);
    Py_XDECREF(function);
    Py_XDECREF(numpy);
    Py_XDECREF(y);
    Py_XDECREF(x);
    if (!r)
        return NULL;
    Py_DECREF(r);
    return horusp_ref(a);
}
/* X(slot, in-place slot, function of NumPy) */
#define HORUSP_BINARIES(X)                                                                         \
    X(add, inplace_add, "add")                                                                     \
    X(subtract, inplace_subtract, "subtract")                                                      \
    X(multiply, inplace_multiply, "multiply")                                                      \
    X(true_divide, inplace_true_divide, "true_divide")                                             \
    X(floor_divide, inplace_floor_divide, "floor_divide")                                          \
    X(remainder, inplace_remainder, "remainder")                                                   \
    X(matrix_multiply, inplace_matrix_multiply, "matmul")                                          \
    X(and, inplace_and, "bitwise_and")                                                             \
    X(or, inplace_or, "bitwise_or")                                                                \
    X(xor, inplace_xor, "bitwise_xor")                                                             \
    X(lshift, inplace_lshift, "left_shift")                                                        \
    X(rshift, inplace_rshift, "right_shift")
#define HORUSP_X(slot, in_place, name)                                                             \
    static PyObject *horusp_##slot(PyObject *a, PyObject *b) { return horusp_binary(name, a, b); } \
    static PyObject *horusp_##in_place(PyObject *a, PyObject *b)                                   \
    {                                                                                              \
        return horusp_in_place(name, a, b);                                                        \
    }
HORUSP_BINARIES(HORUSP_X)
#undef HORUSP_X
static PyObject *horusp_power(PyObject *a, PyObject *b, PyObject *modulus)
{
    if (modulus != Py_None)
        Py_RETURN_NOTIMPLEMENTED;
    return horusp_binary("power", a, b);
}
static PyObject *horusp_inplace_power(PyObject *a, PyObject *b, PyObject *modulus)
{
    if (modulus != Py_None)
        Py_RETURN_NOTIMPLEMENTED;
    return horusp_in_place("power", a, b);
}
static PyObject *horusp_unary(const char *name, PyObject *a)
{
    PyObject *x = horusp_operand(a), *r = x ? horusp_np_call(name, x, NULL) : NULL;
    Py_XDECREF(x);
    return horusp_tensor_from(r, false);
}
static PyObject *horusp_negative(PyObject *a) { return horusp_unary("negative", a); }
static PyObject *horusp_positive(PyObject *a) { return horusp_frame_copy(a, NULL); }
static PyObject *horusp_absolute(PyObject *a) { return horusp_unary("absolute", a); }
static PyObject *horusp_invert(PyObject *a) { return horusp_unary("invert", a); }
/* Messages are true, empty ones too: `if img:` asks whether there is one. */
static int horusp_bool(PyObject *a) { return horusp_live((horusp_frame *)a) ? 1 : -1; }
static PyObject *horusp_item(PyObject *a)
{
    PyObject *x = horusp_operand(a), *r = x ? PyObject_CallMethod(x, "item", NULL) : NULL;
    Py_XDECREF(x);
    return r;
}
static PyObject *horusp_float(PyObject *a)
{
    PyObject *v = horusp_item(a), *r = v ? PyNumber_Float(v) : NULL;
    Py_XDECREF(v);
    return r;
}
static PyObject *horusp_long(PyObject *a)
{
    PyObject *v = horusp_item(a), *r = v ? PyNumber_Long(v) : NULL;
    Py_XDECREF(v);
    return r;
}
#define HORUSP_X(slot, in_place, name) .nb_##slot = horusp_##slot,
#define HORUSP_Y(slot, in_place, name) .nb_##in_place = horusp_##in_place,
static PyNumberMethods horusp_image_number = {
    HORUSP_BINARIES(HORUSP_X) HORUSP_BINARIES(HORUSP_Y).nb_bool = horusp_bool,
};
static PyNumberMethods horusp_tensor_number = {
    HORUSP_BINARIES(HORUSP_X) HORUSP_BINARIES(HORUSP_Y).nb_bool = horusp_bool,
    .nb_power = horusp_power,
    .nb_inplace_power = horusp_inplace_power,
    .nb_negative = horusp_negative,
    .nb_positive = horusp_positive,
    .nb_absolute = horusp_absolute,
    .nb_invert = horusp_invert,
    .nb_float = horusp_float,
    .nb_int = horusp_long,
};
#undef HORUSP_X
#undef HORUSP_Y

static PyObject *horusp_compare(PyObject *a, PyObject *b, int op)
{
    static const char *const names[] = {
        [Py_LT] = "less",      [Py_LE] = "less_equal", [Py_EQ] = "equal",
        [Py_NE] = "not_equal", [Py_GT] = "greater",    [Py_GE] = "greater_equal"};
    if (b == Py_None || PyUnicode_Check(b))
        Py_RETURN_NOTIMPLEMENTED;
    return horusp_binary(names[op], a, b);
}
static PyObject *horusp_subscript(PyObject *self, PyObject *key)
{
    PyObject *a = horusp_ndarray((horusp_frame *)self), *k = a ? horusp_operand(key) : NULL;
    PyObject *r = k ? PyObject_GetItem(a, k) : NULL;
    Py_XDECREF(k);
    Py_XDECREF(a);
    return r;
}
static int horusp_put_item(PyObject *self, PyObject *key, PyObject *value)
{
    horusp_frame *f = (horusp_frame *)self;
    if (!horusp_live(f))
        return -1;
    if (!value) {
        PyErr_SetString(HORUSP_TYPE_ERROR, "elements cannot be deleted");
        return -1;
    }
    horusp_hold *hold = horusp_write_begin(f);
    if (!hold)
        return -1;
    PyObject *a = horusp_ndarray(f), *k = a ? horusp_operand(key) : NULL;
    PyObject *v = k ? horusp_operand(value) : NULL;
    int r = v ? PyObject_SetItem(a, k, v) : -1;
    horusp_write_end(hold);
    Py_XDECREF(v);
    Py_XDECREF(k);
    Py_XDECREF(a);
    return r;
}
static Py_ssize_t horusp_length(PyObject *self)
{
    horusp_frame *f = (horusp_frame *)self;
    if (!horusp_live(f))
        return -1;
    if (f->t.ndim == 0) {
        PyErr_SetString(HORUSP_TYPE_ERROR, "a tensor without dimensions has no length");
        return -1;
    }
    return (Py_ssize_t)f->t.shape[0];
}
static PyObject *horusp_iter(PyObject *self)
{
    PyObject *a = horusp_ndarray((horusp_frame *)self), *r = a ? PyObject_GetIter(a) : NULL;
    Py_XDECREF(a);
    return r;
}
static PyMappingMethods horusp_mapping = {.mp_length = horusp_length,
                                          .mp_subscript = horusp_subscript,
                                          .mp_ass_subscript = horusp_put_item};

/* What the four types have in common; the rest of each is below. */
#define HORUSP_FRAME_TYPE(text)                                                                    \
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus." text, .tp_basicsize = sizeof(horusp_frame),  \
                                .tp_dealloc = horusp_frame_dealloc,                                \
                                .tp_flags = Py_TPFLAGS_DEFAULT,                                    \
                                .tp_weaklistoffset = offsetof(horusp_frame, weak),                 \
                                .tp_as_buffer = &horusp_frame_buffer,                              \
                                .tp_as_mapping = &horusp_mapping, .tp_iter = horusp_iter

/* A channel or an element as a Python number. */
static PyObject *horusp_scalar(double v, uint8_t dtype)
{
    return dtype == HORUS_F32 || dtype == HORUS_F64 ? PyFloat_FromDouble(v) : PyLong_FromDouble(v);
}
/* One to four numbers from a number or a sequence. The count, or -1. */
static int horusp_numbers(PyObject *o, double *out)
{
    if (horusp_is_number(o))
        return horusp_double(o, "value", out) ? 1 : -1;
    PyObject *list = horusp_items(o, "value must be a number or a sequence of numbers");
    if (!list)
        return -1;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(list);
    if (n > 4) {
        PyErr_Format(horusp.by_code[-HORUS_E_SIZE], "%zd channels; at most 4 are possible", n);
        n = -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (i >= PySequence_Fast_GET_SIZE(list)) {
            n = -1;
            PyErr_SetString(horusp.by_code[-HORUS_E_BUSY], "the value changed while it was read");
            break;
        }
        PyObject *item = horusp_ref(PySequence_Fast_GET_ITEM(list, i));
        if (!horusp_double(item, "a channel", &out[i]))
            n = -1;
        Py_DECREF(item);
    }
    Py_DECREF(list);
    return (int)n;
}

/* ------------------------------------------------------------------------------------ >>image */
static bool horusp_encoding(PyObject *o, horus_encoding *out)
{
    Py_ssize_t bytes = 0;
    const char *s = PyUnicode_Check(o) ? horusp_utf8(o, &bytes) : NULL;
    if (!s) {
        if (!PyErr_Occurred())
            PyErr_Format(HORUSP_TYPE_ERROR, "encoding must be a str, not %.100s",
                         Py_TYPE(o)->tp_name);
        return false;
    }
    if (strlen(s) == (size_t)bytes && horus_encoding_find(out, s) == HORUS_OK)
        return true;
    horusp_refuse(
        horusp.by_code[-HORUS_E_ARG],
        "encoding %R is none of mono8, mono16, rgb8, bgr8, rgba8, bgra8, yuv422, mono32f, "
        "rgb32f, bayer_rggb8, depth16",
        o);
    return false;
}
static uint32_t horusp_image_shape(horus_encoding e, int64_t height, int64_t width, int64_t *shape)
{
    shape[0] = height;
    shape[1] = width;
    shape[2] = horus_encoding_channels(e);
    return shape[2] == 1 ? 2 : 3;
}
static horusp_frame *horusp_image_new(int64_t height, int64_t width, horus_encoding e,
                                      uint32_t flags)
{
    int64_t shape[3];
    uint32_t ndim = horusp_image_shape(e, height, width, shape);
    horusp_frame *f =
        horusp_frame_new(HORUS_KIND_IMAGE, NULL, horusi_encodings[e].dtype, ndim, shape, flags);
    if (f)
        f->encoding = (uint8_t)e;
    return f;
}
/* The C view of an image object. */
static horus_image horusp_image(const horusp_frame *f)
{
    horus_image m;
    memset(&m, 0, sizeof m);
    m.frame = f->t.frame;
    m.data = f->t.data;
    m.width_px = (uint32_t)f->t.shape[1];
    m.height_px = (uint32_t)f->t.shape[0];
    m.stride_bytes = (uint32_t)f->t.strides_bytes[0];
    m.encoding = f->encoding;
    m.channels = (uint8_t)horus_encoding_channels((horus_encoding)f->encoding);
    m.elem_bytes = (uint8_t)horus_encoding_elem_bytes((horus_encoding)f->encoding);
    m.readonly = horusp_is_read_only(f);
    return m;
}
static horusp_sig horusp_sig_image = {
    "Image", 3, 2, 3, {{"height", 0}, {"width", 0}, {"encoding", 0}}};
static PyObject *horusp_image_make(PyObject **v, uint32_t flags)
{
    int64_t height, width;
    horus_encoding e = HORUS_RGB8;
    if (!horusp_int(v[0], "height", 1, INT32_MAX, &height) ||
        !horusp_int(v[1], "width", 1, INT32_MAX, &width) || (v[2] && !horusp_encoding(v[2], &e)))
        return NULL;
    return (PyObject *)horusp_image_new(height, width, e, flags);
}
static PyObject *horusp_image_tp_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    PyObject *v[3];
    (void)type;
    return horusp_args_tuple(&horusp_sig_image, args, kw, v) ? horusp_image_make(v, 0) : NULL;
}
static PyObject *horusp_image_empty(PyObject *type, PyObject *const *args, Py_ssize_t nargs,
                                    PyObject *kw)
{
    PyObject *v[3];
    (void)type;
    return horusp_args(&horusp_sig_image, args, nargs, kw, v) ? horusp_image_make(v, HORUS_UNINIT)
                                                              : NULL;
}
/* What an array of this shape and dtype is, if nobody says; -1: it could be anything. */
static int horusp_guess_encoding(const horus_tensor *t)
{
    int64_t channels = t->ndim == 2 ? 1 : t->ndim == 3 ? t->shape[2] : 0;
    if (t->dtype == HORUS_U8)
        return channels == 1   ? HORUS_MONO8
               : channels == 2 ? HORUS_YUV422
               : channels == 3 ? HORUS_RGB8
               : channels == 4 ? HORUS_RGBA8
                               : -1;
    if (t->dtype == HORUS_U16 && channels == 1)
        return HORUS_MONO16;
    if (t->dtype == HORUS_F32)
        return channels == 1 ? HORUS_MONO32F : channels == 3 ? HORUS_RGB32F : -1;
    return -1;
}
static void horusp_shape_text(const horus_tensor *t, char *out, size_t room)
{
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < t->ndim && n + 1 < room; i++)
        n += (size_t)snprintf(out + n, room - n, i ? ", %lld" : "%lld", (long long)t->shape[i]);
}
/* Does the array `t` fit the encoding? (H,W,1) is a mono picture as well as (H,W). */
static bool horusp_image_fits(horus_tensor *t, PyObject *encoding, horus_encoding *e)
{
    char shape[200];
    horusp_shape_text(t, shape, sizeof shape);
    if (encoding && encoding != Py_None) {
        if (!horusp_encoding(encoding, e))
            return false;
    } else {
        int guess = horusp_guess_encoding(t);
        if (guess < 0) {
            PyErr_Format(
                horusp.by_code[-HORUS_E_ARG],
                "an array of shape (%s) and dtype %s is no image that can be guessed: (H,W) "
                "uint8, uint16, float32, (H,W,2) uint8, (H,W,3) uint8, float32 or (H,W,4) "
                "uint8; or name the encoding",
                shape, horus_dtype_name((horus_dtype)t->dtype));
            return false;
        }
        *e = (horus_encoding)guess;
    }
    uint32_t channels = horus_encoding_channels(*e);
    bool fits = t->ndim == 3 ? t->shape[2] == channels : t->ndim == 2 && channels == 1;
    for (uint32_t i = 0; i < t->ndim; i++)
        fits = fits && t->shape[i] > 0;
    if (!fits || t->dtype != horusi_encodings[*e].dtype) {
        PyErr_Format(fits ? horusp.dtype_error : horusp.by_code[-HORUS_E_SIZE],
                     "%s takes an array of shape (height, width%s%s) and dtype %s, not (%s) of %s",
                     horus_encoding_name(*e), channels > 1 ? ", " : "",
                     channels == 1   ? ""
                     : channels == 2 ? "2"
                     : channels == 3 ? "3"
                                     : "4",
                     horus_dtype_name((horus_dtype)horusi_encodings[*e].dtype), shape,
                     horus_dtype_name((horus_dtype)t->dtype));
        return false;
    }
    if (channels == 1)
        t->ndim = 2;
    return true;
}
static horusp_sig horusp_sig_from = {"from_numpy", 2, 1, 2, {{"array", 0}, {"encoding", 0}}};
static PyObject *horusp_image_from_array(PyObject *o, PyObject *encoding)
{
    horusp_source s;
    PyObject *keep;
    horus_encoding e;
    horus_tensor t;
    horusp_frame *f = NULL;
    if (!horusp_source_begin(&s, o, &keep))
        return NULL;
    if (horusp_image_fits(&s.t, encoding, &e) && horusp_source_copy(&s, NULL, &t)) {
        f = (horusp_frame *)horusp_frame_of(HORUS_KIND_IMAGE, &t, NULL);
        if (f)
            f->encoding = (uint8_t)e;
    }
    horusp_source_end(&s);
    Py_XDECREF(keep);
    return (PyObject *)f;
}
static PyObject *horusp_image_from_numpy(PyObject *type, PyObject *const *args, Py_ssize_t nargs,
                                         PyObject *kw)
{
    PyObject *v[2];
    (void)type;
    return horusp_args(&horusp_sig_from, args, nargs, kw, v) ? horusp_image_from_array(v[0], v[1])
                                                             : NULL;
}
/* From a DLPack producer: one copy, and the geometry is checked on it. */
static PyObject *horusp_image_from_producer(PyObject *o, PyObject *encoding)
{
    horus_tensor t;
    horus_encoding e;
    if (!horusp_from_dlpack(o, NULL, &t))
        return NULL;
    if (!horusp_image_fits(&t, encoding, &e)) {
        (void)horus_tensor_release(&t);
        return NULL;
    }
    horusp_frame *f = (horusp_frame *)horusp_frame_of(HORUS_KIND_IMAGE, &t, NULL);
    if (f)
        f->encoding = (uint8_t)e;
    return (PyObject *)f;
}
static horusp_sig horusp_sig_from_torch = {"from_torch", 2, 1, 2, {{"tensor", 0}, {"encoding", 0}}};
static PyObject *horusp_image_from_torch(PyObject *type, PyObject *const *args, Py_ssize_t nargs,
                                         PyObject *kw)
{
    PyObject *v[2];
    (void)type;
    if (!horusp_args(&horusp_sig_from_torch, args, nargs, kw, v))
        return NULL;
    PyObject *plain = horusp_plain_torch(v[0]);
    PyObject *r = plain ? horusp_image_from_producer(plain, v[1]) : NULL;
    Py_XDECREF(plain);
    return r;
}
static horusp_sig horusp_sig_from_dlpack = {"from_dlpack", 2, 1, 2, {{"x", 0}, {"encoding", 0}}};
static PyObject *horusp_image_from_dlpack(PyObject *type, PyObject *const *args, Py_ssize_t nargs,
                                          PyObject *kw)
{
    PyObject *v[2];
    (void)type;
    return horusp_args(&horusp_sig_from_dlpack, args, nargs, kw, v)
               ? horusp_image_from_producer(v[0], v[1])
               : NULL;
}
/* Replaces all bytes of a dense, writable frame. The buffer's owner may run code of its own first. */
static bool horusp_fill_from_bytes(horusp_frame *f, PyObject *data)
{
    Py_buffer b;
    if (!horusp_buffer(data, PyBUF_C_CONTIGUOUS, &b))
        return false;
    uint64_t bytes = horus_tensor_numel(&f->t) * horus_dtype_bytes((horus_dtype)f->t.dtype);
    horusp_hold *hold = horusp_write_begin(f);
    bool ok = hold != NULL;
    if (ok && (uint64_t)b.len != bytes) {
        PyErr_Format(horusp.by_code[-HORUS_E_SIZE], "%llu bytes are needed, not %zd",
                     (unsigned long long)bytes, b.len);
        ok = false;
    }
    if (ok)
        horusp_copy_bytes(f->t.data, b.buf, (size_t)bytes);
    if (hold)
        horusp_write_end(hold);
    PyBuffer_Release(&b);
    return ok;
}
static horusp_sig horusp_sig_from_bytes = {
    "from_bytes", 4, 3, 4, {{"data", 0}, {"height", 0}, {"width", 0}, {"encoding", 0}}};
static PyObject *horusp_image_from_bytes(PyObject *type, PyObject *const *args, Py_ssize_t nargs,
                                         PyObject *kw)
{
    PyObject *v[4];
    (void)type;
    if (!horusp_args(&horusp_sig_from_bytes, args, nargs, kw, v))
        return NULL;
    horusp_frame *f = (horusp_frame *)horusp_image_make(v + 1, HORUS_UNINIT);
    if (f && !horusp_fill_from_bytes(f, v[0]))
        Py_CLEAR(f);
    return (PyObject *)f;
}
static PyObject *horusp_image_copy_from(PyObject *self, PyObject *data)
{
    horusp_frame *f = (horusp_frame *)self;
    if (!horusp_live(f))
        return NULL;
    if (horusp_is_read_only(f))
        return horusp_read_only();
    if (!horusp_fill_from_bytes(f, data))
        return NULL;
    Py_RETURN_NONE;
}
HORUSP_ONE(horusp_image_copy_from, "copy_from", "data")
static horusp_sig horusp_sig_pixel = {"pixel", 2, 2, 2, {{"x", 0}, {"y", 0}}};
static bool horusp_xy(horusp_frame *f, PyObject **v, int64_t *x, int64_t *y)
{
    return horusp_live(f) && horusp_int(v[0], "x", 0, f->t.shape[1] - 1, x) &&
           horusp_int(v[1], "y", 0, f->t.shape[0] - 1, y) && horusp_live(f);
}
static PyObject *horusp_image_pixel(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                    PyObject *kw)
{
    horusp_frame *f = (horusp_frame *)self;
    PyObject *v[2];
    int64_t x, y;
    double value[4];
    if (!horusp_args(&horusp_sig_pixel, args, nargs, kw, v) || !horusp_xy(f, v, &x, &y))
        return NULL;
    horus_image m = horusp_image(f);
    horus_result r = horus_image_pixel(&m, (uint32_t)x, (uint32_t)y, value, m.channels);
    if (r != HORUS_OK)
        return horusp_error(r);
    PyObject *list = PyList_New(m.channels);
    for (uint32_t i = 0; list && i < m.channels; i++) {
        PyObject *n = horusp_scalar(value[i], f->t.dtype);
        if (!n)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, n);
    }
    return list;
}
/* OverflowError if one of the values is too much for the encoding, else what `r` says. NULL. */
static PyObject *horusp_value_error(const horus_image *m, const double *value, int count,
                                    horus_result r)
{
    bool fit = true;
    for (int i = 0; i < count; i++)
        fit = fit && horusi_value_fits(value[i], horusi_encodings[m->encoding].dtype);
    if (r != HORUS_E_ARG || fit)
        return horusp_error(r);
    PyErr_SetString(horusp.overflow_error, horus_last_error());
    return NULL;
}
static horusp_sig horusp_sig_set_pixel = {"set_pixel", 3, 3, 3, {{"x", 0}, {"y", 0}, {"value", 0}}};
static PyObject *horusp_image_set_pixel(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                        PyObject *kw)
{
    horusp_frame *f = (horusp_frame *)self;
    PyObject *v[3];
    int64_t x, y;
    double value[4];
    if (!horusp_args(&horusp_sig_set_pixel, args, nargs, kw, v) || !horusp_xy(f, v, &x, &y))
        return NULL;
    int n = horusp_numbers(v[2], value);
    if (n < 0 || !horusp_live(f))
        return NULL;
    horus_image m = horusp_image(f);
    horus_result r = horus_image_set_pixel(&m, (uint32_t)x, (uint32_t)y, value, (size_t)n);
    if (r != HORUS_OK)
        return horusp_value_error(&m, value, n, r);
    Py_RETURN_NONE;
}
static PyObject *horusp_image_fill(PyObject *self, PyObject *o)
{
    horusp_frame *f = (horusp_frame *)self;
    double value[4];
    if (!horusp_live(f))
        return NULL;
    int n = horusp_numbers(o, value);
    if (n < 0 || !horusp_live(f))
        return NULL;
    horus_image m = horusp_image(f);
    if (n == 1) /* a grey of all channels */
        for (; n < m.channels; n++)
            value[n] = value[0];
    horusp_hold *hold = horusp_write_begin(f);
    if (!hold)
        return NULL;
    PyThreadState *thread =
        (uint64_t)m.stride_bytes * m.height_px < 65536 ? NULL : PyEval_SaveThread();
    horus_result r = horus_image_fill(&m, value, (size_t)n);
    if (thread)
        PyEval_RestoreThread(thread);
    horusp_write_end(hold);
    if (r != HORUS_OK)
        return horusp_value_error(&m, value, n, r);
    Py_RETURN_NONE;
}
HORUSP_ONE(horusp_image_fill, "fill", "value")
static horusp_sig horusp_sig_roi = {"roi", 4, 4, 4, {{"x", 0}, {"y", 0}, {"w", 0}, {"h", 0}}};
static PyObject *horusp_image_roi(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kw)
{
    horusp_frame *f = (horusp_frame *)self;
    PyObject *v[4];
    int64_t n[4];
    static const char *const names[] = {"x", "y", "w", "h"};
    if (!horusp_args(&horusp_sig_roi, args, nargs, kw, v))
        return NULL;
    for (int i = 0; i < 4; i++)
        if (!horusp_int(v[i], names[i], 0, UINT32_MAX, &n[i]))
            return NULL;
    if (!horusp_live(f))
        return NULL;
    horus_image m = horusp_image(f);
    if (n[2] == 0 || n[3] == 0 || n[0] + n[2] > m.width_px || n[1] + n[3] > m.height_px) {
        PyErr_Format(horusp.by_code[-HORUS_E_ARG],
                     "roi x=%lld y=%lld w=%lld h=%lld is not inside %u x %u pixels",
                     (long long)n[0], (long long)n[1], (long long)n[2], (long long)n[3], m.width_px,
                     m.height_px);
        return NULL;
    }
    size_t bytes = (size_t)n[2] * (size_t)n[3] * m.channels * m.elem_bytes;
    PyObject *out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
    if (!out)
        return NULL;
    PyObject *hold = horusp_ref((PyObject *)f->hold); /* release() may come meanwhile */
    PyThreadState *thread = bytes < 65536 ? NULL : PyEval_SaveThread();
    horus_result r = horus_image_roi(&m, (uint32_t)n[0], (uint32_t)n[1], (uint32_t)n[2],
                                     (uint32_t)n[3], PyBytes_AS_STRING(out), bytes);
    if (thread)
        PyEval_RestoreThread(thread);
    Py_DECREF(hold);
    if (r != HORUS_OK) {
        Py_DECREF(out);
        return horusp_error(r);
    }
    return out;
}
/* Calls one of the C writers on what `view` copies out of a frame, while others run. */
typedef horus_result (*horusp_writer_of)(const horusp_frame *view, const char *path);
static PyObject *horusp_save(PyObject *self, PyObject *path, horusp_writer_of write_it)
{
    horusp_frame *f = (horusp_frame *)self;
    PyObject *bytes = NULL;
    if (!horusp_live(f) || !horusp_path_bytes(path, &bytes))
        return NULL;
    if (!horusp_live(f)) { /* the path's __fspath__ may have released it */
        Py_DECREF(bytes);
        return NULL;
    }
    horusp_frame view = *f;
    horusp_hold *hold = f->hold;
    Py_INCREF(hold);
    PyThreadState *thread = PyEval_SaveThread();
    errno = 0;
    horus_result r = write_it(&view, PyBytes_AS_STRING(bytes));
    int code = errno;
    PyEval_RestoreThread(thread);
    Py_DECREF(hold);
    Py_DECREF(bytes);
    if (r == HORUS_E_SYSTEM)
        return horusp_os_error(code ? code : EIO, path);
    return r == HORUS_OK ? horusp_ref(Py_None) : horusp_error(r);
}
static horus_result horusp_image_write(const horusp_frame *f, const char *path)
{
    horus_image m = horusp_image(f);
    return horus_image_write(&m, path);
}
static PyObject *horusp_image_save(PyObject *self, PyObject *path)
{
    return horusp_save(self, path, horusp_image_write);
}
HORUSP_ONE(horusp_image_save, "save", "path")
/* What a notebook shows: by way of a file in TMPDIR, or in /tmp where that is unset or of no use. */
static PyObject *horusp_png(PyObject *self, horusp_writer_of write_it)
{
    const char *folders[2] = {getenv("TMPDIR"), "/tmp"};
    char path[4096];
    int fd = -1;
    for (int i = 0; fd < 0 && i < 2; i++)
        if (folders[i] && folders[i][0] &&
            snprintf(path, sizeof path, "%s/horus.XXXXXX.png", folders[i]) < (int)sizeof path)
            fd = mkstemps(path, 4);
    if (fd < 0)
        return horusp_os_error(errno, Py_None);
    (void)close(fd);
    PyObject *name = PyUnicode_DecodeFSDefault(path),
             *done = name ? horusp_save(self, name, write_it) : NULL;
    PyObject *out = NULL;
    if (done) {
        FILE *file = fopen(path, "rb");
        long n = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
        if (n > 0 && fseek(file, 0, SEEK_SET) == 0 &&
            (out = PyBytes_FromStringAndSize(NULL, n)) != NULL &&
            fread(PyBytes_AS_STRING(out), 1, (size_t)n, file) != (size_t)n)
            Py_CLEAR(out);
        if (file)
            (void)fclose(file);
        if (!out && !PyErr_Occurred())
            (void)horusp_os_error(errno ? errno : EIO, name);
        Py_DECREF(done);
    }
    Py_XDECREF(name);
    (void)unlink(path);
    return out;
}
static PyObject *horusp_image_png(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_png(self, horusp_image_write);
}
#define HORUSP_IMAGE_GET(what, expression)                                                         \
    static PyObject *horusp_image_##what(PyObject *self, void *unused)                             \
    {                                                                                              \
        horusp_frame *f = (horusp_frame *)self;                                                    \
        (void)unused;                                                                              \
        return horusp_live(f) ? (expression) : NULL;                                               \
    }
HORUSP_IMAGE_GET(height, PyLong_FromLongLong(f->t.shape[0]))
HORUSP_IMAGE_GET(width, PyLong_FromLongLong(f->t.shape[1]))
HORUSP_IMAGE_GET(step, PyLong_FromLongLong(f->t.strides_bytes[0]))
HORUSP_IMAGE_GET(channels,
                 PyLong_FromUnsignedLong(horus_encoding_channels((horus_encoding)f->encoding)))
HORUSP_IMAGE_GET(encoding, PyUnicode_FromString(horus_encoding_name((horus_encoding)f->encoding)))
static PyObject *horusp_image_repr(PyObject *self)
{
    horusp_frame *f = (horusp_frame *)self;
    if (!f->hold)
        return PyUnicode_FromString("Image(released)");
    PyObject *id = horusp_get_frame_id(self, NULL);
    if (!id)
        return NULL;
    PyObject *r = PyUnicode_FromFormat(
        "Image(height=%lld, width=%lld, encoding='%s', dtype='%s', frame_id=%R%s)",
        (long long)f->t.shape[0], (long long)f->t.shape[1],
        horus_encoding_name((horus_encoding)f->encoding), horus_dtype_name((horus_dtype)f->t.dtype),
        id, horusp_is_read_only(f) ? ", readonly" : "");
    Py_DECREF(id);
    return r;
}
static PyGetSetDef horusp_image_getset[] = {
    HORUSP_FRAME_GETSET,
    {"height", horusp_image_height, NULL, "Rows, px.", NULL},
    {"width", horusp_image_width, NULL, "Columns, px.", NULL},
    {"channels", horusp_image_channels, NULL, "Channels of a pixel, 1 to 4.", NULL},
    {"encoding", horusp_image_encoding, NULL, "\"rgb8\" and so on.", NULL},
    {"step", horusp_image_step, NULL, "From one row to the next, bytes.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMethodDef horusp_image_methods[] = {
    HORUSP_FRAME_METHODS,
    {"empty", HORUSP_FN(horusp_image_empty), HORUSP_FAST | METH_STATIC,
     "empty(height, width, encoding=\"rgb8\")\n--\n\nAs Image(), with whatever bytes were there."},
    {"from_numpy", HORUSP_FN(horusp_image_from_numpy), HORUSP_FAST | METH_STATIC,
     "from_numpy(array, encoding=None)\n--\n\nCopies an array (H,W) or (H,W,C) into the pool. "
     "Without an "
     "encoding: uint8 is mono8, yuv422, rgb8 or rgba8 by its channels, uint16 mono16, float32 "
     "mono32f or "
     "rgb32f."},
    {"from_torch", HORUSP_FN(horusp_image_from_torch), HORUSP_FAST | METH_STATIC,
     "from_torch(tensor, encoding=None)\n--\n\nThe same from a torch.Tensor, on a GPU too."},
    {"from_dlpack", HORUSP_FN(horusp_image_from_dlpack), HORUSP_FAST | METH_STATIC,
     "from_dlpack(x, encoding=None)\n--\n\nThe same from any DLPack producer."},
    {"from_bytes", HORUSP_FN(horusp_image_from_bytes), HORUSP_FAST | METH_STATIC,
     "from_bytes(data, height, width, encoding=\"rgb8\")\n--\n\nCopies dense rows into the pool; "
     "data must "
     "have exactly height*width*channels*bytes per channel bytes."},
    {"copy_from", HORUSP_FN(horusp_image_copy_from_), HORUSP_FAST,
     "copy_from($self, data)\n--\n\nReplaces all pixels by dense rows of exactly nbytes bytes."},
    {"pixel", HORUSP_FN(horusp_image_pixel), HORUSP_FAST,
     "pixel($self, x, y)\n--\n\nThe channels of one pixel, a list."},
    {"set_pixel", HORUSP_FN(horusp_image_set_pixel), HORUSP_FAST,
     "set_pixel($self, x, y, value)\n--\n\nvalue: a number per channel, in the encoding's range."},
    {"fill", HORUSP_FN(horusp_image_fill_), HORUSP_FAST,
     "fill($self, value)\n--\n\nSets every pixel: a number per channel, or one for all."},
    {"roi", HORUSP_FN(horusp_image_roi), HORUSP_FAST,
     "roi($self, x, y, w, h)\n--\n\nThe rectangle's pixels as bytes, dense rows."},
    {"save", HORUSP_FN(horusp_image_save_), HORUSP_FAST,
     "save($self, path)\n--\n\nWrites a picture: .png, .jpg, .bmp or .tga."},
    {"_repr_png_", horusp_image_png, METH_NOARGS,
     "_repr_png_($self)\n--\n\nThe picture, for notebooks."},
    {NULL, NULL, 0, NULL}};
static PyTypeObject horusp_image_type = {
    HORUSP_FRAME_TYPE("Image"),
    .tp_doc = "Image(height, width, encoding=\"rgb8\")\n--\n\nPixels in the pool, zeroed: (H,W) or "
              "(H,W,C), "
              "row-major.",
    .tp_new = horusp_image_tp_new,
    .tp_repr = horusp_image_repr,
    .tp_getset = horusp_image_getset,
    .tp_methods = horusp_image_methods,
    .tp_as_number = &horusp_image_number,
};

/* ------------------------------------------------------------------------------------ >>cloud */
static horus_cloud horusp_cloud(const horusp_frame *f)
{
    horus_cloud c;
    memset(&c, 0, sizeof c);
    c.frame = f->t.frame;
    c.data = f->t.data;
    c.point_count = (uint64_t)f->t.shape[0];
    c.fields = (uint32_t)f->t.shape[1];
    c.dtype = f->t.dtype;
    c.readonly = horusp_is_read_only(f);
    return c;
}
static horusp_sig horusp_sig_cloud = {
    "PointCloud", 3, 1, 3, {{"num_points", 0}, {"fields", 0}, {"dtype", 0}}};
static PyObject *horusp_cloud_tp_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    PyObject *v[3];
    int64_t shape[2] = {0, 3};
    horus_dtype dtype = HORUS_F32;
    (void)type;
    if (!horusp_args_tuple(&horusp_sig_cloud, args, kw, v) ||
        !horusp_int(v[0], "num_points", 0, INT64_MAX, &shape[0]) ||
        (v[1] && !horusp_int(v[1], "fields", 1, 65535, &shape[1])) ||
        (v[2] && !horusp_dtype(v[2], &dtype)))
        return NULL;
    return (PyObject *)horusp_frame_new(HORUS_KIND_CLOUD, NULL, dtype, 2, shape, 0);
}
static bool horusp_cloud_fits(const horus_tensor *t)
{
    if (t->ndim == 2 && t->shape[1] >= 1 && t->shape[1] <= 65535)
        return true;
    char shape[200];
    horusp_shape_text(t, shape, sizeof shape);
    PyErr_Format(
        horusp.by_code[-HORUS_E_SIZE],
        "a point cloud takes an array of shape (points, fields), 1 to 65535 fields, not (%s)",
        shape);
    return false;
}
/* Clouds, depth images and tensors from arrays: what differs is what fits. */
typedef bool (*horusp_fits)(const horus_tensor *t);
static PyObject *horusp_from_array(PyObject *o, uint32_t kind, horusp_fits fits, bool cast)
{
    horusp_source s;
    PyObject *keep, *f = NULL, *as_float = NULL;
    horus_tensor t;
    if (!horusp_source_begin(&s, o, &keep))
        return NULL;
    if (cast && s.t.dtype == HORUS_F64) { /* depth in double precision */
        horusp_source_end(&s);
        Py_XDECREF(keep);
        PyObject *a = horusp_np_call("asarray", o, NULL);
        as_float = a ? PyObject_CallMethod(a, "astype", "s", "float32") : NULL;
        Py_XDECREF(a);
        if (!as_float || !horusp_source_begin(&s, as_float, &keep)) {
            Py_XDECREF(as_float);
            return NULL;
        }
    }
    if ((!fits || fits(&s.t)) && horusp_source_copy(&s, NULL, &t))
        f = horusp_frame_of(kind, &t, NULL);
    horusp_source_end(&s);
    Py_XDECREF(keep);
    Py_XDECREF(as_float);
    return f;
}
static PyObject *horusp_from_producer(PyObject *o, uint32_t kind, horusp_fits fits)
{
    horus_tensor t;
    if (!horusp_from_dlpack(o, NULL, &t))
        return NULL;
    if (fits && !fits(&t)) {
        (void)horus_tensor_release(&t);
        return NULL;
    }
    return horusp_frame_of(kind, &t, NULL);
}
static PyObject *horusp_from_plain_torch(PyObject *o, uint32_t kind, horusp_fits fits)
{
    PyObject *plain = horusp_plain_torch(o);
    PyObject *r = plain ? horusp_from_producer(plain, kind, fits) : NULL;
    Py_XDECREF(plain);
    return r;
}
static PyObject *horusp_cloud_from_numpy(PyObject *type, PyObject *o)
{
    (void)type;
    return horusp_from_array(o, HORUS_KIND_CLOUD, horusp_cloud_fits, false);
}
HORUSP_ONE(horusp_cloud_from_numpy, "from_numpy", "array")
static PyObject *horusp_cloud_from_torch(PyObject *type, PyObject *o)
{
    (void)type;
    return horusp_from_plain_torch(o, HORUS_KIND_CLOUD, horusp_cloud_fits);
}
HORUSP_ONE(horusp_cloud_from_torch, "from_torch", "tensor")
static PyObject *horusp_cloud_from_dlpack(PyObject *type, PyObject *o)
{
    (void)type;
    return horusp_from_producer(o, HORUS_KIND_CLOUD, horusp_cloud_fits);
}
HORUSP_ONE(horusp_cloud_from_dlpack, "from_dlpack", "x")
HORUSP_IMAGE_GET(points, PyLong_FromLongLong(f->t.shape[0]))
HORUSP_IMAGE_GET(fields, PyLong_FromLongLong(f->t.shape[1]))
#define HORUSP_CLOUD_IS(what, condition)                                                           \
    static PyObject *horusp_cloud_##what(PyObject *self, PyObject *none)                           \
    {                                                                                              \
        horusp_frame *f = (horusp_frame *)self;                                                    \
        (void)none;                                                                                \
        return horusp_live(f) ? PyBool_FromLong(condition) : NULL;                                 \
    }
HORUSP_CLOUD_IS(is_xyz, f->t.shape[1] == 3)
HORUSP_CLOUD_IS(has_intensity, f->t.shape[1] >= 4)
HORUSP_CLOUD_IS(has_color, f->t.shape[1] >= 6)
static PyObject *horusp_cloud_point_at(PyObject *self, PyObject *index)
{
    horusp_frame *f = (horusp_frame *)self;
    int64_t i;
    if (!horusp_live(f) || !horusp_int(index, "point", -f->t.shape[0], f->t.shape[0] - 1, &i) ||
        !horusp_live(f))
        return NULL;
    horus_cloud c = horusp_cloud(f);
    if (c.dtype != HORUS_F32 && c.dtype != HORUS_F64) {
        PyErr_Format(horusp.by_code[-HORUS_E_TYPE],
                     "point_at() reads float32 and float64 clouds, not %s: use to_numpy()",
                     horus_dtype_name((horus_dtype)c.dtype));
        return NULL;
    }
    double few[16], *v = c.fields <= 16 ? few : PyMem_Malloc(c.fields * sizeof *v);
    if (!v)
        return PyErr_NoMemory();
    horus_result r = horus_cloud_point(&c, (uint64_t)(i < 0 ? i + f->t.shape[0] : i), v, c.fields);
    PyObject *list = r == HORUS_OK ? PyList_New((Py_ssize_t)c.fields) : horusp_error(r);
    for (uint32_t k = 0; list && k < c.fields; k++) {
        PyObject *n = PyFloat_FromDouble(v[k]);
        if (!n)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, k, n);
    }
    if (v != few)
        PyMem_Free(v);
    return list;
}
HORUSP_ONE(horusp_cloud_point_at, "point_at", "idx")
/* PLY, binary, little-endian: x y z, then intensity or the colours of a float cloud. */
static horus_result horusp_cloud_write(const horusp_frame *f, const char *path)
{
    static const char *const names[] = {"x", "y", "z"};
    int64_t fields = f->t.shape[1], points = f->t.shape[0];
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    if (dot && !horusi_same_text(dot, ".ply"))
        return horusi_fail(HORUS_E_ARG, "save(): a point cloud is written as .ply, not as %.120s",
                           slash ? slash + 1 : path);
    if (f->t.dtype != HORUS_F32 || fields < 3)
        return horusi_fail(HORUS_E_TYPE, "save() writes float32 clouds of 3 fields or more as PLY");
    FILE *out = fopen(path, "wb");
    bool ok = out != NULL;
    if (ok)
        ok = fprintf(out, "ply\nformat binary_little_endian 1.0\nelement vertex %lld\n",
                     (long long)points) > 0;
    for (int64_t i = 0; ok && i < fields; i++)
        if (i < 3)
            ok = fprintf(out, "property float %s\n", names[i]) > 0;
        else if (fields == 4)
            ok = fputs("property float intensity\n", out) >= 0;
        else if (fields == 6)
            ok = fprintf(out, "property float %s\n",
                         i == 3   ? "red"
                         : i == 4 ? "green"
                                  : "blue") > 0;
        else
            ok = fprintf(out, "property float field%lld\n", (long long)i) > 0;
    ok = ok && fputs("end_header\n", out) >= 0 &&
         (points == 0 ||
          fwrite(f->t.data, (size_t)(fields * 4), (size_t)points, out) == (size_t)points);
    int code = errno; /* of what failed first, not of the close */
    if (out && fclose(out) != 0) {
        code = ok ? errno : code;
        ok = false;
    }
    if (ok)
        return HORUS_OK;
    horus_result r = horusi_fail(HORUS_E_SYSTEM, "save(): cannot write %.120s", path);
    errno = code;
    return r;
}
static PyObject *horusp_cloud_save(PyObject *self, PyObject *path)
{
    return horusp_save(self, path, horusp_cloud_write);
}
HORUSP_ONE(horusp_cloud_save, "save", "path")
static PyObject *horusp_cloud_repr(PyObject *self)
{
    horusp_frame *f = (horusp_frame *)self;
    if (!f->hold)
        return PyUnicode_FromString("PointCloud(released)");
    PyObject *id = horusp_get_frame_id(self, NULL);
    PyObject *r =
        id ? PyUnicode_FromFormat("PointCloud(points=%lld, fields=%lld, dtype='%s', frame_id=%R%s)",
                                  (long long)f->t.shape[0], (long long)f->t.shape[1],
                                  horus_dtype_name((horus_dtype)f->t.dtype), id,
                                  horusp_is_read_only(f) ? ", readonly" : "")
           : NULL;
    Py_XDECREF(id);
    return r;
}
static PyGetSetDef horusp_cloud_getset[] = {
    HORUSP_FRAME_GETSET,
    {"point_count", horusp_image_points, NULL, "Points.", NULL},
    {"fields_per_point", horusp_image_fields, NULL, "Elements of a point: 3 XYZ, 4 XYZI, 6 XYZRGB.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMethodDef horusp_cloud_methods[] = {
    HORUSP_FRAME_METHODS,
    {"from_numpy", HORUSP_FN(horusp_cloud_from_numpy_), HORUSP_FAST | METH_STATIC,
     "from_numpy(array)\n--\n\nCopies an array (points, fields) into the pool."},
    {"from_torch", HORUSP_FN(horusp_cloud_from_torch_), HORUSP_FAST | METH_STATIC,
     "from_torch(tensor)\n--\n\nThe same from a torch.Tensor, on a GPU too."},
    {"from_dlpack", HORUSP_FN(horusp_cloud_from_dlpack_), HORUSP_FAST | METH_STATIC,
     "from_dlpack(x)\n--\n\nThe same from any DLPack producer."},
    {"is_xyz", horusp_cloud_is_xyz, METH_NOARGS, "is_xyz($self)\n--\n\nTrue for 3 fields."},
    {"has_intensity", horusp_cloud_has_intensity, METH_NOARGS,
     "has_intensity($self)\n--\n\nTrue for 4 fields or more."},
    {"has_color", horusp_cloud_has_color, METH_NOARGS,
     "has_color($self)\n--\n\nTrue for 6 fields or more."},
    {"point_at", HORUSP_FN(horusp_cloud_point_at_), HORUSP_FAST,
     "point_at($self, idx)\n--\n\nOne point as a list of floats; TypeError unless the cloud is "
     "float."},
    {"save", HORUSP_FN(horusp_cloud_save_), HORUSP_FAST,
     "save($self, path)\n--\n\nWrites a float32 cloud as binary PLY."},
    {NULL, NULL, 0, NULL}};
static PyTypeObject horusp_cloud_type = {
    HORUSP_FRAME_TYPE("PointCloud"),
    .tp_doc =
        "PointCloud(num_points, fields=3, dtype=\"float32\")\n--\n\nPoints in the pool, zeroed: an "
        "array (num_points, fields).",
    .tp_new = horusp_cloud_tp_new,
    .tp_repr = horusp_cloud_repr,
    .tp_getset = horusp_cloud_getset,
    .tp_methods = horusp_cloud_methods,
    .tp_as_number = &horusp_image_number,
};

/* ------------------------------------------------------------------------------------ >>depth */
/* The decimal that a float32 scale stands for: 0.001, not 0.0010000000475. */
static double horusp_scale(float scale)
{
    double close = scale > 1e-7f && scale < 1e6f ? floor((double)scale * 1e7 + 0.5) / 1e7 : 0;
    return (float)close == scale ? close : (double)scale;
}
/* Units as metres, rounded once where a metre is a whole number of units. */
static double horusp_metres(const horusp_frame *f, double units)
{
    double per = floor(1 / f->scale + 0.5);
    if (f->t.dtype == HORUS_F32)
        return units;
    return per * f->scale == 1 ? units / per : units * f->scale;
}
/* Its C view counts in units: what is metres is computed here, in double. */
static horus_depth horusp_depth(const horusp_frame *f)
{
    horus_depth d;
    memset(&d, 0, sizeof d);
    d.frame = f->t.frame;
    d.data = f->t.data;
    d.width_px = (uint32_t)f->t.shape[1];
    d.height_px = (uint32_t)f->t.shape[0];
    d.stride_bytes = (uint32_t)f->t.strides_bytes[0];
    d.scale = (float)f->scale;
    d.dtype = f->t.dtype;
    d.readonly = horusp_is_read_only(f);
    return d;
}
static horusp_sig horusp_sig_depth = {
    "DepthImage", 3, 2, 3, {{"height", 0}, {"width", 0}, {"dtype", 0}}};
static PyObject *horusp_depth_tp_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    PyObject *v[3];
    int64_t shape[2];
    horus_dtype dtype = HORUS_F32;
    (void)type;
    if (!horusp_args_tuple(&horusp_sig_depth, args, kw, v) ||
        !horusp_int(v[0], "height", 1, INT32_MAX, &shape[0]) ||
        !horusp_int(v[1], "width", 1, INT32_MAX, &shape[1]) ||
        (v[2] && !horusp_dtype_of(v[2], true, &dtype)))
        return NULL;
    if (dtype != HORUS_F32 && dtype != HORUS_U16) {
        PyErr_Format(horusp.by_code[-HORUS_E_ARG],
                     "a depth image is float32 (metres) or uint16 (millimetres), not %s",
                     horus_dtype_name(dtype));
        return NULL;
    }
    return (PyObject *)horusp_frame_new(HORUS_KIND_DEPTH, NULL, dtype, 2, shape, 0);
}
static bool horusp_depth_fits(const horus_tensor *t)
{
    if (t->ndim == 2 && t->shape[0] > 0 && t->shape[1] > 0 &&
        (t->dtype == HORUS_F32 || t->dtype == HORUS_U16))
        return true;
    char shape[200];
    horusp_shape_text(t, shape, sizeof shape);
    PyErr_Format(
        t->ndim == 2 && t->shape[0] > 0 && t->shape[1] > 0 ? horusp.dtype_error
                                                           : horusp.by_code[-HORUS_E_SIZE],
        "a depth image takes an array of shape (height, width) and dtype float32 (metres), "
        "float64 or uint16 (millimetres), not (%s) of %s",
        shape, horus_dtype_name((horus_dtype)t->dtype));
    return false;
}
static PyObject *horusp_depth_from_numpy(PyObject *type, PyObject *o)
{
    (void)type;
    return horusp_from_array(o, HORUS_KIND_DEPTH, horusp_depth_fits, true);
}
HORUSP_ONE(horusp_depth_from_numpy, "from_numpy", "array")
static PyObject *horusp_depth_from_torch(PyObject *type, PyObject *o)
{
    (void)type;
    PyObject *kind = PyObject_GetAttrString(o, "dtype"), *plain = NULL, *text;
    text = kind ? PyObject_Str(kind) : NULL;
    bool twice = text && PyUnicode_CompareWithASCIIString(text, "torch.float64") == 0;
    Py_XDECREF(kind);
    Py_XDECREF(text);
    PyErr_Clear();
    if (twice) {
        plain = PyObject_CallMethod(o, "float", NULL);
        if (!plain)
            return NULL;
        o = plain;
    }
    PyObject *r = horusp_from_plain_torch(o, HORUS_KIND_DEPTH, horusp_depth_fits);
    Py_XDECREF(plain);
    return r;
}
HORUSP_ONE(horusp_depth_from_torch, "from_torch", "tensor")
static PyObject *horusp_depth_from_dlpack(PyObject *type, PyObject *o)
{
    (void)type;
    return horusp_from_producer(o, HORUS_KIND_DEPTH, horusp_depth_fits);
}
HORUSP_ONE(horusp_depth_from_dlpack, "from_dlpack", "x")
static PyObject *horusp_depth_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kw)
{
    static horusp_sig sig = {"get_depth", 2, 2, 2, {{"x", 0}, {"y", 0}}};
    horusp_frame *f = (horusp_frame *)self;
    PyObject *v[2];
    int64_t x, y;
    double metres;
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_xy(f, v, &x, &y))
        return NULL;
    horus_depth d = horusp_depth(f);
    d.scale = 1;
    horus_result r = horus_depth_get(&d, (uint32_t)x, (uint32_t)y, &metres);
    return r == HORUS_OK ? PyFloat_FromDouble(horusp_metres(f, metres)) : horusp_error(r);
}
static PyObject *horusp_depth_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kw)
{
    static horusp_sig sig = {"set_depth", 3, 3, 3, {{"x", 0}, {"y", 0}, {"value", 0}}};
    horusp_frame *f = (horusp_frame *)self;
    PyObject *v[3];
    int64_t x, y;
    double metres;
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_xy(f, v, &x, &y) ||
        !horusp_double(v[2], "value", &metres) || !horusp_live(f))
        return NULL;
    horus_depth d = horusp_depth(f);
    double units = d.dtype == HORUS_F32 ? metres : metres / f->scale;
    if (d.dtype == HORUS_U16 && !d.readonly && !(units >= 0 && units < 65535.5)) {
        horusp_refuse(HORUSP_VALUE_ERROR,
                      "%R m cannot be stored: uint16 millimetres are 0 to 65.535", v[2]);
        return NULL;
    }
    if (d.dtype == HORUS_F32 && !d.readonly && !horusi_value_fits(units, HORUS_F32)) {
        horusp_refuse(horusp.overflow_error, "%R m is beyond the range of float32 (3.4e38)", v[2]);
        return NULL;
    }
    d.scale = 1;
    horus_result r = horus_depth_set(&d, (uint32_t)x, (uint32_t)y, units);
    if (r != HORUS_OK)
        return horusp_error(r);
    Py_RETURN_NONE;
}
static PyObject *horusp_depth_statistics(PyObject *self, PyObject *none)
{
    horusp_frame *f = (horusp_frame *)self;
    horus_depth_stats s;
    (void)none;
    if (!horusp_live(f))
        return NULL;
    horus_depth d = horusp_depth(f);
    horusp_hold *hold = f->hold;
    horus_result r;
    d.scale = 1;
    Py_INCREF(hold);
    PyThreadState *thread = PyEval_SaveThread();
    r = horus_depth_statistics(&d, &s);
    PyEval_RestoreThread(thread);
    Py_DECREF(hold);
    if (r == HORUS_EMPTY)
        Py_RETURN_NONE;
    return r == HORUS_OK ? Py_BuildValue("(ddd)", horusp_metres(f, s.min_m),
                                         horusp_metres(f, s.max_m), horusp_metres(f, s.mean_m))
                         : horusp_error(r);
}
static horus_result horusp_depth_write(const horusp_frame *f, const char *path)
{
    horus_depth d = horusp_depth(f);
    return horus_depth_write(&d, path);
}
static PyObject *horusp_depth_save(PyObject *self, PyObject *path)
{
    return horusp_save(self, path, horusp_depth_write);
}
static PyObject *horusp_depth_png(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_png(self, horusp_depth_write);
}
HORUSP_ONE(horusp_depth_save, "save", "path")
HORUSP_IMAGE_GET(depth_scale, PyFloat_FromDouble(f->scale))
HORUSP_CLOUD_IS(is_meters, f->t.dtype == HORUS_F32)
HORUSP_CLOUD_IS(is_millimeters, f->t.dtype == HORUS_U16)
static PyObject *horusp_depth_repr(PyObject *self)
{
    horusp_frame *f = (horusp_frame *)self;
    if (!f->hold)
        return PyUnicode_FromString("DepthImage(released)");
    PyObject *id = horusp_get_frame_id(self, NULL);
    PyObject *r =
        id ? PyUnicode_FromFormat(
                 "DepthImage(height=%lld, width=%lld, dtype='%s', format=%s, frame_id=%R%s)",
                 (long long)f->t.shape[0], (long long)f->t.shape[1],
                 horus_dtype_name((horus_dtype)f->t.dtype),
                 f->t.dtype == HORUS_F32 ? "meters" : "millimeters", id,
                 horusp_is_read_only(f) ? ", readonly" : "")
           : NULL;
    Py_XDECREF(id);
    return r;
}
static PyGetSetDef horusp_depth_getset[] = {
    HORUSP_FRAME_GETSET,
    {"height", horusp_image_height, NULL, "Rows, px.", NULL},
    {"width", horusp_image_width, NULL, "Columns, px.", NULL},
    {"depth_scale", horusp_image_depth_scale, NULL, "Metres per unit: 1 or 0.001.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMethodDef horusp_depth_methods[] = {
    HORUSP_FRAME_METHODS,
    {"from_numpy", HORUSP_FN(horusp_depth_from_numpy_), HORUSP_FAST | METH_STATIC,
     "from_numpy(array)\n--\n\nCopies an array (H,W) into the pool: float32 or float64 metres, "
     "uint16 "
     "millimetres."},
    {"from_torch", HORUSP_FN(horusp_depth_from_torch_), HORUSP_FAST | METH_STATIC,
     "from_torch(tensor)\n--\n\nThe same from a torch.Tensor, on a GPU too."},
    {"from_dlpack", HORUSP_FN(horusp_depth_from_dlpack_), HORUSP_FAST | METH_STATIC,
     "from_dlpack(x)\n--\n\nThe same from any DLPack producer of float32 or uint16."},
    {"get_depth", HORUSP_FN(horusp_depth_get), HORUSP_FAST,
     "get_depth($self, x, y)\n--\n\nMetres at one pixel; 0, NaN or infinity where nothing was "
     "measured."},
    {"set_depth", HORUSP_FN(horusp_depth_set), HORUSP_FAST,
     "set_depth($self, x, y, value)\n--\n\nvalue in metres."},
    {"depth_statistics", horusp_depth_statistics, METH_NOARGS,
     "depth_statistics($self)\n--\n\n(min, max, mean) in metres over valid pixels; None if there "
     "is none. Valid "
     "are pixels above 0: 0, negative ones, NaN and infinity are no measurement."},
    {"is_meters", horusp_cloud_is_meters, METH_NOARGS, "is_meters($self)\n--\n\nTrue for float32."},
    {"is_millimeters", horusp_cloud_is_millimeters, METH_NOARGS,
     "is_millimeters($self)\n--\n\nTrue for uint16."},
    {"save", HORUSP_FN(horusp_depth_save_), HORUSP_FAST,
     "save($self, path)\n--\n\nWrites a picture; near is bright, invalid is black."},
    {"_repr_png_", horusp_depth_png, METH_NOARGS,
     "_repr_png_($self)\n--\n\nThat picture, for notebooks."},
    {NULL, NULL, 0, NULL}};
static PyTypeObject horusp_depth_type = {
    HORUSP_FRAME_TYPE("DepthImage"),
    .tp_doc =
        "DepthImage(height, width, dtype=\"float32\")\n--\n\nDepth in the pool, zeroed: (H,W) of "
        "float32 metres or uint16 millimetres (\"meters\", \"mm\").",
    .tp_new = horusp_depth_tp_new,
    .tp_repr = horusp_depth_repr,
    .tp_getset = horusp_depth_getset,
    .tp_methods = horusp_depth_methods,
    .tp_as_number = &horusp_image_number,
};

/* ------------------------------------------------------------------------------------ >>tensor */
static horusp_sig horusp_sig_tensor = {"Tensor", 2, 1, 2, {{"shape", 0}, {"dtype", 0}}};
static PyObject *horusp_tensor_make(PyObject **v, horus_pool *pool, uint32_t flags)
{
    int64_t shape[HORUS_MAX_DIMS];
    uint32_t ndim;
    horus_dtype dtype = HORUS_F32;
    if (!horusp_shape(v[0], 0, &ndim, shape) || (v[1] && !horusp_dtype(v[1], &dtype)))
        return NULL;
    return (PyObject *)horusp_frame_new(HORUS_KIND_TENSOR, pool, dtype, ndim, shape, flags);
}
static PyObject *horusp_tensor_tp_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    PyObject *v[2];
    (void)type;
    return horusp_args_tuple(&horusp_sig_tensor, args, kw, v) ? horusp_tensor_make(v, NULL, 0)
                                                              : NULL;
}
static PyObject *horusp_tensor_zeros(PyObject *type, PyObject *const *args, Py_ssize_t nargs,
                                     PyObject *kw)
{
    PyObject *v[2];
    (void)type;
    return horusp_args(&horusp_sig_tensor, args, nargs, kw, v) ? horusp_tensor_make(v, NULL, 0)
                                                               : NULL;
}
static PyObject *horusp_tensor_empty(PyObject *type, PyObject *const *args, Py_ssize_t nargs,
                                     PyObject *kw)
{
    PyObject *v[2];
    (void)type;
    return horusp_args(&horusp_sig_tensor, args, nargs, kw, v)
               ? horusp_tensor_make(v, NULL, HORUS_UNINIT)
               : NULL;
}
static PyObject *horusp_tensor_from_numpy(PyObject *type, PyObject *o)
{
    (void)type;
    return horusp_from_array(o, HORUS_KIND_TENSOR, NULL, false);
}
HORUSP_ONE(horusp_tensor_from_numpy, "from_numpy", "array")
static PyObject *horusp_tensor_from_torch(PyObject *type, PyObject *o)
{
    (void)type;
    return horusp_from_plain_torch(o, HORUS_KIND_TENSOR, NULL);
}
HORUSP_ONE(horusp_tensor_from_torch, "from_torch", "tensor")
static PyObject *horusp_tensor_from_dlpack(PyObject *type, PyObject *o)
{
    (void)type;
    return horusp_from_producer(o, HORUS_KIND_TENSOR, NULL);
}
HORUSP_ONE(horusp_tensor_from_dlpack, "from_dlpack", "x")
static PyObject *horusp_tensor_numpy(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_ndarray((horusp_frame *)self);
}
HORUSP_IMAGE_GET(shape_list, horusp_int_list(f->t.shape, f->t.ndim))
HORUSP_IMAGE_GET(numel, PyLong_FromUnsignedLongLong(horus_tensor_numel(&f->t)))
static PyObject *horusp_tensor_transposed(PyObject *self, void *unused)
{
    PyObject *a = horusp_ndarray((horusp_frame *)self),
             *r = a ? PyObject_GetAttrString(a, "T") : NULL;
    (void)unused;
    Py_XDECREF(a);
    return r;
}
HORUSP_CLOUD_IS(is_contiguous, horus_tensor_is_contiguous(&f->t))
/* A view of another shape: the same hold. */
static PyObject *horusp_tensor_reshaped(horusp_frame *f, uint32_t ndim, const int64_t *shape)
{
    horus_tensor t;
    if (!horusp_live(f))
        return NULL;
    horus_result r = horus_tensor_reshape(&t, &f->t, ndim, shape);
    if (r != HORUS_OK)
        return horusp_error(r);
    PyObject *n = horusp_share(f, HORUS_KIND_TENSOR, &t);
    (void)horus_tensor_release(&t); /* the hold is shared, that second one is not needed */
    return n;
}
static PyObject *horusp_tensor_view(PyObject *self, PyObject *o)
{
    int64_t shape[HORUS_MAX_DIMS];
    uint32_t ndim;
    return horusp_shape(o, -1, &ndim, shape)
               ? horusp_tensor_reshaped((horusp_frame *)self, ndim, shape)
               : NULL;
}
HORUSP_ONE(horusp_tensor_view, "view", "new_shape")
static PyObject *horusp_tensor_reshape(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t shape[HORUS_MAX_DIMS];
    uint32_t ndim = 0;
    if (nargs == 1)
        return horusp_tensor_view(self, args[0]);
    if (nargs > HORUS_MAX_DIMS) {
        PyErr_Format(horusp.by_code[-HORUS_E_ARG], "%zd dimensions; at most %d are possible", nargs,
                     HORUS_MAX_DIMS);
        return NULL;
    }
    for (; ndim < nargs; ndim++)
        if (!horusp_int(args[ndim], "a dimension", -1, INT64_MAX, &shape[ndim]))
            return NULL;
    return horusp_tensor_reshaped((horusp_frame *)self, ndim, shape);
}
static PyObject *horusp_tensor_flatten(PyObject *self, PyObject *none)
{
    int64_t all = -1;
    horusp_frame *f = (horusp_frame *)self;
    (void)none;
    if (!horusp_live(f))
        return NULL;
    if (horus_tensor_numel(&f->t) == 0)
        all = 0;
    return horusp_tensor_reshaped(f, 1, &all);
}
static PyObject *horusp_tensor_squeeze(PyObject *self, PyObject *none)
{
    horusp_frame *f = (horusp_frame *)self;
    (void)none;
    if (!horusp_live(f))
        return NULL;
    horus_tensor t = f->t;
    t.ndim = 0;
    for (uint32_t i = 0; i < f->t.ndim; i++)
        if (f->t.shape[i] != 1) {
            t.shape[t.ndim] = f->t.shape[i];
            t.strides_bytes[t.ndim++] = f->t.strides_bytes[i];
        }
    return horusp_share(f, HORUS_KIND_TENSOR, &t);
}
static PyObject *horusp_tensor_unsqueeze(PyObject *self, PyObject *o)
{
    horusp_frame *f = (horusp_frame *)self;
    int64_t dim;
    if (!horusp_live(f) || !horusp_int(o, "dim", -(int64_t)f->t.ndim - 1, f->t.ndim, &dim) ||
        !horusp_live(f))
        return NULL;
    if (f->t.ndim == HORUS_MAX_DIMS) {
        PyErr_Format(horusp.by_code[-HORUS_E_ARG], "at most %d dimensions are possible",
                     HORUS_MAX_DIMS);
        return NULL;
    }
    uint32_t at = (uint32_t)(dim < 0 ? dim + f->t.ndim + 1 : dim);
    horus_tensor t = f->t;
    for (uint32_t i = t.ndim; i > at; i--) {
        t.shape[i] = t.shape[i - 1];
        t.strides_bytes[i] = t.strides_bytes[i - 1];
    }
    t.shape[at] = 1;
    t.strides_bytes[at] = at < t.ndim ? t.strides_bytes[at + 1] * t.shape[at + 1]
                                      : (int64_t)horus_dtype_bytes((horus_dtype)t.dtype);
    t.ndim++;
    return horusp_share(f, HORUS_KIND_TENSOR, &t);
}
HORUSP_ONE(horusp_tensor_unsqueeze, "unsqueeze", "dim")
static horusp_sig horusp_sig_slice = {"slice", 2, 2, 2, {{"start", 0}, {"end", 0}}};
static PyObject *horusp_tensor_slice(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                     PyObject *kw)
{
    horusp_frame *f = (horusp_frame *)self;
    PyObject *v[2];
    int64_t start, end;
    horus_tensor t;
    if (!horusp_args(&horusp_sig_slice, args, nargs, kw, v) ||
        !horusp_int(v[0], "start", INT64_MIN, INT64_MAX, &start) ||
        !horusp_int(v[1], "end", INT64_MIN, INT64_MAX, &end) || !horusp_live(f))
        return NULL;
    horus_result r = horus_tensor_slice(&t, &f->t, start, end);
    if (r != HORUS_OK)
        return horusp_error(r);
    PyObject *n = horusp_share(f, HORUS_KIND_TENSOR, &t);
    (void)horus_tensor_release(&t);
    return n;
}
/* Reductions. dim is axis; the rest is what NumPy's functions hand to a method of this name. */
static PyObject *horusp_reduced(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kw, horusp_sig *sig)
{
    enum { DIM, AXIS, DTYPE, OUT, KEEPDIMS, INITIAL, WHERE, COUNT };
    static const char *const names[] = {"axis",     "axis",    "dtype", "out",
                                        "keepdims", "initial", "where"};
    PyObject *v[COUNT], *r = NULL, *a = NULL, *out = NULL;
    horusp_hold *written = NULL; /* out='s, if it is ours */
    if (!horusp_args(sig, args, nargs, kw, v))
        return NULL;
    bool by_dim = v[DIM] && v[DIM] != Py_None, by_axis = v[AXIS] && v[AXIS] != Py_None;
    if (by_dim && by_axis) {
        PyErr_Format(HORUSP_TYPE_ERROR, "%s() takes dim or axis, not both", sig->function);
        return NULL;
    }
    bool keep = v[KEEPDIMS] && PyObject_IsTrue(v[KEEPDIMS]) == 1;
    PyObject *numpy = PyErr_Occurred() ? NULL : horusp_numpy();
    PyObject *function = numpy ? PyObject_GetAttrString(numpy, sig->function) : NULL;
    PyObject *options = function ? PyDict_New() : NULL, *one = NULL;
    if (options && (a = horusp_ndarray((horusp_frame *)self)) != NULL)
        one = PyTuple_Pack(1, a);
    bool ok = one != NULL;
    for (int i = by_dim ? DIM : AXIS; ok && i < COUNT; i++) {
        if (!v[i] || v[i] == Py_None || (by_dim && i == AXIS))
            continue;
        PyObject *value = horusp_operand(v[i]); /* where= and out= may be ours */
        if (value && i == OUT) {
            if (horusp_is_frame(v[i]) && !(written = horusp_write_begin((horusp_frame *)v[i])))
                Py_CLEAR(value);
            out = v[i];
        }
        ok = value && PyDict_SetItemString(options, names[i], value) == 0;
        Py_XDECREF(value);
    }
    if (ok)
        r = PyObject_Call(function, one, options);
    if (written)
        horusp_write_end(written);
    Py_XDECREF(one);
    Py_XDECREF(options);
    Py_XDECREF(function);
    Py_XDECREF(numpy);
    Py_XDECREF(a);
    if (r && out) {
        Py_DECREF(r);
        return horusp_ref(out);
    }
    return horusp_tensor_from(r, !keep);
}
#define HORUSP_REDUCTION(name)                                                                     \
    static PyObject *horusp_tensor_##name(PyObject *self, PyObject *const *args, Py_ssize_t nargs, \
                                          PyObject *kw)                                            \
    {                                                                                              \
        static horusp_sig sig = {#name,                                                            \
                                 7,                                                                \
                                 0,                                                                \
                                 1,                                                                \
                                 {{"dim", 0},                                                      \
                                  {"axis", 0},                                                     \
                                  {"dtype", 0},                                                    \
                                  {"out", 0},                                                      \
                                  {"keepdims", 0},                                                 \
                                  {"initial", 0},                                                  \
                                  {"where", 0}}};                                                  \
        return horusp_reduced(self, args, nargs, kw, &sig);                                        \
    }
HORUSP_REDUCTION(sum)
HORUSP_REDUCTION(mean)
HORUSP_REDUCTION(max)
HORUSP_REDUCTION(min)
static PyObject *horusp_as_dtype(PyObject *self, horus_dtype dtype)
{
    PyObject *a = horusp_ndarray((horusp_frame *)self);
    PyObject *d = a ? horusp_dtype_object((uint8_t)dtype) : NULL;
    PyObject *r = d ? PyObject_CallMethod(a, "astype", "O", d) : NULL;
    Py_XDECREF(d);
    Py_XDECREF(a);
    return horusp_tensor_from(r, false);
}
static PyObject *horusp_tensor_astype(PyObject *self, PyObject *o)
{
    horus_dtype dtype;
    return horusp_dtype(o, &dtype) ? horusp_as_dtype(self, dtype) : NULL;
}
HORUSP_ONE(horusp_tensor_astype, "astype", "dtype")
#define HORUSP_TO(name, dtype)                                                                     \
    static PyObject *horusp_tensor_to_##name(PyObject *self, PyObject *none)                       \
    {                                                                                              \
        (void)none;                                                                                \
        return horusp_as_dtype(self, HORUS_##dtype);                                               \
    }
HORUSP_TO(float32, F32)
HORUSP_TO(float16, F16)
HORUSP_TO(int32, I32)
HORUSP_TO(uint8, U8)
static PyObject *horusp_tensor_tolist(PyObject *self, PyObject *none)
{
    PyObject *a = horusp_ndarray((horusp_frame *)self);
    PyObject *r = a ? PyObject_CallMethod(a, "tolist", NULL) : NULL;
    (void)none;
    Py_XDECREF(a);
    return r;
}
static PyObject *horusp_tensor_item(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_item(self);
}
static PyObject *horusp_tensor_to_descriptor(PyObject *self, PyObject *none)
{
    horusp_frame *f = (horusp_frame *)self;
    uint8_t bytes[HORUS_DESCRIPTOR_BYTES];
    size_t n = sizeof bytes;
    (void)none;
    if (!horusp_live(f))
        return NULL;
    if (!f->t.frame.pool) {
        PyErr_SetString(horusp.by_code[-HORUS_E_DETACHED],
                        "this tensor was inherited over fork(): describe a copy()");
        return NULL;
    }
    horus_result r = horus_tensor_describe(&f->t, bytes, &n);
    return r == HORUS_OK ? PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)n)
                         : horusp_error(r);
}
/* What TensorPool() calls a pool: 1 is the default one, -1 one that a C program named. */
static int64_t horusp_pool_number(const horus_pool *pool)
{
    char *end = NULL;
    if (pool->id == 0)
        return 1;
    if (strncmp(pool->name, "pool.", 5) != 0 || pool->name[5] < '0' || pool->name[5] > '9')
        return -1;
    long long n = strtoll(pool->name + 5, &end, 10);
    return *end ? -1 : n;
}
static horusp_sig horusp_sig_from_descriptor = {
    "from_descriptor", 2, 2, 2, {{"pool_id", 0}, {"descriptor_bytes", 0}}};
static PyObject *horusp_tensor_from_descriptor(PyObject *type, PyObject *const *args,
                                               Py_ssize_t nargs, PyObject *kw)
{
    PyObject *v[2];
    int64_t id;
    Py_buffer b;
    horus_tensor t;
    (void)type;
    if (!horusp_args(&horusp_sig_from_descriptor, args, nargs, kw, v) ||
        !horusp_int(v[0], "pool_id", 0, UINT32_MAX, &id) || !horusp_buffer(v[1], PyBUF_SIMPLE, &b))
        return NULL;
    horus_result r = horus_tensor_from_descriptor(&t, NULL, b.buf, (size_t)b.len);
    PyBuffer_Release(&b);
    if (r == HORUS_OK && (r = horusp_check_strides(&t)) != HORUS_OK)
        (void)horus_tensor_release(&t);
    if (r != HORUS_OK)
        return horusp_error(r);
    int64_t of = horusp_pool_number(t.frame.pool);
    if (of != id) {
        (void)horus_tensor_release(&t);
        PyErr_Format(HORUSP_VALUE_ERROR, "the descriptor is of pool %lld, not of pool %lld",
                     (long long)of, (long long)id);
        return NULL;
    }
    return horusp_frame_of(HORUS_KIND_TENSOR, &t, NULL);
}
/* == compares elements; as a key a tensor is itself. */
static Py_hash_t horusp_identity(PyObject *self) { return (Py_hash_t)((uintptr_t)self >> 4); }
static PyObject *horusp_tensor_repr(PyObject *self)
{
    horusp_frame *f = (horusp_frame *)self;
    char shape[200];
    if (!f->hold)
        return PyUnicode_FromString("Tensor(released)");
    (void)horusp_live(f);
    horusp_shape_text(&f->t, shape, sizeof shape);
    return PyUnicode_FromFormat("Tensor(shape=[%s], dtype=%s%s)", shape,
                                horus_dtype_name((horus_dtype)f->t.dtype),
                                horusp_is_read_only(f) ? ", readonly" : "");
}
static PyGetSetDef horusp_tensor_getset[] = {
    HORUSP_FRAME_GETSET,
    {"shape", horusp_image_shape_list, NULL, "Dimensions, a list.", NULL},
    {"numel", horusp_image_numel, NULL, "Elements in all.", NULL},
    {"T", horusp_tensor_transposed, NULL, "The transposed view, a NumPy array of the same memory.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMethodDef horusp_tensor_methods[] = {
    HORUSP_FRAME_METHODS,
    {"zeros", HORUSP_FN(horusp_tensor_zeros), HORUSP_FAST | METH_STATIC,
     "zeros(shape, dtype=\"float32\")\n--\n\nAs Tensor()."},
    {"empty", HORUSP_FN(horusp_tensor_empty), HORUSP_FAST | METH_STATIC,
     "empty(shape, dtype=\"float32\")\n--\n\nAs Tensor(), with whatever bytes were there."},
    {"from_numpy", HORUSP_FN(horusp_tensor_from_numpy_), HORUSP_FAST | METH_STATIC,
     "from_numpy(array)\n--\n\nCopies an array, or what NumPy makes one of, into the pool."},
    {"from_torch", HORUSP_FN(horusp_tensor_from_torch_), HORUSP_FAST | METH_STATIC,
     "from_torch(tensor)\n--\n\nCopies a torch.Tensor into the pool, from a GPU too."},
    {"from_dlpack", HORUSP_FN(horusp_tensor_from_dlpack_), HORUSP_FAST | METH_STATIC,
     "from_dlpack(x)\n--\n\nCopies what any DLPack producer on the CPU holds into the pool."},
    {"from_descriptor", HORUSP_FN(horusp_tensor_from_descriptor), HORUSP_FAST | METH_STATIC,
     "from_descriptor(pool_id, descriptor_bytes)\n--\n\nOpens what to_descriptor() gave, in any "
     "process of the "
     "namespace, while somebody holds the tensor. Refused: what is none, and elements that "
     "overlap."},
    {"to_descriptor", horusp_tensor_to_descriptor, METH_NOARGS,
     "to_descriptor($self)\n--\n\nAt most 168 bytes that name the tensor."},
    {"numpy", horusp_tensor_numpy, METH_NOARGS, "numpy($self)\n--\n\nAs to_numpy()."},
    {"torch", horusp_to_torch, METH_NOARGS, "torch($self)\n--\n\nAs to_torch()."},
    {"is_contiguous", horusp_cloud_is_contiguous, METH_NOARGS,
     "is_contiguous($self)\n--\n\nTrue if the elements lie densely, row-major."},
    {"view", HORUSP_FN(horusp_tensor_view_), HORUSP_FAST,
     "view($self, new_shape)\n--\n\nThe same memory in another shape; one entry may be -1."},
    {"reshape", HORUSP_FN(horusp_tensor_reshape), METH_FASTCALL,
     "reshape($self, *shape)\n--\n\nThe same, as numbers or a list."},
    {"flatten", horusp_tensor_flatten, METH_NOARGS,
     "flatten($self)\n--\n\nThe same memory in one dimension."},
    {"squeeze", horusp_tensor_squeeze, METH_NOARGS,
     "squeeze($self)\n--\n\nThe same memory without dimensions of 1."},
    {"unsqueeze", HORUSP_FN(horusp_tensor_unsqueeze_), HORUSP_FAST,
     "unsqueeze($self, dim)\n--\n\nThe same memory with a dimension of 1 more."},
    {"slice", HORUSP_FN(horusp_tensor_slice), HORUSP_FAST,
     "slice($self, start, end)\n--\n\nRows start to end-1 of the same memory, which is 64-byte "
     "aligned no longer: JAX copies it, and TensorFlow aborts on it; copy() is aligned."},
    {"sum", HORUSP_FN(horusp_tensor_sum), HORUSP_FAST,
     "sum($self, dim=None, *, axis=None, dtype=None, out=None, keepdims=False, initial=None, "
     "where=None)\n--\n\nSum along a dimension, or of all as a Tensor of shape [1]. dim is "
     "an int or a tuple, as axis; the other options are NumPy's."},
    {"mean", HORUSP_FN(horusp_tensor_mean), HORUSP_FAST,
     "mean($self, dim=None, *, axis=None, dtype=None, out=None, keepdims=False, initial=None, "
     "where=None)\n--\n\nMean, likewise."},
    {"max", HORUSP_FN(horusp_tensor_max), HORUSP_FAST,
     "max($self, dim=None, *, axis=None, dtype=None, out=None, keepdims=False, initial=None, "
     "where=None)\n--\n\nLargest, likewise."},
    {"min", HORUSP_FN(horusp_tensor_min), HORUSP_FAST,
     "min($self, dim=None, *, axis=None, dtype=None, out=None, keepdims=False, initial=None, "
     "where=None)\n--\n\nSmallest, likewise."},
    {"astype", HORUSP_FN(horusp_tensor_astype_), HORUSP_FAST,
     "astype($self, dtype)\n--\n\nA new Tensor of another element type."},
    {"to_float32", horusp_tensor_to_float32, METH_NOARGS,
     "to_float32($self)\n--\n\nastype(\"float32\")."},
    {"to_float16", horusp_tensor_to_float16, METH_NOARGS,
     "to_float16($self)\n--\n\nastype(\"float16\")."},
    {"to_int32", horusp_tensor_to_int32, METH_NOARGS, "to_int32($self)\n--\n\nastype(\"int32\")."},
    {"to_uint8", horusp_tensor_to_uint8, METH_NOARGS, "to_uint8($self)\n--\n\nastype(\"uint8\")."},
    {"tolist", horusp_tensor_tolist, METH_NOARGS,
     "tolist($self)\n--\n\nNested lists of Python numbers."},
    {"item", horusp_tensor_item, METH_NOARGS,
     "item($self)\n--\n\nThe only element, as a Python number."},
    {"cpu", horusp_to_cpu, METH_NOARGS, "cpu($self)\n--\n\nItself."},
    {"cuda", HORUSP_FN(horusp_cuda), HORUSP_FAST,
     "cuda($self, device=\"cuda:0\")\n--\n\nRuntimeError: pool memory is the CPU's."},
    {NULL, NULL, 0, NULL}};
static PyTypeObject horusp_tensor_type = {
    HORUSP_FRAME_TYPE("Tensor"),
    .tp_doc = "Tensor(shape, dtype=\"float32\")\n--\n\nElements in the pool, zeroed, row-major; at "
              "most 8 "
              "dimensions.",
    .tp_new = horusp_tensor_tp_new,
    .tp_repr = horusp_tensor_repr,
    .tp_getset = horusp_tensor_getset,
    .tp_methods = horusp_tensor_methods,
    .tp_as_number = &horusp_tensor_number,
    .tp_richcompare = horusp_compare,
    .tp_hash = horusp_identity,
};

/* ------------------------------------------------------------------------------------ >>pool */
typedef struct horusp_pool {
    PyObject_HEAD int64_t id;
    horus_pool *pool; /* NULL: the default one. Never closed: tensors and arrays may outlive this */
} horusp_pool;
static PyTypeObject horusp_pool_type;

static horusp_sig horusp_sig_pool = {
    "TensorPool", 3, 0, 3, {{"pool_id", 0}, {"size_mb", 0}, {"max_slots", 0}}};
static PyObject *horusp_pool_tp_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    PyObject *v[3];
    int64_t id = 1, mb = 1024, slots = 1024;
    horus_pool *pool = NULL;
    (void)type;
    if (!horusp_args_tuple(&horusp_sig_pool, args, kw, v) ||
        (v[0] && !horusp_int(v[0], "pool_id", 0, UINT32_MAX, &id)) ||
        (v[1] && !horusp_int(v[1], "size_mb", 1, 1 << 20, &mb)) ||
        (v[2] && !horusp_int(v[2], "max_slots", 1, UINT32_MAX, &slots)))
        return NULL;
    if (id != 1) {
        char name[32];
        (void)snprintf(name, sizeof name, "pool.%lld", (long long)id);
        PyObject *key = PyLong_FromLongLong(id);
        PyObject *known = key ? PyDict_GetItemWithError(horusp.pools, key) : NULL;
        Py_XDECREF(key);
        if (known)
            return horusp_ref(known);
        if (PyErr_Occurred())
            return NULL;
        horus_result r =
            horus_pool_open(&pool, name, &(horus_pool_desc){.pool_bytes = (uint64_t)mb << 20});
        if (r != HORUS_OK)
            return horusp_error(r);
    }
    horusp_pool *p = PyObject_New(horusp_pool, &horusp_pool_type);
    if (!p) {
        horus_pool_close(pool);
        return NULL;
    }
    p->id = id;
    p->pool = pool;
    if (id != 1) {
        PyObject *key = PyLong_FromLongLong(id);
        int bad = key ? PyDict_SetItem(horusp.pools, key, (PyObject *)p) : -1;
        Py_XDECREF(key);
        if (bad < 0) {
            horus_pool_close(pool);
            Py_DECREF(p);
            return NULL;
        }
    }
    return (PyObject *)p;
}
/* The pool, opened anew if it was inherited over fork(). */
static bool horusp_pool_live(horusp_pool *p)
{
    if (!p->pool || !horusi_is_detached(p->pool->context))
        return true;
    char name[32];
    (void)snprintf(name, sizeof name, "pool.%lld", (long long)p->id);
    horus_result r = horus_pool_open(&p->pool, name, NULL);
    if (r == HORUS_OK)
        return true;
    (void)horusp_error(r);
    return false;
}
static horusp_sig horusp_sig_alloc = {
    "alloc", 3, 1, 3, {{"shape", 0}, {"dtype", 0}, {"device", 0}}};
static PyObject *horusp_pool_alloc(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kw)
{
    PyObject *v[3];
    if (!horusp_args(&horusp_sig_alloc, args, nargs, kw, v))
        return NULL;
    if (v[2] && !horusp_device(v[2], true))
        return NULL;
    return horusp_pool_live((horusp_pool *)self)
               ? horusp_tensor_make(v, ((horusp_pool *)self)->pool, 0)
               : NULL;
}
static PyObject *horusp_pool_stats(PyObject *self, PyObject *none)
{
    horusp_pool *p = (horusp_pool *)self;
    horus_pool_stats s;
    horus_audit a;
    (void)none;
    if (!horusp_pool_live(p))
        return NULL;
    horus_result r = horus_pool_get_stats(p->pool, &s);
    if (r == HORUS_OK)
        r = horus_pool_audit(p->pool, &a, NULL, NULL);
    if (r != HORUS_OK)
        return horusp_error(r);
    return Py_BuildValue(
        "{sL sK sI sI sI sK sK sK sI sI}", "pool_id", (long long)p->id, "pool_size",
        (unsigned long long)s.data_bytes, "max_slots", s.max_slots, "allocated_slots", s.used_slots,
        "total_refcount", a.holders, "used_bytes", (unsigned long long)s.used_bytes, "free_bytes",
        (unsigned long long)s.free_bytes, "committed_bytes", (unsigned long long)s.committed_bytes,
        "granule_bytes", s.granule_bytes, "block_bytes", s.block_bytes);
}
static PyObject *horusp_pool_id(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(((horusp_pool *)self)->id);
}
static PyObject *horusp_pool_repr(PyObject *self)
{
    return PyUnicode_FromFormat("TensorPool(pool_id=%lld)", (long long)((horusp_pool *)self)->id);
}
static PyGetSetDef horusp_pool_getset[] = {{"pool_id", horusp_pool_id, NULL, "Its number.", NULL},
                                           {NULL, NULL, NULL, NULL, NULL}};
static PyMethodDef horusp_pool_methods[] = {
    {"alloc", HORUSP_FN(horusp_pool_alloc), HORUSP_FAST,
     "alloc($self, shape, dtype=\"float32\", device=\"cpu\")\n--\n\nA zeroed Tensor in this pool; "
     "MemoryError "
     "says who holds what if it is full."},
    {"stats", horusp_pool_stats, METH_NOARGS,
     "stats($self)\n--\n\nA dict: pool_id, pool_size, max_slots, allocated_slots, total_refcount "
     "(holders of "
     "slots, in all processes), used_bytes, free_bytes, committed_bytes, granule_bytes, "
     "block_bytes."},
    {NULL, NULL, 0, NULL}};
static PyTypeObject horusp_pool_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus.TensorPool",
    .tp_basicsize = sizeof(horusp_pool),
    .tp_dealloc = (destructor)PyObject_Free,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "TensorPool(pool_id=1, size_mb=1024, max_slots=1024)\n--\n\nPool 1 is the one that "
              "all frames "
              "use; others are made at first use. Sizes are wishes: an existing pool is used as it "
              "is, and "
              "max_slots is what fits.",
    .tp_new = horusp_pool_tp_new,
    .tp_repr = horusp_pool_repr,
    .tp_getset = horusp_pool_getset,
    .tp_methods = horusp_pool_methods,
};

/* ------------------------------------------------------------------------------------ >>codec
 * Python values as MessagePack and back: what a topic carries that is no frame and no struct.
 *
 *     None bool int float str bytes        themselves; ints from -2^63 to 2^64 - 1
 *     bytearray, memoryview                come back as bytes
 *     list, tuple                          come back as list
 *     dict                                 keys: None, bool, int, float, str, bytes
 *     subclasses of these                  come back as the plain type; a dict's by its items()
 *     NumPy scalars, objects with __index__  come back as bool, int or float
 *
 * Anything else is refused, never altered: NumPy arrays inside of a value, sets, complex numbers,
 * dates, decimals. What can be sent can be received. An error names the place in the value:
 * "cannot send a set (at value['a'][3])". Containers nest HORUSP_DEPTH levels, both ways.
 *
 * Python code may run in the middle: __index__, items() and item() of slow types, and finalizers
 * when the garbage collector starts (the decoder allocates). So a container that is being written
 * is held, its size is looked at again for each element, and a value of a slow type is held too;
 * values of the exact basic types need no reference, since nothing runs while they are written.
 * Free-threaded builds own each element instead.
 *
 * The decoder trusts nothing in the message, but the bytes must not change while it reads them: a
 * private copy, or a slot that is held. A count is believed only as far as bytes are left for so
 * many elements, before anything is allocated for it.
 *
 * Keys. The same few short keys come again and again, so the decoder keeps them: {"x": 1} costs no
 * new string. The table is direct-mapped and bounded; the GIL guards it. A key that came often is
 * interned, which makes msg["x"] a pointer comparison; not earlier, since some versions never free
 * interned strings. Free-threaded builds go without. */
#define HORUSP_DEPTH 128      /* levels of containers in a value */
#define HORUSP_FREE_DEPTH 8   /* levels that Python's recursion counter does not see: each costs */
#define HORUSP_KEYS 256       /* a power of two */
#define HORUSP_KEY_BYTES 31   /* longer keys are not kept: those of a one-byte head */
#define HORUSP_KEY_OFTEN 16   /* hits before a key is interned */
#define HORUSP_SCALAR_MAX 9   /* bytes of the longest number, and of the longest head of the rest */
#define HORUSP_TEXT_KEPT 4096 /* characters; longer texts do not keep their UTF-8 form */

enum horusp_fault {
    HORUSP_FAULT_NONE, /* no fault, or a Python exception is set already */
    HORUSP_FAULT_TYPE,
    HORUSP_FAULT_INT,
    HORUSP_FAULT_TEXT,
    HORUSP_FAULT_DEEP,
    HORUSP_FAULT_LONG,
    HORUSP_FAULT_LIMIT,
    HORUSP_FAULT_CHANGED
};

/* Where a value is written to. horusp_writer_init() fills it; after horusp_pack() the message is
 * start .. at, until horusp_pack_end().
 *   limit  the most bytes that a message may have; 0: no limit. Set it after init.
 *   zero   a zeroed writer may be given to horusp_pack_end */
typedef struct horusp_writer {
    uint8_t *at, *end, *start;
    bool heap; /* start is ours, from PyMem_RawMalloc */
    size_t limit;
    enum horusp_fault fault; /* the rest: how an error is told, see horusp_fault */
    bool in_key;
    PyObject *culprit, *path;
} horusp_writer;

static void horusp_writer_init(horusp_writer *w, void *buffer, size_t bytes)
{
    *w = (horusp_writer){.start = buffer};
    w->at = w->start;
    w->end = w->start + bytes;
}

static void horusp_pack_end(horusp_writer *w)
{
    if (w->heap)
        PyMem_RawFree(w->start);
    w->heap = false;
}

/* ------------------------------------------------------------------------------------ >>encode
 *
 * Python values to MessagePack, straight into a slot or a block. A function takes the place to write at and
 * returns the place behind what it wrote, or NULL: kept in the writer, that pointer would be loaded and
 * stored again for every byte.
 *
 * The place of an error is known only on the way out: so no exception is raised where it happens,
 * each level adds its index or key in front of the path, and horusp_pack raises. The path costs
 * nothing as long as all is well. */
static uint8_t *horusp_fault(horusp_writer *w, enum horusp_fault fault, PyObject *culprit)
{
    Py_INCREF(culprit);
    w->fault = fault;
    w->culprit = culprit;
    return NULL;
}

static void horusp_no_fault(horusp_writer *w)
{
    w->fault = HORUSP_FAULT_NONE;
    w->in_key = false;
    Py_CLEAR(w->culprit);
    Py_CLEAR(w->path);
}

/* Adds one level to the path: a key, or an index where key is NULL. */
static void horusp_place(horusp_writer *w, int depth, PyObject *key, Py_ssize_t index)
{
    int level = HORUSP_DEPTH - depth;
    PyObject *path;
    if (w->fault == HORUSP_FAULT_NONE || (w->fault == HORUSP_FAULT_DEEP && level > 4))
        return;
    if (w->fault == HORUSP_FAULT_DEEP && level == 4)
        path = PyUnicode_FromString("...");
    else if (key)
        path = PyUnicode_FromFormat("[%.60R]%V", key, w->path, "");
    else
        path = PyUnicode_FromFormat("[%zd]%V", index, w->path, "");
    if (!path) {
        horusp_no_fault(w); /* that exception is told instead */
        return;
    }
    Py_XDECREF(w->path);
    w->path = path;
}

static void horusp_raise_surrogate(PyObject *text, PyObject *place)
{
    Py_ssize_t i = 0, n = PyUnicode_GetLength(text);
    PyObject *e, *why = PyUnicode_FromFormat("surrogates not allowed%U", place);
    if (!why)
        return;
    while (i < n && (PyUnicode_ReadChar(text, i) & 0xfffff800u) != 0xd800)
        i++;
    e = PyObject_CallFunction(horusp.unicode_error, "sOnnO", "utf-8", text, i, i + 1, why);
    if (e)
        PyErr_SetObject(horusp.unicode_error, e);
    Py_XDECREF(e);
    Py_DECREF(why);
}

static void horusp_raise(horusp_writer *w)
{
    PyObject *place;
    const char *name = Py_TYPE(w->culprit)->tp_name;
    const char *a = strchr("aeiouAEIOU", name[0]) ? "an" : "a";
    if (w->in_key)
        place = PyUnicode_FromFormat(" (as a key of value%V)", w->path, "");
    else if (w->path)
        place = PyUnicode_FromFormat(" (at value%U)", w->path);
    else
        place = PyUnicode_FromString("");
    if (place) {
        switch (w->fault) {
        case HORUSP_FAULT_NONE:
            break;
        case HORUSP_FAULT_TYPE:
            PyErr_Format(HORUSP_TYPE_ERROR, "cannot send %s %.100s%U: %s", a, name, place,
                         w->in_key ? "a key is None, a bool, a number, str or bytes"
                         : w->path
                             ? "inside of a value there are None, bools, numbers, str, bytes, "
                               "lists, tuples and dicts"
                             : "a message, a frame, an array, None, a bool, a number, str, "
                               "bytes, a list, a tuple or a dict goes");
            break;
        case HORUSP_FAULT_INT:
            PyErr_Format(horusp.overflow_error, "cannot send an int beyond 64 bits%U", place);
            break;
        case HORUSP_FAULT_TEXT:
            horusp_raise_surrogate(w->culprit, place);
            break;
        case HORUSP_FAULT_DEEP:
            PyErr_Format(HORUSP_VALUE_ERROR,
                         "cannot send a value of more than %d levels, or that contains itself%U",
                         HORUSP_DEPTH, place);
            break;
        case HORUSP_FAULT_LONG:
            PyErr_Format(HORUSP_VALUE_ERROR, "cannot send %s %.100s longer than 2**32 - 1%U", a,
                         name, place);
            break;
        case HORUSP_FAULT_LIMIT:
            PyErr_Format(HORUSP_VALUE_ERROR, "cannot send more than %zu bytes%U", w->limit, place);
            break;
        case HORUSP_FAULT_CHANGED:
            PyErr_Format(horusp.by_code[-HORUS_E_BUSY], "%s changed size while it was sent%U",
                         PyDict_Check(w->culprit) ? "dictionary" : name, place);
            break;
        }
        Py_DECREF(place);
    }
    horusp_no_fault(w);
}

static uint8_t *horusp_grow(horusp_writer *w, uint8_t *at, size_t need, PyObject *value)
{
    size_t used = (size_t)(at - w->start), room = (size_t)(w->end - w->start);
    uint8_t *start;
    if (w->limit && used + need > w->limit + HORUSP_SCALAR_MAX) /* horusp_pack looks exactly */
        return horusp_fault(w, HORUSP_FAULT_LIMIT, value);
    room = room < 512 ? 1024 : room * 2;
    if (room < used + need)
        room = used + need;
    start = PyMem_RawRealloc(w->heap ? w->start : NULL, room);
    if (!start) {
        PyErr_NoMemory();
        return NULL;
    }
    if (!w->heap && used > 0)
        memcpy(start, w->start, used);
    w->heap = true;
    w->start = start;
    w->end = start + room;
    return start + used;
}

static inline uint8_t *horusp_room(horusp_writer *w, uint8_t *at, size_t need, PyObject *value)
{
    return (size_t)(w->end - at) >= need ? at : horusp_grow(w, at, need, value);
}

static inline uint8_t *horusp_put16(uint8_t *at, int code, uint32_t v)
{
    at[0] = (uint8_t)code;
    at[1] = (uint8_t)(v >> 8);
    at[2] = (uint8_t)v;
    return at + 3;
}

static inline uint8_t *horusp_put32(uint8_t *at, int code, uint32_t v)
{
    at[0] = (uint8_t)code;
    at[1] = (uint8_t)(v >> 24);
    at[2] = (uint8_t)(v >> 16);
    at[3] = (uint8_t)(v >> 8);
    at[4] = (uint8_t)v;
    return at + 5;
}

static inline uint8_t *horusp_put64(uint8_t *at, int code, uint64_t v)
{
    at[0] = (uint8_t)code;
    at[1] = (uint8_t)(v >> 56);
    at[2] = (uint8_t)(v >> 48);
    at[3] = (uint8_t)(v >> 40);
    at[4] = (uint8_t)(v >> 32);
    at[5] = (uint8_t)(v >> 24);
    at[6] = (uint8_t)(v >> 16);
    at[7] = (uint8_t)(v >> 8);
    at[8] = (uint8_t)v;
    return at + 9;
}

static inline uint8_t *horusp_put_double(uint8_t *at, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return horusp_put64(at, 0xcb, bits);
}

/* The head of a list, tuple or dict: at most 15 elements in one byte, else 16 or 32 bits. */
static inline uint8_t *horusp_put_count(uint8_t *at, uint32_t n, int fix, int code16)
{
    if (n < 16) {
        *at = (uint8_t)(fix | (int)n);
        return at + 1;
    }
    return n < 65536 ? horusp_put16(at, code16, n) : horusp_put32(at, code16 + 1, n);
}

/* Keys and labels are short, and a call of memcpy is long. */
static inline void horusp_copy(void *to, const void *from, size_t n)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if (n > 16) {
        memcpy(t, f, n);
    } else if (n >= 8) {
        uint64_t head, tail;
        memcpy(&head, f, 8);
        memcpy(&tail, f + n - 8, 8);
        memcpy(t, &head, 8);
        memcpy(t + n - 8, &tail, 8);
    } else if (n >= 4) {
        uint32_t head, tail;
        memcpy(&head, f, 4);
        memcpy(&tail, f + n - 4, 4);
        memcpy(t, &head, 4);
        memcpy(t + n - 4, &tail, 4);
    } else if (n > 0) {
        t[0] = f[0];
        t[n / 2] = f[n / 2];
        t[n - 1] = f[n - 1];
    }
}

static inline bool horusp_too_long(Py_ssize_t n) { return (uint64_t)n > UINT32_MAX; }

/* Room for a scalar is there already. */
static uint8_t *horusp_pack_int(horusp_writer *w, uint8_t *at, PyObject *value)
{
    int overflow;
    long long v = PyLong_AsLongLongAndOverflow(value, &overflow);
    uint64_t u = (uint64_t)v;
    if (overflow) {
        u = overflow > 0 ? PyLong_AsUnsignedLongLong(value) : UINT64_MAX;
        if (overflow < 0 || (u == UINT64_MAX && PyErr_Occurred())) {
            PyErr_Clear();
            return horusp_fault(w, HORUSP_FAULT_INT, value);
        }
        return horusp_put64(at, 0xcf, u);
    }
    if (v >= -32 && v < 128) {
        *at = (uint8_t)v;
        return at + 1;
    }
    if (v >= 0) {
        if (v < 256) {
            at[0] = 0xcc;
            at[1] = (uint8_t)v;
            return at + 2;
        }
        if (v < 65536)
            return horusp_put16(at, 0xcd, (uint32_t)v);
        return u <= UINT32_MAX ? horusp_put32(at, 0xce, (uint32_t)v) : horusp_put64(at, 0xcf, u);
    }
    if (v >= INT8_MIN) {
        at[0] = 0xd0;
        at[1] = (uint8_t)v;
        return at + 2;
    }
    if (v >= INT16_MIN)
        return horusp_put16(at, 0xd1, (uint32_t)v);
    return v >= INT32_MIN ? horusp_put32(at, 0xd2, (uint32_t)v) : horusp_put64(at, 0xd3, u);
}

static inline uint8_t *horusp_put_text(horusp_writer *w, uint8_t *at, PyObject *value,
                                       const char *text, Py_ssize_t n)
{
    if (horusp_too_long(n))
        return horusp_fault(w, HORUSP_FAULT_LONG, value);
    if (!(at = horusp_room(w, at, (size_t)n + HORUSP_SCALAR_MAX, value)))
        return NULL;
    if (n < 32) {
        *at++ = (uint8_t)(0xa0 | n);
    } else if (n < 256) {
        *at++ = 0xd9;
        *at++ = (uint8_t)n;
    } else {
        at = n < 65536 ? horusp_put16(at, 0xda, (uint32_t)n) : horusp_put32(at, 0xdb, (uint32_t)n);
    }
    if (n < 65536) {
        horusp_copy(at, text, (size_t)n);
    } else { /* others run meanwhile, and may let go of it */
        Py_INCREF(value);
        horusp_copy_bytes(at, text, (size_t)n);
        Py_DECREF(value);
    }
    return at + n;
}

/* Text that is not plain ASCII. Python keeps the UTF-8 form of a str with it, which is welcome for
 * short ones and doubles the memory of long ones. */
static uint8_t *horusp_pack_wide(horusp_writer *w, uint8_t *at, PyObject *value)
{
    PyObject *bytes = NULL;
    Py_ssize_t n = 0;
    const char *text = NULL;
    if (PyUnicode_GetLength(value) <= HORUSP_TEXT_KEPT)
        text = PyUnicode_AsUTF8AndSize(value, &n);
    else if ((bytes = PyUnicode_AsUTF8String(value))) {
        text = PyBytes_AS_STRING(bytes);
        n = PyBytes_GET_SIZE(bytes);
    }
    if (text) {
        at = horusp_put_text(w, at, value, text, n);
    } else {
        at = NULL;
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear();
            horusp_fault(w, HORUSP_FAULT_TEXT, value);
        }
    }
    Py_XDECREF(bytes);
    return at;
}

static inline uint8_t *horusp_pack_text(horusp_writer *w, uint8_t *at, PyObject *value)
{
    if (PyUnicode_IS_COMPACT_ASCII(value))
        return horusp_put_text(w, at, value, (const char *)PyUnicode_1BYTE_DATA(value),
                               PyUnicode_GET_LENGTH(value));
    return horusp_pack_wide(w, at, value);
}

/* Writes the head of n bytes and makes room for them. */
static uint8_t *horusp_put_bytes_head(horusp_writer *w, uint8_t *at, PyObject *value, Py_ssize_t n)
{
    if (horusp_too_long(n))
        return horusp_fault(w, HORUSP_FAULT_LONG, value);
    if (!(at = horusp_room(w, at, (size_t)n + HORUSP_SCALAR_MAX, value)))
        return NULL;
    if (n < 256) {
        *at++ = 0xc4;
        *at++ = (uint8_t)n;
        return at;
    }
    return n < 65536 ? horusp_put16(at, 0xc5, (uint32_t)n) : horusp_put32(at, 0xc6, (uint32_t)n);
}

static uint8_t *horusp_pack_bytes(horusp_writer *w, uint8_t *at, PyObject *value)
{
    Py_ssize_t n = PyBytes_GET_SIZE(value);
    if (!(at = horusp_put_bytes_head(w, at, value, n)))
        return NULL;
    Py_INCREF(value);
    horusp_copy_bytes(at, PyBytes_AS_STRING(value), (size_t)n);
    Py_DECREF(value);
    return at + n;
}

/* A bytearray or a memoryview: exported, so that nobody resizes it meanwhile. */
static uint8_t *horusp_pack_buffer(horusp_writer *w, uint8_t *at, PyObject *value)
{
    Py_buffer view;
    if (PyObject_GetBuffer(value, &view, PyBUF_FULL_RO) != 0)
        return NULL;
    at = horusp_put_bytes_head(w, at, value, view.len);
    if (at && PyBuffer_IsContiguous(&view, 'C'))
        horusp_copy_bytes(at, view.buf, (size_t)view.len);
    else if (at && PyBuffer_ToContiguous(at, &view, view.len, 'C') != 0)
        at = NULL;
    if (at)
        at += view.len;
    PyBuffer_Release(&view);
    return at;
}

static uint8_t *horusp_pack_value(horusp_writer *w, uint8_t *at, PyObject *value, int depth);

/* Python's counter guards the C stack where Python code runs in the middle and sends again. */
static inline bool horusp_enter(int depth)
{
    return depth > HORUSP_DEPTH - HORUSP_FREE_DEPTH || Py_EnterRecursiveCall(" in a message") == 0;
}

static inline void horusp_leave(int depth)
{
    if (depth <= HORUSP_DEPTH - HORUSP_FREE_DEPTH)
        Py_LeaveRecursiveCall();
}

static inline PyObject *horusp_sequence_item(PyObject *value, bool list, Py_ssize_t i)
{
#ifdef Py_GIL_DISABLED
    PyObject *item = list ? PyList_GetItemRef(value, i) : Py_NewRef(PyTuple_GET_ITEM(value, i));
    if (!item)
        PyErr_Clear(); /* it was shortened, which the caller tells */
    return item;
#else
    if (!list)
        return PyTuple_GET_ITEM(value, i);
    return i < PyList_GET_SIZE(value) ? PyList_GET_ITEM(value, i) : NULL;
#endif
}

/* A list or a tuple, of a subclass too: what they hold, whatever their methods say. */
static uint8_t *horusp_pack_sequence(horusp_writer *w, uint8_t *at, PyObject *value, int depth)
{
    bool list = PyList_Check(value);
    Py_ssize_t i, n = list ? PyList_GET_SIZE(value) : PyTuple_GET_SIZE(value);
    if (depth == 0)
        return horusp_fault(w, HORUSP_FAULT_DEEP, value);
    if (horusp_too_long(n))
        return horusp_fault(w, HORUSP_FAULT_LONG, value);
    if (!horusp_enter(depth))
        return NULL;
    Py_INCREF(value);
    at = horusp_put_count(at, (uint32_t)n, 0x90, 0xdc);
    for (i = 0; i < n && at; i++) {
        PyObject *item = horusp_sequence_item(value, list, i);
        if (!item)
            break;
        at = horusp_room(w, at, HORUSP_SCALAR_MAX, item);
        if (at && PyFloat_CheckExact(item))
            at = horusp_put_double(at, PyFloat_AS_DOUBLE(item));
        else if (at && PyLong_CheckExact(item))
            at = horusp_pack_int(w, at, item);
        else if (at)
            at = horusp_pack_value(w, at, item, depth - 1);
        if (!at)
            horusp_place(w, depth, NULL, i);
#ifdef Py_GIL_DISABLED
        Py_DECREF(item);
#endif
    }
    if (at && (i < n || (list && PyList_GET_SIZE(value) != n)))
        at = horusp_fault(w, HORUSP_FAULT_CHANGED, value);
    Py_DECREF(value);
    horusp_leave(depth);
    return at;
}

/* One key and its value; the caller holds both. */
static inline uint8_t *horusp_pack_pair(horusp_writer *w, uint8_t *at, PyObject *key,
                                        PyObject *value, int depth)
{
    if (PyUnicode_CheckExact(key)) {
        at = horusp_pack_text(w, at, key);
    } else if (PyList_Check(key) || PyTuple_Check(key) || PyDict_Check(key)) {
        at = horusp_fault(w, HORUSP_FAULT_TYPE, key);
    } else {
        at = horusp_room(w, at, HORUSP_SCALAR_MAX, key);
        at = at ? horusp_pack_value(w, at, key, 0) : NULL;
    }
    if (!at) {
        w->in_key = w->fault != HORUSP_FAULT_NONE;
        return NULL;
    }
    if (!(at = horusp_room(w, at, HORUSP_SCALAR_MAX, value)) ||
        !(at = horusp_pack_value(w, at, value, depth - 1)))
        horusp_place(w, depth, key, 0);
    return at;
}

static uint8_t *horusp_pack_dict(horusp_writer *w, uint8_t *at, PyObject *dict, int depth)
{
    PyObject *key, *value;
    Py_ssize_t next = 0, left, n = PyDict_Size(dict);
    if (depth == 0)
        return horusp_fault(w, HORUSP_FAULT_DEEP, dict);
    if (horusp_too_long(n))
        return horusp_fault(w, HORUSP_FAULT_LONG, dict);
    if (!horusp_enter(depth))
        return NULL;
    Py_INCREF(dict);
#ifdef Py_GIL_DISABLED
    Py_BEGIN_CRITICAL_SECTION(dict);
#endif
    at = horusp_put_count(at, (uint32_t)n, 0x80, 0xde);
    for (left = n; at && left > 0 && PyDict_Next(dict, &next, &key, &value); left--) {
        Py_INCREF(key);
        Py_INCREF(value);
        at = horusp_pack_pair(w, at, key, value, depth);
        Py_DECREF(key);
        Py_DECREF(value);
    }
    if (at && (left > 0 || PyDict_Size(dict) != n))
        at = horusp_fault(w, HORUSP_FAULT_CHANGED, dict);
#ifdef Py_GIL_DISABLED
    Py_END_CRITICAL_SECTION();
#endif
    Py_DECREF(dict);
    horusp_leave(depth);
    return at;
}

/* A subclass of dict: an OrderedDict's order, for one, is in its items() alone. */
static uint8_t *horusp_pack_items(horusp_writer *w, uint8_t *at, PyObject *dict, int depth)
{
    Py_ssize_t i, n;
    PyObject *items;
    if (depth == 0)
        return horusp_fault(w, HORUSP_FAULT_DEEP, dict);
    if (!horusp_enter(depth))
        return NULL;
    items = PyMapping_Items(dict);
    if (!items) {
        horusp_leave(depth);
        return NULL;
    }
    n = PyList_GET_SIZE(items);
    at = horusp_put_count(at, (uint32_t)n, 0x80, 0xde);
    for (i = 0; at && i < n; i++) {
        PyObject *pair = horusp_sequence_item(items, true, i);
        if (!pair || !PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_Format(HORUSP_TYPE_ERROR, "%.100s.items() must give pairs of key and value",
                         Py_TYPE(dict)->tp_name);
            at = NULL;
        } else {
            at = horusp_pack_pair(w, at, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1),
                                  depth);
        }
#ifdef Py_GIL_DISABLED
        Py_XDECREF(pair);
#endif
    }
    Py_DECREF(items);
    horusp_leave(depth);
    return at;
}

/* Whether a type derives from that NumPy type, told without importing NumPy. */
static bool horusp_derives(PyTypeObject *type, const char *name)
{
    for (; type; type = type->tp_base)
        if (strcmp(type->tp_name, name) == 0)
            return true;
    return false;
}

/* A NumPy scalar by its item(). Times and dates have one too, but lose their unit by it; a
 * longdouble stays what it is and is rounded. */
static uint8_t *horusp_pack_numpy(horusp_writer *w, uint8_t *at, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    PyObject *item;
    if (horusp_derives(type, "numpy.timedelta64") || horusp_derives(type, "numpy.datetime64"))
        return horusp_fault(w, HORUSP_FAULT_TYPE, value);
    item = PyObject_CallMethod(value, "item", NULL);
    if (item && !PyFloat_CheckExact(item) && horusp_derives(Py_TYPE(item), "numpy.floating")) {
        PyObject *rounded = PyNumber_Float(item);
        Py_DECREF(item);
        item = rounded;
    }
    if (!item)
        return NULL;
    if (PyBool_Check(item) || PyLong_CheckExact(item) || PyFloat_CheckExact(item))
        at = horusp_pack_value(w, at, item, 0);
    else
        at = horusp_fault(w, HORUSP_FAULT_TYPE, value);
    Py_DECREF(item);
    return at;
}

/* What is none of the exact types. The caller may lose its reference while Python code runs. */
static uint8_t *horusp_pack_other(horusp_writer *w, uint8_t *at, PyObject *value, int depth)
{
    PyTypeObject *type = Py_TYPE(value);
    Py_INCREF(value);
    if (PyFloat_Check(value)) {
        at = horusp_put_double(at, PyFloat_AS_DOUBLE(value));
    } else if (PyLong_Check(value)) {
        at = horusp_pack_int(w, at, value);
    } else if (PyUnicode_Check(value)) {
        at = horusp_pack_text(w, at, value);
    } else if (PyBytes_Check(value)) {
        at = horusp_pack_bytes(w, at, value);
    } else if (PyList_Check(value) || PyTuple_Check(value)) {
        at = horusp_pack_sequence(w, at, value, depth);
    } else if (PyDict_Check(value)) {
        at = horusp_pack_items(w, at, value, depth);
    } else if (PyByteArray_Check(value) || PyMemoryView_Check(value)) {
        at = horusp_pack_buffer(w, at, value);
    } else if (horusp_derives(type, "numpy.generic")) {
        at = horusp_pack_numpy(w, at, value);
    } else if (PyIndex_Check(value) &&
               !(type->tp_as_mapping && type->tp_as_mapping->mp_subscript)) {
        /* arrays and tensors of one element have __index__ too, but are no numbers */
        PyObject *index = PyNumber_Index(value);
        at = index ? horusp_pack_int(w, at, index) : NULL;
        Py_XDECREF(index);
    } else {
        at = horusp_fault(w, HORUSP_FAULT_TYPE, value);
    }
    Py_DECREF(value);
    return at;
}

/* Room for a scalar is there already. */
static uint8_t *horusp_pack_value(horusp_writer *w, uint8_t *at, PyObject *value, int depth)
{
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyLong_Type)
        return horusp_pack_int(w, at, value);
    if (type == &PyFloat_Type)
        return horusp_put_double(at, PyFloat_AS_DOUBLE(value));
    if (type == &PyUnicode_Type)
        return horusp_pack_text(w, at, value);
    if (value == Py_None) {
        *at = 0xc0;
        return at + 1;
    }
    if (type == &PyBool_Type) {
        *at = value == Py_True ? 0xc3 : 0xc2;
        return at + 1;
    }
    if (type == &PyList_Type || type == &PyTuple_Type)
        return horusp_pack_sequence(w, at, value, depth);
    if (type == &PyDict_Type)
        return horusp_pack_dict(w, at, value, depth);
    if (type == &PyBytes_Type)
        return horusp_pack_bytes(w, at, value);
    return horusp_pack_other(w, at, value, depth);
}

/* Writes a value as MessagePack: 0, or -1 with an exception (TypeError, OverflowError, ValueError,
 * RuntimeError, MemoryError, or what Python code in the middle raised). The GIL is held. Once per
 * horusp_writer_init(); horusp_pack_end() after it, also after an error. */
static int horusp_pack(horusp_writer *w, PyObject *value)
{
    uint8_t *at = horusp_room(w, w->at, HORUSP_SCALAR_MAX, value);
    at = at ? horusp_pack_value(w, at, value, HORUSP_DEPTH) : NULL;
    if (at && w->limit && (size_t)(at - w->start) > w->limit)
        at = horusp_fault(w, HORUSP_FAULT_LIMIT, value);
    if (at) {
        w->at = at;
        return 0;
    }
    if (w->fault != HORUSP_FAULT_NONE)
        horusp_raise(w);
    return -1;
}

/* ------------------------------------------------------------------------------------ >>decode
 *
 * MessagePack to Python values. What is decoded came from another process: nothing in it is believed. */

/* owed: elements that the lists and dicts around still need, of a byte each at least. With them
 * counted, all lists of a message together are never longer than the message. */
typedef struct horusp_reader {
    const uint8_t *at, *end, *start;
    size_t owed;
} horusp_reader;

static PyObject *horusp_bad(const horusp_reader *r, const char *what)
{
    return PyErr_Format(HORUSP_VALUE_ERROR, "not a message: %s at byte %zd of %zd", what,
                        (Py_ssize_t)(r->at - r->start), (Py_ssize_t)(r->end - r->start));
}

static inline size_t horusp_left(const horusp_reader *r) { return (size_t)(r->end - r->at); }

/* The next 1, 2, 4 or 8 bytes as a number; the caller has looked whether they are there. */
static inline uint64_t horusp_take(horusp_reader *r, int bytes)
{
    const uint8_t *p = r->at;
    r->at += bytes;
    switch (bytes) {
    case 1:
        return p[0];
    case 2:
        return (uint64_t)p[0] << 8 | p[1];
    case 4:
        return (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3];
    default:
        return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
               (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
               (uint64_t)p[6] << 8 | p[7];
    }
}

static PyObject *horusp_decode_text(const uint8_t *p, size_t n)
{
    PyObject *text = PyUnicode_DecodeUTF8((const char *)p, (Py_ssize_t)n, NULL);
    if (!text)
        (void)horusp_ours();
    return text;
}
/* A plain ASCII text is copied as it is; the rest is checked and decoded by Python. */
static PyObject *horusp_new_text(const uint8_t *p, size_t n)
{
    uint64_t any = 0, word = 0;
    size_t i;
    PyObject *text;
    if (n < 2)
        return horusp_decode_text(p, n); /* those Python keeps */
    for (i = 0; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        any |= word;
    }
    for (; i < n; i++)
        any |= p[i];
    if (any & UINT64_C(0x8080808080808080))
        return horusp_decode_text(p, n);
    if (!(text = PyUnicode_New((Py_ssize_t)n, 127)))
        return NULL;
    if (n < 65536)
        horusp_copy(PyUnicode_1BYTE_DATA(text), p, n);
    else
        horusp_copy_bytes(PyUnicode_1BYTE_DATA(text), p, n);
    return text;
}

#ifdef Py_GIL_DISABLED
static PyObject *horusp_key(const uint8_t *p, size_t n) { return horusp_new_text(p, n); }
static void horusp_codec_clear(void) {}
#else
/* head and tail, which may overlap, are all of a key up to 16 bytes; text has the rest. */
static struct horusp_key_entry {
    PyObject *text;
    uint64_t head, tail;
    uint32_t bytes, hits;
} horusp_keys[HORUSP_KEYS];

static void horusp_codec_clear(void)
{
    size_t i;
    for (i = 0; i < HORUSP_KEYS; i++) {
        horusp_keys[i].bytes = 0;
        Py_CLEAR(horusp_keys[i].text);
    }
}

static PyObject *horusp_key(const uint8_t *p, size_t n)
{
    uint64_t head = 0, tail = 0, h;
    struct horusp_key_entry *e;
    PyObject *text;
    if (n - 1 >= HORUSP_KEY_BYTES) /* 0 too */
        return horusp_new_text(p, n);
    if (n >= 8) {
        memcpy(&head, p, 8);
        memcpy(&tail, p + n - 8, 8);
    } else if (n >= 4) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + n - 4, 4);
        head = a;
        tail = b;
    } else {
        head = p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
    }
    h = (head ^ tail * UINT64_C(0x9e3779b97f4a7c15) ^ n) * UINT64_C(0xd6e8feb86659fd93);
    e = &horusp_keys[(h >> 32) % HORUSP_KEYS];
    if (e->bytes == n && e->head == head && e->tail == tail &&
        (n <= 16 || memcmp(PyUnicode_1BYTE_DATA(e->text), p, n) == 0)) {
        if (e->hits < HORUSP_KEY_OFTEN && ++e->hits == HORUSP_KEY_OFTEN)
            PyUnicode_InternInPlace(&e->text);
        Py_INCREF(e->text);
        return e->text;
    }
    text = horusp_new_text(p, n);
    if (text && PyUnicode_IS_COMPACT_ASCII(text)) {
        PyObject *old = e->text; /* freeing a str runs no Python code, but last is safest */
        Py_INCREF(text);
        *e = (struct horusp_key_entry){text, head, tail, (uint32_t)n, 0};
        Py_XDECREF(old);
    }
    return text;
}
#endif

static PyObject *horusp_unpack_value(horusp_reader *r, int depth);

static PyObject *horusp_unpack_list(horusp_reader *r, uint64_t count, int depth)
{
    Py_ssize_t i, n = (Py_ssize_t)count;
    size_t owed = r->owed;
    PyObject *list;
    if (count + owed > horusp_left(r))
        return horusp_bad(r, "a list that is longer than the message");
    if (depth == 0)
        return horusp_bad(r, "too many levels of lists and dicts");
    if (!horusp_enter(depth))
        return NULL;
    if ((list = PyList_New(n)))
        PyObject_GC_UnTrack(list); /* finalizers find what is tracked: not with NULLs inside */
    for (i = 0; list && i < n; i++) {
        PyObject *item;
        r->owed = owed + (size_t)(n - 1 - i);
        item = horusp_unpack_value(r, depth - 1);
        if (item)
            PyList_SET_ITEM(list, i, item);
        else
            Py_CLEAR(list);
    }
    if (list)
        PyObject_GC_Track(list);
    horusp_leave(depth);
    return list;
}

static inline PyObject *horusp_unpack_text(horusp_reader *r, uint64_t n, bool key)
{
    PyObject *text;
    if (n > horusp_left(r))
        return horusp_bad(r, "a str that is longer than the message");
    text = key ? horusp_key(r->at, (size_t)n) : horusp_new_text(r->at, (size_t)n);
    r->at += n;
    return text;
}

static inline PyObject *horusp_unpack_key(horusp_reader *r)
{
    int c = r->at < r->end ? *r->at : 0xc0;
    if (c >= 0xa0 && c < 0xc0) {
        r->at++;
        return horusp_unpack_text(r, (uint64_t)(c & 31), true);
    }
    if ((c >= 0x80 && c < 0xa0) || (c >= 0xdc && c < 0xe0))
        return horusp_bad(r, "a list or dict as a key");
    return horusp_unpack_value(r, 0);
}

static PyObject *horusp_unpack_dict(horusp_reader *r, uint64_t count, int depth)
{
    PyObject *dict;
    uint64_t i;
    size_t owed = r->owed;
    if (2 * count + owed > horusp_left(r))
        return horusp_bad(r, "a dict that is longer than the message");
    if (depth == 0)
        return horusp_bad(r, "too many levels of lists and dicts");
    if (!horusp_enter(depth))
        return NULL;
    dict = PyDict_New();
    for (i = 0; dict && i < count; i++) {
        PyObject *key = horusp_unpack_key(r);
        PyObject *value = NULL;
        r->owed = owed + 2 * (size_t)(count - 1 - i);
        if (key)
            value = horusp_unpack_value(r, depth - 1);
        if (!value || PyDict_SetItem(dict, key, value) != 0)
            Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    horusp_leave(depth);
    return dict;
}

static PyObject *horusp_unpack_bytes(horusp_reader *r, uint64_t n)
{
    const uint8_t *p = r->at;
    if (n > horusp_left(r))
        return horusp_bad(r, "bytes that are longer than the message");
    r->at += n;
    if (n < 65536)
        return PyBytes_FromStringAndSize((const char *)p, (Py_ssize_t)n);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
    if (bytes)
        horusp_copy_bytes(PyBytes_AS_STRING(bytes), p, (size_t)n);
    return bytes;
}

static PyObject *horusp_unpack_number(horusp_reader *r, int code)
{
    uint64_t u;
    uint32_t bits32;
    float f;
    double d;
    switch (code) {
    case 0xca:
        bits32 = (uint32_t)horusp_take(r, 4);
        memcpy(&f, &bits32, sizeof f);
        return PyFloat_FromDouble((double)f);
    case 0xcb:
        u = horusp_take(r, 8);
        memcpy(&d, &u, sizeof d);
        return PyFloat_FromDouble(d);
    case 0xcc:
        return PyLong_FromLong((long)horusp_take(r, 1));
    case 0xcd:
        return PyLong_FromLong((long)horusp_take(r, 2));
    case 0xce:
        return PyLong_FromUnsignedLong((unsigned long)horusp_take(r, 4));
    case 0xcf:
        return PyLong_FromUnsignedLongLong(horusp_take(r, 8));
    case 0xd0:
        return PyLong_FromLong((int8_t)horusp_take(r, 1));
    case 0xd1:
        return PyLong_FromLong((int16_t)horusp_take(r, 2));
    case 0xd2:
        return PyLong_FromLong((int32_t)horusp_take(r, 4));
    default:
        return PyLong_FromLongLong((int64_t)horusp_take(r, 8));
    }
}

static PyObject *horusp_unpack_value(horusp_reader *r, int depth)
{
    /* bytes that follow the codes 0xc4 to 0xdf: of a number, a length, a count; 0: refused */
    static const uint8_t follow[32] = {[0x04] = 1, 2, 4, [0x0a] = 4, 8, 1, 2, 4, 8, 1,
                                       2,          4, 8, [0x19] = 1, 2, 4, 2, 4, 2, 4};
    uint64_t n;
    int c;
    if (r->at == r->end)
        return horusp_bad(r, "it ends too early");
    c = *r->at++;
    if (c < 0x80)
        return PyLong_FromLong(c);
    if (c >= 0xe0)
        return PyLong_FromLong(c - 256);
    if (c < 0x90)
        return horusp_unpack_dict(r, (uint64_t)(c & 15), depth);
    if (c < 0xa0)
        return horusp_unpack_list(r, (uint64_t)(c & 15), depth);
    if (c < 0xc0)
        return horusp_unpack_text(r, (uint64_t)(c & 31), false);
    switch (c) {
    case 0xc0:
        Py_RETURN_NONE;
    case 0xc2:
        Py_RETURN_FALSE;
    case 0xc3:
        Py_RETURN_TRUE;
    default:
        break;
    }
    if (!follow[c - 0xc0]) {
        r->at--;
        return horusp_bad(r, c == 0xc1 ? "an unknown code" : "an extension type");
    }
    if (follow[c - 0xc0] > horusp_left(r))
        return horusp_bad(r, "it ends too early");
    if (c >= 0xca && c <= 0xd3)
        return horusp_unpack_number(r, c);
    n = horusp_take(r, follow[c - 0xc0]);
    switch (c) {
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return horusp_unpack_bytes(r, n);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return horusp_unpack_text(r, n, false);
    case 0xdc:
    case 0xdd:
        return horusp_unpack_list(r, n, depth);
    default:
        return horusp_unpack_dict(r, n, depth);
    }
}

/* Reads one value that takes all of the bytes: a new reference, or NULL with ValueError (not
 * MessagePack, not UTF-8, a key that Python cannot hash, too deep, bytes left over) or MemoryError.
 * The bytes must not change meanwhile. The GIL is held. */
static PyObject *horusp_unpack(const uint8_t *data, size_t bytes)
{
    horusp_reader r = {data, data + bytes, data, 0};
    PyObject *value = horusp_unpack_value(&r, HORUSP_DEPTH);
    if (value && r.at != r.end) {
        horusp_bad(&r, "more bytes than the value has");
        Py_CLEAR(value);
    }
    return value;
}

/* For the tests: horus._pack(value, limit=0) -> bytes (METH_VARARGS), horus._unpack(bytes) -> value
 * (METH_O). */
static PyObject *horusp_codec_pack(PyObject *module, PyObject *args)
{
    uint8_t buffer[512];
    horusp_writer w;
    PyObject *value, *bytes = NULL;
    Py_ssize_t limit = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "O|n:_pack", &value, &limit))
        return NULL;
    horusp_writer_init(&w, buffer, sizeof buffer);
    w.limit = (size_t)limit;
    if (horusp_pack(&w, value) == 0)
        bytes = PyBytes_FromStringAndSize((const char *)w.start, w.at - w.start);
    horusp_pack_end(&w);
    return bytes;
}

/* From memory of exactly that size: a checker sees what is read behind its end. */
static PyObject *horusp_codec_unpack(PyObject *module, PyObject *bytes)
{
    PyObject *value;
    uint8_t *copy;
    size_t n;
    (void)module;
    if (!PyBytes_Check(bytes))
        return PyErr_Format(HORUSP_TYPE_ERROR, "expected bytes, not %.100s",
                            Py_TYPE(bytes)->tp_name);
    n = (size_t)PyBytes_GET_SIZE(bytes);
    if (!(copy = PyMem_RawMalloc(n)))
        return PyErr_NoMemory();
    memcpy(copy, PyBytes_AS_STRING(bytes), n);
    value = horusp_unpack(copy, n);
    PyMem_RawFree(copy);
    return value;
}

/* ------------------------------------------------------------------------------------ >>messages
 *
 * The message classes, made at import from the table in horus.h, and horus.message(), which makes a
 * user's own with the layout and the type tag that HORUS_MESSAGE gives in C.
 *
 * An object is one allocation: the fixed part as it travels, and for each variable field where its
 * elements are (a block of bytes that may serve several fields, as a received message does). So
 * attributes are reads and writes at an offset, a message without variable fields is sent in place,
 * and a received one is one copy. A nested message is a view into that fixed part which keeps it
 * alive: `waypoint.pose.x = 3` writes through, assigning a nested message copies. Elements of a
 * variable field of messages are views likewise, into their block; a block that somebody views is
 * never moved: growing or replacing the field then makes another. Arrays read as fresh lists (bytes
 * for variable uint8): change them by assigning. Objects hold nothing that could form a cycle.
 *
 * Nothing received is believed: sizes, places of arrays, booleans and the ends of texts are checked
 * on the private copy, before anything can read it. Texts that are not UTF-8 are kept as they are
 * and read with replacement characters. Values that do not fit are errors, never cut.
 *
 * == compares all fields of two messages of one class but timestamp_ns, as numbers (NaN differs
 * from itself). The small computing methods are Python: horusp_methods, attached at import.
 * Data that a view or an in-place message points to changes only under the GIL. */

typedef struct horusp_class horusp_class;

typedef enum horusp_form {
    HORUSP_ONE,  /* a scalar, a text or a nested message */
    HORUSP_LIST, /* arrays, by how they read */
    HORUSP_TUPLE,
    HORUSP_RAW,  /* bytes */
    HORUSP_NAMES /* texts, each ended by a NUL */
} horusp_form;

/* Where a value lies and how it reads. */
typedef struct horusp_where {
    const char *name;
    const horusp_class *of; /* whose field it is: for messages */
    horusp_class *nested;
    uint32_t offset, count; /* count 0: variable */
    uint32_t scalar;        /* horus_scalar */
    horusp_form shape;
    uint32_t index; /* of the variable fields */
} horusp_where;

/* A constructor's parameter: sets one place or two, or (alone) an attribute. */
typedef struct horusp_param {
    PyObject *name;
    horusp_where target[2];
    uint32_t targets;
    PyObject *attribute;
    const char *shown; /* its default in the signature */
} horusp_param;

/* What a received fixed part must fulfil: a boolean or text at an offset. */
typedef struct horusp_check {
    uint32_t offset, count, scalar;
} horusp_check;

enum { HORUSP_FILL_NOTHING, HORUSP_FILL_JOINTS, HORUSP_FILL_GRID, HORUSP_FILL_TAXELS };

struct horusp_class {
    horusp_class *next;
    PyTypeObject *type;
    const horus_type *horus;
    uint32_t tag, size, fields, variables, checks, params, positional, depth;
    int fill;   /* what a constructor fills in by itself */
    bool stamp; /* a timestamp_ns of 0 becomes the time of construction */
    bool own;   /* of the table in horus.h */
    bool added; /* its timestamp_ns was not asked for */
    bool bare;  /* it was asked to have none */
    horusp_where *field;
    horusp_where **variable;
    horusp_check *check;
    horusp_param *param;
    uint8_t *fresh; /* the fixed part of a new message */
};

/* Elements of variable fields. */
typedef struct horusp_block {
    PyObject ob_base;
    size_t bytes, room;
    uint8_t *data;
} horusp_block;

typedef struct horusp_variable {
    horusp_block *block; /* NULL: no elements */
    uint32_t offset, count;
} horusp_variable;

typedef struct horusp_message {
    PyObject ob_base;
    const horusp_class *cls;
    uint8_t *data;              /* the fixed part */
    PyObject *owner;            /* a view: what `data` lies in. NULL: this object */
    horusp_variable variable[]; /* then the fixed part, where it is our own */
} horusp_message;

static const struct {
    const char *name;
    uint32_t bytes;
    char format; /* of the buffer protocol */
    int64_t least, most;
} horusp_scalars[] = {
    [HORUS_SCALAR_u8] = {"uint8", 1, 'B', 0, UINT8_MAX},
    [HORUS_SCALAR_i8] = {"int8", 1, 'b', INT8_MIN, INT8_MAX},
    [HORUS_SCALAR_u16] = {"uint16", 2, 'H', 0, UINT16_MAX},
    [HORUS_SCALAR_i16] = {"int16", 2, 'h', INT16_MIN, INT16_MAX},
    [HORUS_SCALAR_u32] = {"uint32", 4, 'I', 0, UINT32_MAX},
    [HORUS_SCALAR_i32] = {"int32", 4, 'i', INT32_MIN, INT32_MAX},
    [HORUS_SCALAR_u64] = {"uint64", 8, 'Q', 0, INT64_MAX},
    [HORUS_SCALAR_i64] = {"int64", 8, 'q', INT64_MIN, INT64_MAX},
    [HORUS_SCALAR_f32] = {"float32", 4, 'f', 0, 0},
    [HORUS_SCALAR_f64] = {"float64", 8, 'd', 0, 0},
    [HORUS_SCALAR_bool8] = {"bool", 1, '?', 0, 1},
    [HORUS_SCALAR_text] = {"text", 1, 's', 0, 0},
    [HORUS_SCALAR_message] = {"message", 0, 0, 0, 0},
};

static horusp_class *horusp_classes;      /* all, newest first */
static horusp_class *horusp_by_tag[1024]; /* open addressing */
static struct {
    const horus_field *field;
    uint32_t fields;
} horusp_user[256]; /* types that Python programs made */
static uint32_t horusp_users;

static void horusp_message_dealloc(PyObject *self);

static bool horusp_is_message(PyObject *o)
{
    return Py_TYPE(o)->tp_dealloc == horusp_message_dealloc;
}
/* Found by the type's own list of attributes, which its class has made: there are no subclasses. */
static const horusp_class *horusp_class_of(PyObject *type)
{
    if (!PyType_Check(type) || ((PyTypeObject *)type)->tp_dealloc != horusp_message_dealloc)
        return NULL;
    return ((const horusp_where *)((PyTypeObject *)type)->tp_getset->closure)->of;
}
/* The horus_type of a message class, NULL (and no exception) for anything else. */
static const horus_type *horusp_message_type(PyObject *cls)
{
    const horusp_class *c = horusp_class_of(cls);
    return c ? c->horus : NULL;
}
/* The class of a type tag, or of a name: borrowed; NULL without an exception if there is none. */
static PyObject *horusp_message_class(uint32_t tag)
{
    for (uint32_t i = tag;; i++) {
        const horusp_class *c = horusp_by_tag[i % 1024];
        if (!c || c->tag == tag)
            return c ? (PyObject *)c->type : NULL;
    }
}
/* Short names of some classes. */
static const char *const horusp_aliases[][2] = {{"Range", "RangeSensor"},
                                                {"Wrench", "WrenchStamped"},
                                                {"Plane", "PlaneDetection"},
                                                {"Joystick", "JoystickInput"},
                                                {"Diagnostic", "DiagnosticStatus"}};
static PyObject *horusp_message_class_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof horusp_aliases / sizeof horusp_aliases[0]; i++)
        if (strcmp(horusp_aliases[i][0], name) == 0)
            name = horusp_aliases[i][1];
    for (const horusp_class *c = horusp_classes; c; c = c->next)
        if (strcmp(c->horus->name, name) == 0)
            return (PyObject *)c->type;
    return NULL;
}

static size_t horusp_elem_bytes(const horusp_where *p)
{
    return p->scalar == HORUS_SCALAR_message ? p->nested->size : horusp_scalars[p->scalar].bytes;
}

/* ---- blocks and objects */

static void horusp_block_dealloc(PyObject *self)
{
    PyMem_Free(((horusp_block *)self)->data);
    PyObject_Free(self);
}
static PyTypeObject horusp_block_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus._Elements",
    .tp_doc = "Elements of the variable fields of a message.",
    .tp_basicsize = sizeof(horusp_block),
    .tp_dealloc = horusp_block_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};
static horusp_block *horusp_block_new(size_t bytes, size_t room)
{
    horusp_block *b = PyObject_New(horusp_block, &horusp_block_type);
    if (!b)
        return NULL;
    b->bytes = bytes;
    b->room = room > bytes ? room : bytes;
    b->data = PyMem_Malloc(b->room ? b->room : 1);
    if (!b->data) {
        Py_DECREF(b);
        PyErr_NoMemory();
        return NULL;
    }
    return b;
}

static horusp_message *horusp_message_alloc(const horusp_class *c, bool view)
{
    size_t bytes = sizeof(horusp_message) + c->variables * sizeof(horusp_variable);
    horusp_message *m = PyObject_Malloc(bytes + (view ? 0 : c->size));
    if (!m)
        return (horusp_message *)PyErr_NoMemory();
    (void)PyObject_Init((PyObject *)m, c->type); /* holds the type */
    m->cls = c;
    m->owner = NULL;
    m->data = (uint8_t *)m + bytes;
    if (c->variables)
        memset(m->variable, 0, c->variables * sizeof(horusp_variable));
    return m;
}
static PyObject *horusp_view(const horusp_class *c, PyObject *owner, uint8_t *data)
{
    horusp_message *m = horusp_message_alloc(c, true);
    if (m) {
        Py_INCREF(owner);
        m->owner = owner;
        m->data = data;
    }
    return (PyObject *)m;
}
static void horusp_message_dealloc(PyObject *self)
{
    horusp_message *m = (horusp_message *)self;
    PyTypeObject *type = Py_TYPE(self);
    for (uint32_t i = 0; i < m->cls->variables; i++)
        Py_XDECREF(m->variable[i].block);
    Py_XDECREF(m->owner);
    PyObject_Free(self);
    Py_DECREF(type);
}

static uint8_t *horusp_elements(const horusp_variable *v)
{
    return v->block ? v->block->data + v->offset : NULL;
}

/* ------------------------------------------------------------------------------------ >>values
 *
 * The fields of a message: Python values to bytes and back, and whole messages as they travel. */

static int horusp_mistyped(const horusp_where *p, const char *wanted, PyObject *v)
{
    if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Format(HORUSP_TYPE_ERROR, "%s.%s wants %s, not %.100s", p->of->horus->name, p->name,
                     wanted, Py_TYPE(v)->tp_name);
    return -1;
}
static int horusp_out_of_range(const horusp_where *p)
{
    if (p->scalar == HORUS_SCALAR_f32)
        PyErr_Format(horusp.overflow_error, "%s.%s: beyond the range of float32 (3.4e38)",
                     p->of->horus->name, p->name);
    else if (p->scalar == HORUS_SCALAR_u64)
        PyErr_Format(horusp.overflow_error, "%s.%s: a uint64 is 0 to 18446744073709551615",
                     p->of->horus->name, p->name);
    else
        PyErr_Format(horusp.overflow_error, "%s.%s: a %s is %lld to %lld", p->of->horus->name,
                     p->name, horusp_scalars[p->scalar].name,
                     (long long)horusp_scalars[p->scalar].least,
                     (long long)horusp_scalars[p->scalar].most);
    return -1;
}

static int horusp_set_double(uint8_t *at, const horusp_where *p, double d)
{
    if (p->scalar == HORUS_SCALAR_f64) {
        memcpy(at, &d, 8);
        return 0;
    }
    /* from halfway between the largest float32 and the next it would become infinite */
    if ((d >= 0x1.ffffffp127 || d <= -0x1.ffffffp127) && d - d == 0)
        return horusp_out_of_range(p);
    float f = (float)d;
    memcpy(at, &f, 4);
    return 0;
}
/* An integer as 64 bits; `high`: an unsigned one beyond INT64_MAX. */
static int horusp_put_integer(uint8_t *at, const horusp_where *p, int64_t i, bool high)
{
    if (p->scalar == HORUS_SCALAR_f32 || p->scalar == HORUS_SCALAR_f64)
        return horusp_set_double(at, p, high ? (double)(uint64_t)i : (double)i);
    if (high ? p->scalar != HORUS_SCALAR_u64
             : i < horusp_scalars[p->scalar].least || i > horusp_scalars[p->scalar].most)
        return horusp_out_of_range(p);
    uint64_t bits = (uint64_t)i; /* two's complement: the low bytes are the number */
    uint8_t u8 = (uint8_t)bits;
    uint16_t u16 = (uint16_t)bits;
    uint32_t u32 = (uint32_t)bits;
    switch (horusp_scalars[p->scalar].bytes) {
    case 1:
        memcpy(at, &u8, 1);
        break;
    case 2:
        memcpy(at, &u16, 2);
        break;
    case 4:
        memcpy(at, &u32, 4);
        break;
    default:
        memcpy(at, &bits, 8);
        break;
    }
    return 0;
}

static int horusp_set_text(uint8_t *at, const horusp_where *p, PyObject *v)
{
    Py_ssize_t n;
    if (!PyUnicode_Check(v))
        return horusp_mistyped(p, "a str", v);
    const char *s = horusp_utf8(v, &n);
    if (!s)
        return -1;
    if ((size_t)n >= p->count || memchr(s, 0, (size_t)n)) {
        PyErr_Format(HORUSP_VALUE_ERROR,
                     (size_t)n >= p->count ? "%s.%s is at most %u bytes of UTF-8, not %zd"
                                           : "%s.%s cannot hold a NUL",
                     p->of->horus->name, p->name, (unsigned)(p->count - 1), n);
        return -1;
    }
    memcpy(at, s, (size_t)n);
    memset(at + n, 0, p->count - (size_t)n);
    return 0;
}

/* One element of anything but text. `v` may run code of the user: `at` must outlive that. */
static int horusp_put(uint8_t *at, const horusp_where *p, PyObject *v)
{
    if (p->scalar == HORUS_SCALAR_f32 || p->scalar == HORUS_SCALAR_f64) {
        double d = PyFloat_CheckExact(v) ? PyFloat_AS_DOUBLE(v) : PyFloat_AsDouble(v);
        if (d == -1.0 && PyErr_Occurred())
            return PyErr_ExceptionMatches(PyExc_OverflowError) ? horusp_ours()
                                                               : horusp_mistyped(p, "a number", v);
        return horusp_set_double(at, p, d);
    }
    if (p->scalar == HORUS_SCALAR_bool8) {
        int yes = v == Py_True ? 1 : v == Py_False ? 0 : -1;
        if (yes < 0 && strncmp(Py_TYPE(v)->tp_name, "numpy.bool", 10) == 0)
            yes = PyObject_IsTrue(v);
        if (yes < 0)
            return horusp_mistyped(p, "a bool", v);
        *at = (uint8_t)yes;
        return 0;
    }
    if (p->scalar == HORUS_SCALAR_message) {
        PyObject *made = NULL;
        if (PyDict_Check(v)) { /* {"x": 1} for a nested message */
            if (Py_EnterRecursiveCall(" in a message"))
                return -1;
            made = PyObject_VectorcallDict((PyObject *)p->nested->type, NULL, 0, v);
            Py_LeaveRecursiveCall();
            if (!made)
                return -1;
            v = made;
        }
        if (Py_TYPE(v) != p->nested->type)
            return horusp_mistyped(p, p->nested->horus->name, v);
        memmove(at, ((horusp_message *)v)->data, p->nested->size);
        Py_XDECREF(made);
        return 0;
    }
    if (PyFloat_Check(v))
        return horusp_mistyped(p, "an int", v);
    PyObject *i = PyNumber_Index(v);
    if (!i)
        return horusp_mistyped(p, "an int", v);
    int over;
    int64_t value = PyLong_AsLongLongAndOverflow(i, &over);
    bool high = false;
    if (over > 0 && p->scalar == HORUS_SCALAR_u64) {
        uint64_t u = PyLong_AsUnsignedLongLong(i);
        high = !(u == UINT64_MAX && PyErr_Occurred());
        if (high)
            over = 0;
        else
            PyErr_Clear();
        value = (int64_t)u;
    }
    Py_DECREF(i);
    return over ? horusp_out_of_range(p) : horusp_put_integer(at, p, value, high);
}

/* Elements of a contiguous buffer of another type of number. */
static int horusp_convert(uint8_t *to, const horusp_where *p, const uint8_t *from, size_t count,
                          char format, size_t bytes)
{
    size_t step = horusp_elem_bytes(p);
    for (size_t i = 0; i < count; i++, from += bytes, to += step) {
        union {
            float f;
            double d;
            int8_t i8;
            int16_t i16;
            int32_t i32;
            int64_t i64;
            uint8_t u8;
            uint16_t u16;
            uint32_t u32;
            uint64_t u64;
        } u;
        int r;
        memcpy(&u, from, bytes);
        if (strchr("fd", format))
            r = horusp_set_double(to, p, format == 'f' ? (double)u.f : u.d);
        else if (strchr("bhilq", format))
            r = horusp_put_integer(to, p,
                                   bytes == 1   ? u.i8
                                   : bytes == 2 ? u.i16
                                   : bytes == 4 ? u.i32
                                                : u.i64,
                                   false);
        else if (bytes == 8)
            r = horusp_put_integer(to, p, (int64_t)u.u64, u.u64 > INT64_MAX);
        else
            r = horusp_put_integer(to, p, bytes == 1 ? u.u8 : bytes == 2 ? u.u16 : u.u32, false);
        if (r < 0)
            return -1;
    }
    return 0;
}

/* Is that the size of a number of this format? An exporter that is wrong here would have us read beyond
 * its memory. */
static bool horusp_fits_format(char format, Py_ssize_t itemsize)
{
    static const char formats[] = "bB?hHiIfqQd";
    static const int8_t sizes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
    const char *at = strchr(formats, format);
    if (format == 'l' || format == 'L') /* by native or by standard size */
        return itemsize == 4 || itemsize == 8;
    return at && sizes[at - formats] == itemsize;
}

/* Gets the elements of an array from a value, into memory that *bytes of PyMem_Malloc hold.
 *   count  how many there must be, 0: any number; out: how many there are
 *   NULL on failure, with an exception */
static uint8_t *horusp_array_from(const horusp_where *p, PyObject *v, size_t *count)
{
    size_t elem = horusp_elem_bytes(p), n = 0, wanted = *count;
    uint8_t *out = NULL;
    PyObject *items = NULL;
    Py_buffer view;

    if (PyUnicode_Check(v) || PyDict_Check(v)) {
        (void)horusp_mistyped(p, "a sequence", v);
        return NULL;
    }
    if (p->scalar != HORUS_SCALAR_message && PyObject_CheckBuffer(v)) {
        if (PyObject_GetBuffer(v, &view, PyBUF_FULL_RO) < 0)
            return NULL;
        const char *f = view.format ? view.format : "B";
        if (*f == '@' || *f == '=' || *f == (PY_LITTLE_ENDIAN ? '<' : '>'))
            f++;
        bool text = (PyBytes_Check(v) || PyByteArray_Check(v)) && elem != 1;
        bool floats = *f == 'f' || *f == 'd';
        bool number = *f && !f[1] && horusp_fits_format(*f, view.itemsize);
        bool boolean = *f == '?';
        bool ours = p->scalar == HORUS_SCALAR_f32 || p->scalar == HORUS_SCALAR_f64;
        if (!number || text || (floats && !ours) || boolean != (p->scalar == HORUS_SCALAR_bool8)) {
            if (number || text || *f == 'Z') { /* complex numbers: NumPy would only warn */
                PyErr_Format(HORUSP_TYPE_ERROR, "%s.%s wants elements of %s, not a buffer of '%s'",
                             p->of->horus->name, p->name, horusp_scalars[p->scalar].name, f);
                PyBuffer_Release(&view);
                return NULL;
            }
            PyBuffer_Release(&view); /* byte-swapped and other rarities: one by one */
        } else {
            n = (size_t)view.len / (size_t)view.itemsize;
            bool same =
                boolean || (floats && *f == horusp_scalars[p->scalar].format) ||
                (!floats && !ours && (size_t)view.itemsize == elem &&
                 !strchr("bhilq", *f) == !strchr("bhilq", horusp_scalars[p->scalar].format));
            uint8_t *flat = view.buf;
            if (wanted && n != wanted)
                goto done;
            if (!PyBuffer_IsContiguous(&view, 'C') || view.suboffsets) {
                flat = PyMem_Malloc((size_t)view.len + 1);
                if (!flat || PyBuffer_ToContiguous(flat, &view, view.len, 'C') < 0) {
                    if (!flat)
                        PyErr_NoMemory();
                    PyMem_Free(flat);
                    PyBuffer_Release(&view);
                    return NULL;
                }
            }
            out = n < UINT32_MAX && n < SIZE_MAX / 16 ? PyMem_Malloc(n * elem + 1) : NULL;
            if (!out)
                PyErr_NoMemory();
            else if (boolean)
                for (size_t i = 0; i < n; i++)
                    out[i] = flat[i] != 0;
            else if (same)
                memcpy(out, flat, n * elem);
            else if (horusp_convert(out, p, flat, n, *f, (size_t)view.itemsize) < 0) {
                PyMem_Free(out);
                out = NULL;
            }
            if (flat != view.buf)
                PyMem_Free(flat);
        done:
            PyBuffer_Release(&view);
            if (!out && PyErr_Occurred())
                return NULL;
            goto counted;
        }
    }
    items = PySequence_Fast(v, "");
    if (!items) {
        (void)horusp_mistyped(p, "a sequence", v);
        return NULL;
    }
    n = (size_t)PySequence_Fast_GET_SIZE(items);
    if (!wanted || n == wanted) {
        out = n < UINT32_MAX && n < SIZE_MAX / 2 / (elem ? elem : 1) ? PyMem_Malloc(n * elem + 1)
                                                                     : NULL;
        if (!out)
            PyErr_NoMemory();
        for (size_t i = 0; out && i < n; i++) {
            /* a list may change under us, by the code of its elements */
            PyObject *x = i < (size_t)PySequence_Fast_GET_SIZE(items)
                              ? PySequence_Fast_GET_ITEM(items, (Py_ssize_t)i)
                              : NULL;
            Py_XINCREF(x);
            if (!x)
                PyErr_Format(horusp.by_code[-HORUS_E_BUSY],
                             "%s.%s: the list shrank while it was read", p->of->horus->name,
                             p->name);
            if (!x || horusp_put(out + i * elem, p, x) < 0) {
                PyMem_Free(out);
                out = NULL;
            }
            Py_XDECREF(x);
        }
    }
    Py_DECREF(items);
    if (!out && PyErr_Occurred())
        return NULL;
counted:
    if (wanted && n != wanted) {
        PyErr_Format(HORUSP_VALUE_ERROR, "%s.%s wants %zu values, not %zu", p->of->horus->name,
                     p->name, wanted, n);
        return NULL;
    }
    *count = n;
    return out;
}
/* The same for texts that lie one behind the other. */
static uint8_t *horusp_names_from(const horusp_where *p, PyObject *v, size_t *count)
{
    size_t bytes = 0;
    uint8_t *out = NULL;
    if (PyUnicode_Check(v)) {
        (void)horusp_mistyped(p, "a sequence of str", v);
        return NULL;
    }
    PyObject *items = PySequence_Tuple(v); /* of its own: nobody changes it between the passes */
    if (!items) {
        (void)horusp_mistyped(p, "a sequence of str", v);
        return NULL;
    }
    for (int pass = 0; pass < 2; pass++) {
        if (pass && !(out = PyMem_Malloc(bytes + 1))) {
            PyErr_NoMemory();
            break;
        }
        bytes = 0;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items); i++) {
            PyObject *x = PyTuple_GET_ITEM(items, i);
            Py_ssize_t n = 0;
            const char *s = PyUnicode_Check(x) ? horusp_utf8(x, &n) : NULL;
            if (!s || memchr(s, 0, (size_t)n) || bytes + (size_t)n >= UINT32_MAX) {
                if (!PyUnicode_Check(x))
                    (void)horusp_mistyped(p, "a sequence of str", x);
                else if (s)
                    PyErr_Format(HORUSP_VALUE_ERROR, "%s.%s: a NUL in a name, or too many names",
                                 p->of->horus->name, p->name);
                goto failed;
            }
            if (out)
                memcpy(out + bytes, s, (size_t)n + 1);
            bytes += (size_t)n + 1;
        }
    }
    *count = bytes;
    Py_DECREF(items);
    return out;
failed:
    PyMem_Free(out);
    Py_DECREF(items);
    return NULL;
}

/* Makes `data` (of PyMem_Malloc, or NULL) the elements of a variable field. */
static int horusp_replace(horusp_message *m, const horusp_where *p, uint8_t *data, size_t count)
{
    horusp_variable *var = &m->variable[p->index];
    horusp_block *old = var->block, *b = NULL;
    if (count > UINT32_MAX || count * (uint64_t)horusp_elem_bytes(p) > UINT32_MAX) {
        PyMem_Free(data);
        PyErr_Format(horusp.overflow_error, "%s.%s: more than 4 GiB", p->of->horus->name, p->name);
        return -1;
    }
    if (count) {
        b = PyObject_New(horusp_block, &horusp_block_type);
        if (!b) {
            PyMem_Free(data);
            return -1;
        }
        b->data = data;
        b->bytes = b->room = count * horusp_elem_bytes(p);
    } else {
        PyMem_Free(data);
    }
    *var = (horusp_variable){b, 0, (uint32_t)count};
    Py_XDECREF(old);
    return 0;
}

/* Sets a field. Nothing has changed where it fails. */
static int horusp_store(horusp_message *m, const horusp_where *p, PyObject *v)
{
    uint8_t *at = m->data + p->offset;
    if (!v) {
        PyErr_Format(PyExc_AttributeError, "%s.%s cannot be deleted", p->of->horus->name, p->name);
        return -1;
    }
    if (p->shape == HORUSP_ONE) {
        uint8_t value[8];
        if (PyFloat_CheckExact(v) &&
            (p->scalar == HORUS_SCALAR_f64 || p->scalar == HORUS_SCALAR_f32))
            return horusp_set_double(at, p, PyFloat_AS_DOUBLE(v)); /* runs nobody's code */
        if (p->scalar == HORUS_SCALAR_text || p->scalar == HORUS_SCALAR_message)
            return p->scalar == HORUS_SCALAR_text ? horusp_set_text(at, p, v)
                                                  : horusp_put(at, p, v);
        if (horusp_put(value, p, v) < 0)
            return -1;
        memcpy(at, value, horusp_scalars[p->scalar].bytes);
        return 0;
    }
    size_t count = p->count;
    uint8_t *data = p->shape == HORUSP_NAMES ? horusp_names_from(p, v, &count)
                                             : horusp_array_from(p, v, &count);
    if (!data)
        return -1;
    if (p->count == 0)
        return horusp_replace(m, p, data, count);
    memcpy(at, data, count * horusp_elem_bytes(p));
    PyMem_Free(data);
    return 0;
}
static int horusp_set(PyObject *self, PyObject *v, void *place)
{
    return horusp_store((horusp_message *)self, place, v);
}

/* ---- from bytes to values */

static PyObject *horusp_word(const uint8_t *at, uint32_t scalar)
{
    union {
        float f;
        double d;
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
    } u;
    memcpy(&u, at, horusp_scalars[scalar].bytes);
    switch ((horus_scalar)scalar) {
    case HORUS_SCALAR_u8:
        return PyLong_FromLong(*at);
    case HORUS_SCALAR_i8:
        return PyLong_FromLong(u.i8);
    case HORUS_SCALAR_u16:
        return PyLong_FromLong(u.u16);
    case HORUS_SCALAR_i16:
        return PyLong_FromLong(u.i16);
    case HORUS_SCALAR_u32:
        return PyLong_FromUnsignedLong(u.u32);
    case HORUS_SCALAR_i32:
        return PyLong_FromLong(u.i32);
    case HORUS_SCALAR_u64:
        return PyLong_FromUnsignedLongLong(u.u64);
    case HORUS_SCALAR_i64:
        return PyLong_FromLongLong(u.i64);
    case HORUS_SCALAR_f32:
        return PyFloat_FromDouble((double)u.f);
    case HORUS_SCALAR_f64:
        return PyFloat_FromDouble(u.d);
    case HORUS_SCALAR_bool8:
        return PyBool_FromLong(*at != 0);
    case HORUS_SCALAR_text:
    case HORUS_SCALAR_message:
        break;
    }
    return PyErr_Format(PyExc_SystemError, "no scalar"); /* texts and messages are read elsewhere */
}
static PyObject *horusp_text(const uint8_t *at, size_t room)
{
    const uint8_t *end = memchr(at, 0, room);
    return PyUnicode_DecodeUTF8((const char *)at, end ? end - at : (Py_ssize_t)room, "replace");
}

/* The first `limit` elements as a list. */
static PyObject *horusp_list(horusp_message *m, const horusp_where *p, size_t limit)
{
    const horusp_variable *var = p->count ? NULL : &m->variable[p->index];
    size_t n = var ? var->count : p->count, elem = horusp_elem_bytes(p);
    uint8_t *at = var ? horusp_elements(var) : m->data + p->offset;
    PyObject *owner = var ? (PyObject *)var->block : NULL;
    n = n < limit ? n : limit;
    Py_XINCREF(owner); /* making the list may set off a collection, whose code may set the field */
    PyObject *list =
        p->shape == HORUSP_TUPLE ? PyTuple_New((Py_ssize_t)n) : PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++, at += elem) {
        float f;
        PyObject *x;
        if (p->scalar == HORUS_SCALAR_f32) { /* the long ones, mostly */
            memcpy(&f, at, 4);
            x = PyFloat_FromDouble((double)f);
        } else {
            x = p->scalar == HORUS_SCALAR_message ? horusp_view(p->nested, owner, at)
                                                  : horusp_word(at, p->scalar);
        }
        if (!x)
            Py_CLEAR(list);
        else if (p->shape == HORUSP_TUPLE)
            PyTuple_SET_ITEM(list, (Py_ssize_t)i, x);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, x);
    }
    Py_XDECREF(owner);
    return list;
}
static PyObject *horusp_names(const horusp_variable *var)
{
    PyObject *list = PyList_New(0);
    const uint8_t *at = horusp_elements(var);
    horusp_block *block = var->block;
    Py_XINCREF(block);
    for (size_t left = var->count; list && left > 0;) {
        const uint8_t *end = memchr(at, 0, left);
        size_t n = end ? (size_t)(end - at) : left;
        PyObject *x = horusp_text(at, n);
        if (!x || PyList_Append(list, x) < 0)
            Py_CLEAR(list);
        Py_XDECREF(x);
        at += n + (end != NULL);
        left -= n + (end != NULL);
    }
    Py_XDECREF(block);
    return list;
}
static PyObject *horusp_load(horusp_message *m, const horusp_where *p)
{
    switch (p->shape) {
    case HORUSP_ONE:
        if (p->scalar == HORUS_SCALAR_text)
            return horusp_text(m->data + p->offset, p->count);
        if (p->scalar == HORUS_SCALAR_message)
            return horusp_view(p->nested, m->owner ? m->owner : (PyObject *)m, m->data + p->offset);
        return horusp_word(m->data + p->offset, p->scalar);
    case HORUSP_RAW:
        return PyBytes_FromStringAndSize((const char *)horusp_elements(&m->variable[p->index]),
                                         m->variable[p->index].count);
    case HORUSP_NAMES:
        return horusp_names(&m->variable[p->index]);
    case HORUSP_LIST:
    case HORUSP_TUPLE:
        break;
    }
    return horusp_list(m, p, SIZE_MAX);
}
static PyObject *horusp_get(PyObject *self, void *place)
{
    return horusp_load((horusp_message *)self, place);
}
/* the two that hot loops read */
static PyObject *horusp_get_f64(PyObject *self, void *place)
{
    double d;
    memcpy(&d, ((horusp_message *)self)->data + ((const horusp_where *)place)->offset, 8);
    return PyFloat_FromDouble(d);
}
static PyObject *horusp_get_f32(PyObject *self, void *place)
{
    float f;
    memcpy(&f, ((horusp_message *)self)->data + ((const horusp_where *)place)->offset, 4);
    return PyFloat_FromDouble((double)f);
}

/* ---- as they travel */

/* A message as it travels. `data` is the object's own memory (owner) or a copy (heap). */
typedef struct horusp_bytes {
    const void *data;
    size_t bytes;
    PyObject *owner;
    void *heap;
} horusp_bytes;

/* Bytes that a message takes; 0 with an exception if they are too many. */
static size_t horusp_message_size(const horusp_message *m)
{
    uint64_t n = m->cls->size;
    for (uint32_t i = 0; i < m->cls->variables; i++)
        if (m->variable[i].count)
            n = ((n + 7) & ~(uint64_t)7) +
                m->variable[i].count * (uint64_t)horusp_elem_bytes(m->cls->variable[i]);
    if (n > UINT32_MAX) {
        PyErr_Format(horusp.overflow_error, "this %s is larger than 4 GiB", m->cls->horus->name);
        return 0;
    }
    return (size_t)n;
}
/* Writes it: `bytes` as horusp_message_size says. */
static void horusp_message_write(const horusp_message *m, uint8_t *out, size_t bytes)
{
    size_t at = m->cls->size;
    memcpy(out, m->data, at);
    for (uint32_t i = 0; i < m->cls->variables; i++) {
        const horusp_variable *var = &m->variable[i];
        horus_array array = {0, 0};
        if (var->count)
            (void)horus_message_append(out, bytes, &at, &array, horusp_elements(var), var->count,
                                       horusp_elem_bytes(m->cls->variable[i]));
        memcpy(out + m->cls->variable[i]->offset, &array, sizeof array);
    }
}
/* Gives the bytes of a message: 0, or -1 with an exception. Ended by horusp_bytes_end. */
static int horusp_message_bytes(PyObject *o, horusp_bytes *out)
{
    horusp_message *m = (horusp_message *)o;
    *out = (horusp_bytes){.data = m->data, .bytes = m->cls->size};
    bool any = false;
    for (uint32_t i = 0; i < m->cls->variables; i++)
        any |= m->variable[i].count != 0;
    if (any) {
        out->bytes = horusp_message_size(m);
        out->data = out->heap = out->bytes ? PyMem_Malloc(out->bytes) : NULL;
        if (!out->heap) {
            if (out->bytes)
                PyErr_NoMemory();
            *out = (horusp_bytes){0};
            return -1;
        }
        horusp_message_write(m, out->heap, out->bytes);
    } else {
        Py_INCREF(o);
        out->owner = o;
    }
    return 0;
}
static void horusp_bytes_end(horusp_bytes *b)
{
    PyMem_Free(b->heap);
    Py_XDECREF(b->owner);
    *b = (horusp_bytes){0};
}

static const char *horusp_unfit(const horusp_class *c, const uint8_t *data)
{
    for (uint32_t i = 0; i < c->checks; i++) {
        const uint8_t *at = data + c->check[i].offset;
        if (c->check[i].scalar == HORUS_SCALAR_text && !memchr(at, 0, c->check[i].count))
            return "a text without its NUL";
        for (uint32_t k = 0; c->check[i].scalar == HORUS_SCALAR_bool8 && k < c->check[i].count; k++)
            if (at[k] > 1)
                return "a bool that is neither 0 nor 1";
    }
    return NULL;
}
/* A message from bytes that somebody else wrote: checked, on a private copy. NULL with a ValueError
 * if they are no message of this class. */
static PyObject *horusp_message_new(PyObject *cls, const void *data, size_t bytes)
{
    const horusp_class *c = horusp_class_of(cls);
    horusp_message *m = NULL;
    horusp_block *block = NULL;
    const char *unfit = NULL;
    if (!c)
        return horusp_refuse(HORUSP_TYPE_ERROR, "not a message class: %R", cls);
    if (bytes < c->size || bytes > UINT32_MAX || (bytes > c->size && c->variables == 0))
        return PyErr_Format(HORUSP_VALUE_ERROR, "%s is %s%u bytes, not %zu", c->horus->name,
                            c->variables ? "at least " : "", (unsigned)c->size, bytes);
    m = horusp_message_alloc(c, false);
    if (!m)
        return NULL;
    memcpy(m->data, data, c->size);
    unfit = horusp_unfit(c, m->data);
    if (bytes > c->size && !unfit) {
        block = horusp_block_new(bytes, 0);
        if (!block)
            goto failed;
        horusp_copy_bytes(block->data, data, bytes); /* nobody else knows the block */
    }
    for (uint32_t i = 0; i < c->variables && !unfit; i++) {
        const horusp_where *p = c->variable[i];
        horus_array array;
        const void *found;
        size_t count, elem = horusp_elem_bytes(p);
        memcpy(&array, m->data + p->offset, sizeof array);
        memset(m->data + p->offset, 0, sizeof array);
        if (array.count == 0)
            continue;
        if (!block || horus_message_array(block->data, bytes, &array, elem, &found, &count) < 0) {
            unfit = "an array that lies outside";
            break;
        }
        Py_INCREF(block);
        m->variable[i] = (horusp_variable){block, array.offset, array.count};
        if (p->shape == HORUSP_NAMES && block->data[array.offset + array.count - 1] != 0)
            unfit = "a name without its NUL";
        if (p->scalar == HORUS_SCALAR_bool8)
            for (uint32_t k = 0; k < array.count; k++)
                if (block->data[array.offset + k] > 1)
                    unfit = "a bool that is neither 0 nor 1";
        if (p->scalar == HORUS_SCALAR_message && p->nested->checks)
            for (size_t k = 0; k < array.count && !unfit; k++)
                unfit = horusp_unfit(p->nested, block->data + array.offset + k * elem);
    }
    if (!unfit) {
        Py_XDECREF(block);
        return (PyObject *)m;
    }
    PyErr_Format(HORUSP_VALUE_ERROR, "these bytes are no %s: %s", c->horus->name, unfit);
failed:
    Py_XDECREF(block);
    Py_DECREF(m);
    return NULL;
}

/* ------------------------------------------------------------------------------------ >>methods
 *
 * What every message can do: it is made and filled, copied, pickled, compared and shown; its variable
 * fields are read and changed. */

static uint64_t horusp_wall_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static horusp_where *horusp_find(const horusp_class *c, const char *name, size_t n)
{
    for (uint32_t i = 0; i < c->fields; i++)
        if (strlen(c->field[i].name) == n && memcmp(c->field[i].name, name, n) == 0)
            return &c->field[i];
    return NULL;
}
static int horusp_fill_zeros(horusp_message *m, const char *field, uint64_t count, int byte)
{
    const horusp_where *p = horusp_find(m->cls, field, strlen(field));
    if (m->variable[p->index].count || count == 0)
        return 0;
    uint64_t bytes = count > UINT32_MAX ? count : count * horusp_elem_bytes(p);
    uint8_t *data = bytes <= UINT32_MAX ? PyMem_Malloc((size_t)bytes) : NULL;
    if (!data && bytes <= UINT32_MAX) {
        PyErr_NoMemory();
        return -1;
    }
    if (data)
        memset(data, byte, (size_t)bytes);
    return horusp_replace(m, p, data, bytes > UINT32_MAX ? SIZE_MAX : (size_t)count);
}
/* What a new message of some classes holds besides its arguments. given: bit i for parameter i. */
static int horusp_fill(horusp_message *m, uint64_t given)
{
    uint32_t a, b;
    if (m->cls->fill == HORUSP_FILL_JOINTS) { /* values not given are 0; [] says: not measured */
        const horusp_variable *names = &m->variable[0];
        uint64_t n = 0;
        for (uint32_t i = 0; i < names->count; i++)
            n += horusp_elements(names)[i] == 0;
        for (uint32_t i = 1; i < m->cls->variables; i++)
            if (!(given >> i & 1) && horusp_fill_zeros(m, m->cls->variable[i]->name, n, 0) < 0)
                return -1;
        return 0;
    }
    memcpy(&a, m->data + m->cls->field[1].offset, 4); /* width, height or rows, cols */
    memcpy(&b, m->data + m->cls->field[2].offset, 4);
    if (m->cls->fill == HORUSP_FILL_GRID)
        return horusp_fill_zeros(m, "data", (uint64_t)a * b, 0xff);
    return horusp_fill_zeros(m, "forces", (uint64_t)a * b, 0);
}

enum { HORUSP_PARAMS = 200 }; /* of one class, at most */

static PyObject *horusp_message_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf,
                                           PyObject *kwnames)
{
    const horusp_class *c = horusp_class_of(type);
    PyObject *value[HORUSP_PARAMS];
    size_t nargs = (size_t)PyVectorcall_NARGS(nargsf);
    const char *name = c->horus->name;
    if (nargs > c->positional)
        return PyErr_Format(PyExc_TypeError,
                            "%s() takes at most %u positional arguments (%zu given)", name,
                            (unsigned)c->positional, nargs);
    for (uint32_t i = 0; i < c->params; i++)
        value[i] = i < nargs ? args[i] : NULL;
    Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t k = 0; k < keywords; k++) {
        PyObject *key = PyTuple_GET_ITEM(kwnames, k);
        if (!PyUnicode_Check(key))
            return PyErr_Format(PyExc_TypeError, "%s(): keywords must be strings", name);
        uint32_t i = 0;
        while (i < c->params && c->param[i].name != key)
            i++;
        if (i == c->params)
            for (i = 0; i < c->params && PyUnicode_Compare(c->param[i].name, key) != 0;)
                i++;
        if (i == c->params)
            return PyErr_Format(PyExc_TypeError, "%s() has no argument '%U'; see help(horus.%s)",
                                name, key, name);
        if (value[i])
            return PyErr_Format(PyExc_TypeError, "%s() got two values for '%U'", name, key);
        value[i] = args[nargs + (size_t)k];
    }
    horusp_message *m = horusp_message_alloc(c, false);
    if (!m)
        return NULL;
    memcpy(m->data, c->fresh, c->size);
    uint64_t given = 0;
    for (uint32_t i = 0; i < c->params; i++) {
        const horusp_param *p = &c->param[i];
        if (!value[i] ||
            (value[i] == Py_None &&
             (p->attribute || p->target[0].shape != HORUSP_ONE || p->target[0].nested)))
            continue;
        given |= i < 64 ? (uint64_t)1 << i : 0;
        if (p->attribute) {
            if (PyObject_SetAttr((PyObject *)m, p->attribute, value[i]) < 0)
                goto failed;
        }
        for (uint32_t t = 0; t < p->targets; t++)
            if (horusp_store(m, &p->target[t], value[i]) < 0)
                goto failed;
    }
    if (c->fill && horusp_fill(m, given) < 0)
        goto failed;
    if (c->stamp) {
        uint64_t t;
        memcpy(&t, m->data, 8); /* timestamp_ns is the first field of all that are stamped */
        if (t == 0) {
            t = horusp_wall_ns();
            memcpy(m->data, &t, 8);
        }
    }
    return (PyObject *)m;
failed:
    Py_DECREF(m);
    return NULL;
}
static PyObject *horusp_message_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *items[HORUSP_PARAMS];
    Py_ssize_t n = PyTuple_GET_SIZE(args);
    for (Py_ssize_t i = 0; i < n && i < HORUSP_PARAMS; i++)
        items[i] = PyTuple_GET_ITEM(args, i);
    if (n >= HORUSP_PARAMS)
        return PyErr_Format(PyExc_TypeError, "%s: too many arguments", type->tp_name);
    return PyObject_VectorcallDict((PyObject *)type, items, (size_t)n, kwargs);
}

/* ---- methods of every message */

static PyObject *horusp_message_copy(PyObject *self, PyObject *unused)
{
    horusp_message *m = (horusp_message *)self, *n = horusp_message_alloc(m->cls, false);
    (void)unused;
    if (!n)
        return NULL;
    memcpy(n->data, m->data, m->cls->size);
    for (uint32_t i = 0; i < m->cls->variables; i++) {
        const horusp_variable *var = &m->variable[i];
        if (var->count) {
            size_t bytes = var->count * horusp_elem_bytes(m->cls->variable[i]);
            horusp_block *b = horusp_block_new(bytes, 0);
            if (!b) {
                Py_DECREF(n);
                return NULL;
            }
            memcpy(b->data, horusp_elements(var), bytes);
            n->variable[i] = (horusp_variable){b, 0, var->count};
        }
    }
    return (PyObject *)n;
}
static PyObject *horusp_message_to_bytes(PyObject *self, PyObject *unused)
{
    horusp_message *m = (horusp_message *)self;
    size_t bytes = horusp_message_size(m);
    PyObject *o = bytes ? PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes) : NULL;
    (void)unused;
    if (o)
        horusp_message_write(m, (uint8_t *)PyBytes_AS_STRING(o), bytes);
    return o;
}
static PyObject *horusp_message_from_bytes(PyObject *cls, PyObject *data)
{
    Py_buffer view;
    if (!horusp_buffer(data, PyBUF_SIMPLE, &view))
        return NULL;
    PyObject *o = horusp_message_new(cls, view.buf, (size_t)view.len);
    size_t end = o ? ((horusp_message *)o)->cls->size : 0; /* nothing may follow the last array */
    for (uint32_t i = 0; o && i < ((horusp_message *)o)->cls->variables; i++) {
        const horusp_message *m = (horusp_message *)o;
        size_t last =
            m->variable[i].offset + m->variable[i].count * horusp_elem_bytes(m->cls->variable[i]);
        end = m->variable[i].count && last > end ? last : end;
    }
    if (o && end < (size_t)view.len) {
        PyErr_Format(HORUSP_VALUE_ERROR, "these bytes are no %s: it ends %zu bytes before them",
                     ((horusp_message *)o)->cls->horus->name, (size_t)view.len - end);
        Py_CLEAR(o);
    }
    PyBuffer_Release(&view);
    return o;
}
static PyObject *horusp_message_unpickle(PyObject *cls, PyObject *args)
{
    const horusp_class *c = horusp_class_of(cls);
    PyObject *data;
    unsigned long long tag;
    if (!PyArg_ParseTuple(args, "KO", &tag, &data))
        return NULL;
    if (c && c->tag != tag)
        return PyErr_Format(HORUSP_VALUE_ERROR, "this %s was pickled with other fields",
                            c->horus->name);
    return horusp_message_from_bytes(cls, data);
}
/* What horus.message() was told to make a class: (name, ((field, type, is a list), ...)), where a type
 * is text, "=Name" for one of the module's own or such a pair for another of a user's. */
static PyObject *horusp_definition(const horusp_class *c)
{
    PyObject *fields = PyTuple_New((Py_ssize_t)(c->fields - c->added + c->bare)), *type;
    if (!fields)
        return NULL;
    Py_ssize_t at = 0;
    if (c->bare) {
        type = Py_BuildValue("(sOO)", "timestamp_ns", Py_None, Py_False);
        if (!type)
            goto failed;
        PyTuple_SET_ITEM(fields, at++, type);
    }
    for (uint32_t i = c->added; i < c->fields; i++) {
        const horusp_where *p = &c->field[i];
        const char *name = horusp_scalars[p->scalar].name;
        type = p->nested ? p->nested->own ? PyUnicode_FromFormat("=%s", p->nested->horus->name)
                                          : horusp_definition(p->nested)
               : p->count == 0 ? PyUnicode_FromFormat("%s[]", name)
               : p->count == 1 && p->scalar != HORUS_SCALAR_text
                   ? PyUnicode_FromString(name)
                   : PyUnicode_FromFormat("%s[%u]", name, (unsigned)p->count);
        type = type ? Py_BuildValue("(sNO)", p->name, type,
                                    p->nested && p->count == 0 ? Py_True : Py_False)
                    : NULL;
        if (!type)
            goto failed;
        PyTuple_SET_ITEM(fields, at++, type);
    }
    return Py_BuildValue("(sN)", c->horus->name, fields);
failed:
    Py_DECREF(fields);
    return NULL;
}
/* Does `import` find this class under its name? */
static bool horusp_is_importable(PyTypeObject *type)
{
    PyObject *module = PyObject_GetAttrString((PyObject *)type, "__module__");
    bool main = module && PyUnicode_Check(module) &&
                PyUnicode_CompareWithASCIIString(module, "__main__") == 0;
    PyObject *loaded = module ? PyDict_GetItemWithError(PyImport_GetModuleDict(), module) : NULL;
    PyObject *name = loaded ? PyObject_GetAttrString((PyObject *)type, "__name__") : NULL;
    PyObject *found = name ? PyObject_GetAttr(loaded, name) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(name);
    Py_XDECREF(found);
    PyErr_Clear();
    return !main && found == (PyObject *)type;
}
/* A class of a function or a __main__ goes with its definition: nobody could import it. */
static PyObject *horusp_message_reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    const horusp_class *c = ((horusp_message *)self)->cls;
    PyObject *data = horusp_message_to_bytes(self, NULL), *r = NULL;
    bool known = c->own || horusp_is_importable(c->type);
    PyObject *make = !data ? NULL
                           : PyObject_GetAttrString(known ? (PyObject *)c->type : horusp.module,
                                                    known ? "_unpickle" : "_remake");
    PyObject *what = !make ? NULL : known ? horusp_ref(Py_None) : horusp_definition(c);
    if (what && known)
        r = Py_BuildValue("O(kO)", make, (unsigned long)c->tag, data);
    else if (what)
        r = Py_BuildValue("O(OkO)", make, what, (unsigned long)c->tag, data);
    Py_XDECREF(what);
    Py_XDECREF(make);
    Py_XDECREF(data);
    return r;
}

static const horusp_where *horusp_variable_named(PyObject *self, PyObject *name)
{
    const horusp_class *c = ((horusp_message *)self)->cls;
    Py_ssize_t n;
    const char *s = PyUnicode_Check(name) ? horusp_utf8(name, &n) : NULL;
    const horusp_where *p = s ? horusp_find(c, s, (size_t)n) : NULL;
    if (p && p->count == 0)
        return p;
    if (!PyErr_Occurred())
        horusp_refuse(HORUSP_TYPE_ERROR, "%s has no variable field %R", c->horus->name, name);
    return NULL;
}
static PyObject *horusp_message_count(PyObject *self, PyObject *name)
{
    const horusp_where *p = horusp_variable_named(self, name);
    return p ? PyLong_FromUnsignedLong(((horusp_message *)self)->variable[p->index].count) : NULL;
}
/* Makes room for `more` bytes behind the elements of a field; NULL with an exception. */
static uint8_t *horusp_extend(horusp_message *m, const horusp_where *p, size_t more,
                              size_t elements)
{
    horusp_variable *var = &m->variable[p->index];
    size_t used = var->count * horusp_elem_bytes(p);
    horusp_block *b = var->block;
    if ((uint64_t)used + more > UINT32_MAX / 2) {
        PyErr_Format(horusp.overflow_error, "%s.%s: more than 2 GiB", p->of->horus->name, p->name);
        return NULL;
    }
    if (!b || Py_REFCNT(b) != 1 || var->offset != 0 || b->room - used < more) {
        b = horusp_block_new(0, (used + more) * 2); /* views keep the old one */
        if (!b)
            return NULL;
        if (used)
            memcpy(b->data, horusp_elements(var), used);
        Py_XDECREF(var->block);
        *var = (horusp_variable){b, 0, var->count};
    }
    b->bytes = used + more;
    var->count += (uint32_t)elements;
    return b->data + used;
}
static PyObject *horusp_message_append(PyObject *self, PyObject *args)
{
    PyObject *name, *v;
    if (!PyArg_ParseTuple(args, "OO", &name, &v))
        return NULL;
    const horusp_where *p = horusp_variable_named(self, name);
    if (!p)
        return NULL;
    size_t n = 1, elem = horusp_elem_bytes(p);
    uint8_t *data = NULL, *at;
    if (p->shape == HORUSP_NAMES) {
        PyObject *one = PyTuple_Pack(1, v);
        data = one ? horusp_names_from(p, one, &n) : NULL;
        Py_XDECREF(one);
    } else {
        data = PyMem_Malloc(elem);
        if (!data)
            PyErr_NoMemory();
        else if (horusp_put(data, p, v) < 0) {
            PyMem_Free(data);
            data = NULL;
        }
    }
    at = data ? horusp_extend((horusp_message *)self, p, n * elem, n) : NULL;
    if (at)
        memcpy(at, data, n * elem);
    PyMem_Free(data);
    if (!at)
        return NULL;
    Py_RETURN_NONE;
}
/* Element i of a variable field, from the end if negative: where it is, NULL with an IndexError. */
static uint8_t *horusp_element(PyObject *self, const horusp_where *p, Py_ssize_t i)
{
    const horusp_variable *var = &((horusp_message *)self)->variable[p->index];
    if (i < 0)
        i += var->count;
    if (i < 0 || i >= (Py_ssize_t)var->count) {
        PyErr_Format(horusp.index_error, "%s.%s has %u elements", p->of->horus->name, p->name,
                     (unsigned)var->count);
        return NULL;
    }
    return horusp_elements(var) + (size_t)i * horusp_elem_bytes(p);
}
static PyObject *horusp_message_item(PyObject *self, PyObject *args)
{
    PyObject *name;
    Py_ssize_t i;
    if (!PyArg_ParseTuple(args, "On", &name, &i))
        return NULL;
    const horusp_where *p = horusp_variable_named(self, name);
    uint8_t *at = p ? horusp_element(self, p, i) : NULL;
    if (!at)
        return NULL;
    if (p->scalar != HORUS_SCALAR_message)
        return horusp_word(at, p->scalar);
    return horusp_view(p->nested, (PyObject *)((horusp_message *)self)->variable[p->index].block,
                       at);
}
static PyObject *horusp_message_put(PyObject *self, PyObject *args)
{
    PyObject *name, *v;
    Py_ssize_t i;
    uint8_t value[8];
    if (!PyArg_ParseTuple(args, "OnO", &name, &i, &v))
        return NULL;
    const horusp_where *p = horusp_variable_named(self, name);
    if (!p)
        return NULL;
    if (p->scalar == HORUS_SCALAR_message || p->shape == HORUSP_NAMES)
        return PyErr_Format(HORUSP_TYPE_ERROR, "%s.%s: numbers only", p->of->horus->name, p->name);
    if (horusp_put(value, p, v) < 0)
        return NULL;
    uint8_t *at = horusp_element(self, p, i);
    if (!at)
        return NULL;
    memcpy(at, value, horusp_elem_bytes(p));
    Py_RETURN_NONE;
}
static bool horusp_finite(const horusp_where *p, const uint8_t *at, size_t count)
{
    for (size_t i = 0; i < count; i++, at += horusp_elem_bytes(p)) {
        double d = 0;
        float f = 0;
        if (p->scalar == HORUS_SCALAR_f64)
            memcpy(&d, at, 8);
        else if (p->scalar == HORUS_SCALAR_f32)
            memcpy(&f, at, 4);
        if (!isfinite(d) || !isfinite(f))
            return false;
        for (uint32_t k = 0; p->nested && k < p->nested->fields; k++) {
            const horusp_where *q = &p->nested->field[k];
            if (!horusp_finite(q, at + q->offset, q->count))
                return false;
        }
    }
    return true;
}
/* Whether all fixed numbers are: what a sensor did not see is infinite in arrays of any length. */
static PyObject *horusp_message_finite(PyObject *self, PyObject *unused)
{
    horusp_message *m = (horusp_message *)self;
    bool all = true;
    (void)unused;
    for (uint32_t i = 0; all && i < m->cls->fields; i++)
        all = horusp_finite(&m->cls->field[i], m->data + m->cls->field[i].offset,
                            m->cls->field[i].count);
    return PyBool_FromLong(all);
}
static PyMethodDef horusp_message_methods[] = {
    {"copy", horusp_message_copy, METH_NOARGS,
     "copy($self, /)\n--\n\nA message of its own with the same values."},
    {"__copy__", horusp_message_copy, METH_NOARGS, NULL},
    {"__deepcopy__", horusp_message_copy, METH_O, NULL},
    {"__reduce__", horusp_message_reduce, METH_NOARGS, NULL},
    {"to_bytes", horusp_message_to_bytes, METH_NOARGS,
     "to_bytes($self, /)\n--\n\nThe message as it travels, for C programs and files of this "
     "machine's "
     "byte order."},
    {"from_bytes", horusp_message_from_bytes, METH_O | METH_CLASS,
     "from_bytes($type, data, /)\n--\n\nThe message that to_bytes() or a C program wrote. "
     "ValueError if "
     "the bytes are none."},
    {"_unpickle", horusp_message_unpickle, METH_VARARGS | METH_CLASS, NULL},
    {"_count", horusp_message_count, METH_O, NULL},
    {"_append", horusp_message_append, METH_VARARGS, NULL},
    {"_item", horusp_message_item, METH_VARARGS, NULL},
    {"_put", horusp_message_put, METH_VARARGS, NULL},
    {"_finite", horusp_message_finite, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* ---- == and repr */

static bool horusp_same_values(const horusp_class *c, const uint8_t *a, const uint8_t *b);
static bool horusp_same_elements(const horusp_where *p, const uint8_t *a, const uint8_t *b,
                                 size_t n)
{
    size_t elem = horusp_elem_bytes(p);
    if (p->scalar == HORUS_SCALAR_text)
        return strncmp((const char *)a, (const char *)b, n) == 0;
    for (size_t i = 0; i < n; i++, a += elem, b += elem) {
        if (p->scalar == HORUS_SCALAR_message) {
            if (!horusp_same_values(p->nested, a, b))
                return false;
        } else if (p->scalar == HORUS_SCALAR_f64) {
            double x, y;
            memcpy(&x, a, 8);
            memcpy(&y, b, 8);
            if (!(x == y))
                return false;
        } else if (p->scalar == HORUS_SCALAR_f32) {
            float x, y;
            memcpy(&x, a, 4);
            memcpy(&y, b, 4);
            if (!(x == y))
                return false;
        } else {
            return memcmp(a, b, (n - i) * elem) == 0;
        }
    }
    return true;
}
static bool horusp_same_values(const horusp_class *c, const uint8_t *a, const uint8_t *b)
{
    for (uint32_t i = 0; i < c->fields; i++) {
        const horusp_where *p = &c->field[i];
        if (p->count && strcmp(p->name, "timestamp_ns") != 0 &&
            !horusp_same_elements(p, a + p->offset, b + p->offset, p->count))
            return false;
    }
    return true;
}
static PyObject *horusp_message_compare(PyObject *a, PyObject *b, int op)
{
    const horusp_message *x = (horusp_message *)a, *y = (horusp_message *)b;
    if (Py_TYPE(a) != Py_TYPE(b) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    bool same = horusp_same_values(x->cls, x->data, y->data);
    for (uint32_t i = 0; same && i < x->cls->variables; i++)
        same = x->variable[i].count == y->variable[i].count &&
               horusp_same_elements(x->cls->variable[i], horusp_elements(&x->variable[i]),
                                    horusp_elements(&y->variable[i]), x->variable[i].count);
    return PyBool_FromLong(same == (op == Py_EQ));
}

/* A message is true, an empty one too, though some have a length. */
static int horusp_message_true(PyObject *self)
{
    (void)self;
    return 1;
}

/* name=value, for repr; a long array shows its first elements and how many there are. */
static PyObject *horusp_shown(horusp_message *m, const horusp_where *p)
{
    enum { FEW = 12, FIRST = 3 };
    size_t n = p->count ? p->count : m->variable[p->index].count;
    bool cut = p->shape != HORUSP_ONE && p->shape != HORUSP_NAMES && n > FEW;
    PyObject *v = NULL, *s = NULL;
    if (cut && p->shape == HORUSP_RAW)
        return PyUnicode_FromFormat("%s=<%zu bytes>", p->name, n);
    v = cut ? horusp_list(m, p, FIRST) : horusp_load(m, p);
    if (v && !cut)
        s = PyUnicode_FromFormat("%s=%R", p->name, v);
    if (v && cut) {
        PyObject *r = PyObject_Repr(v);
        PyObject *open = r ? PyUnicode_Substring(r, 0, PyUnicode_GetLength(r) - 1) : NULL;
        if (open)
            s = PyUnicode_FromFormat("%s=%U, ... %zu values%s", p->name, open, n,
                                     p->shape == HORUSP_TUPLE ? ")" : "]");
        Py_XDECREF(open);
        Py_XDECREF(r);
    }
    Py_XDECREF(v);
    return s;
}
static PyObject *horusp_message_repr(PyObject *self)
{
    horusp_message *m = (horusp_message *)self;
    const horusp_class *c = m->cls;
    PyObject *parts = PyList_New(0), *comma = NULL, *all = NULL, *r = NULL;
    /* the table's messages begin with their time, which is the least interesting */
    bool turn = c->fields > 0 && strcmp(c->field[0].name, "timestamp_ns") == 0;
    for (uint32_t i = 0; parts && i < c->fields; i++) {
        PyObject *s = horusp_shown(m, &c->field[turn ? (i + 1) % c->fields : i]);
        if (!s || PyList_Append(parts, s) < 0)
            Py_CLEAR(parts);
        Py_XDECREF(s);
    }
    comma = parts ? PyUnicode_FromString(", ") : NULL;
    all = comma ? PyUnicode_Join(comma, parts) : NULL;
    r = all ? PyUnicode_FromFormat("%s(%U)", c->horus->name, all) : NULL;
    Py_XDECREF(all);
    Py_XDECREF(comma);
    Py_XDECREF(parts);
    return r;
}

/* ------------------------------------------------------------------------------------ >>table
 *
 * What the constructors of the classes take, and their small methods, which are Python. */

typedef struct horusp_spec {
    const char *name;
    const char *params; /* positional ones, in order: name>target=default; NULL: all fields */
    const char *fresh;  /* values of new messages besides: field=value; "now": stamped */
    const char *doc;
} horusp_spec;

/* What the constructors take. Positional parameters are those of the package horus-robotics, in its
 * order; every field that is not among them may be given by keyword. A word is
 * name>target>target=default: a target is a field, an element of an array, a nested field or (@) an
 * attribute; `...` is a default that no literal says; what follows a * goes by keyword only. Then
 * values of new messages besides: field=value; now: a timestamp_ns of 0 becomes the time of
 * construction; tuple:field reads as a tuple. */
static const horusp_spec horusp_specs[] = {
    /* clang-format off */
    {"Vector3", "x y z", NULL, "A free vector; units by use."},
    {"Point3", "x y z", NULL, "A position in m."},
    {"Quaternion", "x y z w=1.0", NULL, "A rotation as a unit quaternion; 0, 0, 0, 1 is none."},
    {"CmdVel", "linear angular timestamp_ns", NULL,
     "Speed wanted of a wheeled base: linear m/s, forward positive; angular rad/s, left "
     "positive."},
    {"Twist", "linear_x linear_y linear_z angular_x angular_y angular_z timestamp_ns", NULL,
     "Velocity in six degrees of freedom: linear m/s, angular rad/s."},
    {"TwistWithCovariance",
     "linear_x linear_y linear_z angular_x angular_y angular_z frame_id timestamp_ns", NULL,
     "A Twist in a named frame, with the 6x6 covariance of linear x, y, z, angular x, y, z."},
    {"Accel", "linear_x linear_y linear_z angular_x angular_y angular_z timestamp_ns", NULL,
     "Acceleration in six degrees of freedom: linear m/s^2, angular rad/s^2."},
    {"AccelStamped",
     "linear_x linear_y linear_z angular_x angular_y angular_z frame_id timestamp_ns", NULL,
     "An Accel in a named frame."},
    {"Pose2D", "x y theta timestamp_ns", NULL,
     "A pose in the plane: x, y m; theta rad, counter-clockwise."},
    {"Pose3D", "x y z qx qy qz qw=1.0 timestamp_ns", NULL,
     "A pose in space: x, y, z m and a unit quaternion."},
    {"PoseStamped", "x y z qx qy qz qw=1.0 frame_id timestamp_ns", NULL,
     "A Pose3D in a named frame."},
    {"PoseWithCovariance", "x y z qx qy qz qw=1.0 frame_id timestamp_ns", NULL,
     "A Pose3D in a named frame, with the 6x6 covariance of x, y, z, roll, pitch, yaw."},
    {"TransformStamped", "tx ty tz rx ry rz rw=1.0 timestamp_ns", NULL,
     "A rigid transform: translation tx, ty, tz m and rotation rx, ry, rz, rw, a unit "
     "quaternion."},
    {"Odometry", "x y theta linear_velocity angular_velocity timestamp_ns", NULL,
     "Planar odometry: x, y m, theta rad in frame_id; linear m/s, angular rad/s in "
     "child_frame_id."},
    {"Imu", "accel_x accel_y accel_z gyro_x gyro_y gyro_z timestamp_ns",
     "qw=1 orientation_covariance=-1",
     "Inertial sample: accel m/s^2, gyro rad/s, orientation (0, 0, 0, 1 where not measured), "
     "3x3 covariances about x, y, z; a covariance of -1 means unknown."},
    {"LaserScan", "angle_min angle_max angle_increment range_min range_max ranges timestamp_ns",
     NULL,
     "One sweep of a planar lidar: angles rad, ranges m; range i is at angle_min + i * "
     "angle_increment and is good from range_min to range_max. Any number of ranges."},
    {"RangeSensor", "range sensor_type field_of_view=0.1 min_range=0.02 max_range=4.0 timestamp_ns",
     NULL,
     "One distance: range, min_range, max_range m; field_of_view rad. sensor_type: 0 "
     "ultrasonic, 1 infrared."},
    {"BatteryState", "voltage percentage current temperature=25.0 power_supply_status timestamp_ns",
     NULL,
     "A battery: volts, percentage 0..100, amperes (negative: discharging), degrees Celsius. "
     "power_supply_status: 0 unknown, 1 charging, 2 discharging, 3 idle, 4 full."},
    {"NavSatFix", "latitude longitude altitude timestamp_ns", "status=1 hdop=99.9",
     "Satellite fix: latitude, longitude, heading degrees; altitude m; speed m/s; hdop has no "
     "unit. status: 0 no fix, from 1 a fix."},
    {"MagneticField", "x y z timestamp_ns", NULL, "Magnetometer sample in tesla."},
    {"Temperature", "temperature variance timestamp_ns", NULL,
     "Temperature in degrees Celsius; variance in its square, 0 where unknown."},
    {"FluidPressure", "pressure variance timestamp_ns", NULL,
     "Pressure in Pa; variance in Pa^2, 0 where unknown."},
    {"Illuminance", "illuminance variance timestamp_ns", NULL,
     "Light level in lux; variance in lux^2, 0 where unknown."},
    {"AudioFrame", "sample_rate=16000 channels=1 samples timestamp_ns frame_id", NULL,
     "Microphone samples, nominally -1..1, channels interleaved; sample_rate Hz per channel."},
    {"JointState", "names positions velocities efforts timestamp_ns", NULL,
     "Measured joints: rad, rad/s, N m (m, m/s, N where prismatic); an empty array means not "
     "measured. names: one text per joint, each ended by a NUL."},
    {"JointCommand", "names positions velocities efforts modes timestamp_ns", NULL,
     "Wanted joints, arrays and names as in JointState. modes, one per joint: 0 position, 1 "
     "velocity, 2 effort."},
    {"MotorCommand",
     "motor_id mode target max_velocity=inf max_acceleration=inf feed_forward enable=True "
     "timestamp_ns",
     NULL,
     "One motor: mode 0 velocity rad/s, 1 position rad, 2 torque N m, 3 voltage V (the unit of "
     "target); max_velocity rad/s, max_acceleration rad/s^2, infinity for no limit."},
    {"ServoCommand", "servo_id position speed=0.5 enable=True timestamp_ns", NULL,
     "One servo: position rad; speed 0..1 of its fastest."},
    {"DifferentialDriveCommand",
     "left_velocity right_velocity max_acceleration=inf enable=True timestamp_ns", NULL,
     "Wheel speeds rad/s; max_acceleration rad/s^2, infinity for no limit."},
    {"PidConfig",
     "kp=1.0 ki kd controller_id integral_limit=inf output_limit=inf anti_windup=True "
     "timestamp_ns",
     NULL, "Gains of one controller; limits in the units of its output, infinity for none."},
    {"TrajectoryPoint",
     "position velocity acceleration orientation angular_velocity time_from_start",
     "orientation.3=1",
     "A point of a trajectory: m, m/s, m/s^2, a quaternion, rad/s; time_from_start s."},
    {"Clock", "clock_ns realtime_ns sim_speed=1.0 paused source timestamp_ns", NULL,
     "Time that a simulation or replay shows. source: 0 wall, 1 simulation, 2 replay; "
     "sim_speed: 1 is real time; the times are ns."},
    {"TimeReference", "time_ref_ns source offset_ns timestamp_ns", NULL,
     "An outer time source (GPS, NTP, PTP): offset_ns is local time minus reference time."},
    {"Heartbeat", "node_name node_id timestamp_ns", "now alive=True",
     "Sign of life of a process: uptime s."},
    {"NodeHeartbeat", "state health", NULL,
     "One node: rates Hz, timestamps s since 1970, health 0 good, higher is worse. state: 0 "
     "uninitialized, 1 initializing, 2 running, 3 stopping, 4 stopped, 5 error, 6 crashed."},
    {"DiagnosticStatus", "level code message component timestamp_ns", "now",
     "One report of a component. level: 0 ok, 1 warning, 2 error, 3 fatal."},
    {"DiagnosticValue", "key value", NULL,
     "A key and a value as text. value_type: 0 text, 1 integer, 2 float, 3 boolean."},
    {"DiagnosticReport", "component level", NULL,
     "Any number of values that one component reports; level as in DiagnosticStatus."},
    {"EmergencyStop", "engaged=True reason timestamp_ns", "now",
     "Stop everything (engaged) or go on: why, and who asked. auto_reset: ends without an "
     "operator."},
    {"ResourceUsage", "cpu_percent memory_bytes memory_percent timestamp_ns", "now",
     "Load of a machine: percentages 0..100, bytes, temperature in degrees Celsius."},
    {"SafetyStatus", "", "now enabled=True watchdog_ok=True limits_ok=True comms_ok=True",
     "Safety controller. mode: 0 normal, 1 reduced, 2 stopped by a fault; fault_code: 0 is "
     "none."},
    {"NavGoal",
     "x y theta position_tolerance>tolerance_position=0.1 angle_tolerance>tolerance_angle=0.1 "
     "timeout>timeout_seconds=30.0 timestamp_ns",
     "priority=1",
     "Where to go: x, y, tolerance_position m; theta, tolerance_angle rad; timeout_seconds s. "
     "priority: 0 is the most urgent."},
    {"GoalResult", "goal_id status progress timestamp_ns", NULL,
     "Progress 0..1 of a goal, distance m, time left s. status: 0 pending, 1 active, 2 "
     "succeeded, 3 aborted, 4 cancelled."},
    {"Waypoint", "x>pose.x y>pose.y theta>pose.theta", NULL,
     "A stop on a path: pose, velocity there, time_from_start s, curvature 1/m."},
    {"NavPath", "", NULL, "A path of any length: total_length m, duration_seconds s."},
    {"PathPlan", "goal_x>goal_pose.0 goal_y>goal_pose.1 goal_theta>goal_pose.2 timestamp_ns",
     "tuple:goal_pose",
     "A planner's answer: goal_pose and poses on the way, each x m, y m, theta rad."},
    {"OccupancyGrid", "width height resolution=0.05", "now",
     "A map of width x height cells of resolution m, cell (0, 0) at origin; data is row-major, "
     "a value per cell: -1 unknown, 0 free .. 100 occupied."},
    {"CostMap", "grid>@occupancy_grid=... inflation_radius=0.55",
     "resolution=0.05 cost_scaling_factor=10 lethal_cost=253",
     "An OccupancyGrid (the same first fields and data) with a cost per cell: 0 free, "
     "lethal_cost and above blocked, 255 unknown. inflation_radius m, cost_scaling_factor 1/m."},
    {"VelocityObstacle",
     "px>position.0 py_>position.1 vx>velocity.0 vy>velocity.1 radius time_horizon=1.0 "
     "obstacle_id",
     "tuple:position tuple:velocity",
     "A moving disc to avoid: position m, velocity m/s, radius m, time_horizon s."},
    {"VelocityObstacles", "", NULL, "Any number of moving discs."},
    {"WrenchStamped", "fx fy fz tx ty tz timestamp_ns", NULL,
     "Force N and torque N m at a sensor."},
    {"ForceCommand", "fx fy fz tx ty tz timeout>timeout_seconds timestamp_ns", NULL,
     "Wanted force N and torque N m; timeout_seconds s, 0 for none."},
    {"ContactInfo", "state contact_force confidence timestamp_ns", NULL,
     "A touch: force N, confidence 0..1, stiffness N/m, damping N s/m; contact_start_ns: 0 is "
     "none. state: 0 none, 1 begun, 2 steady, 3 lost, 4 sliding."},
    {"ImpedanceParameters", "",
     "now stiffness=1000 stiffness.3=100 stiffness.4=100 stiffness.5=100 damping=50 "
     "damping.3=5 damping.4=5 damping.5=5 inertia=1 inertia.3=0.1 inertia.4=0.1 inertia.5=0.1 "
     "force_limits=50 force_limits.3=5 force_limits.4=5 force_limits.5=5",
     "Impedance along x, y, z, about x, y, z: stiffness N/m, N m/rad; damping N s/m, N m "
     "s/rad; inertia kg, kg m^2; force_limits N, N m."},
    {"HapticFeedback", "vibration_intensity vibration_frequency duration_seconds pattern_type",
     "enabled=True",
     "Feedback to a hand: intensity 0..1, Hz, s, and a force N. pattern_type: 0 constant, 1 "
     "pulse."},
    {"TactileArray", "rows cols", NULL,
     "rows x cols taxels, forces N row-major; total_force N; center_of_pressure and "
     "physical_size m."},
    {"JoystickInput", "joystick_id element_id value pressed", "now event_type='axis'",
     "One event. event_type: \"axis\", \"button\", \"hat\" or \"connection\"; value -1..1 for an axis."},
    {"KeyboardInput", "key_name code pressed=True modifiers>modifier_flags", "now",
     "One key. modifier_flags: 1 ctrl, 2 alt, 4 shift."},
    {"CompressedImage", "format='jpeg' data=... width height", "now",
     "An encoded picture: format names the codec (\"jpeg\", \"png\"); width, height px, 0 where "
     "unknown."},
    {"CameraInfo",
     "width height fx>camera_matrix.0>projection_matrix.0 "
     "fy>camera_matrix.4>projection_matrix.5 cx>camera_matrix.2>projection_matrix.2 "
     "cy>camera_matrix.5>projection_matrix.6",
     "now camera_matrix.8=1 rectification_matrix.0=1 rectification_matrix.4=1 "
     "rectification_matrix.8=1 projection_matrix.10=1",
     "Calibration of a camera of width x height px: K 3x3, R 3x3, P 3x4, all px where they "
     "have a unit; distortion_coefficients in the order of distortion_model, unused ones 0."},
    {"StereoInfo", "left_camera=... right_camera=... baseline depth_scale=1.0", NULL,
     "A calibrated pair: baseline m; depth_scale multiplies a depth in m."},
    {"RegionOfInterest", "x>x_offset y>y_offset width height do_rectify", NULL,
     "A rectangle of an image, px."},
    {"BoundingBox2D", "x y width height * x_min>x y_min>y x_max>@x_max y_max>@y_max", NULL,
     "A box in an image: its top left corner and size, px."},
    {"BoundingBox3D", "cx cy cz length width height yaw", NULL,
     "A box in space: centre and size m (length along x, width y, height z), rotation rad."},
    {"Detection",
     "class_name confidence x>bbox.x y>bbox.y width>bbox.width height>bbox.height class_id "
     "instance_id",
     NULL,
     "An object found in an image: confidence 0..1; instance_id tells objects of a class "
     "apart."},
    {"DetectionList", "", NULL,
     "All that was found in one frame: timestamp_ns and frame_id are the frame's, image_seq is "
     "the sequence number with which it was received, 0 where unknown."},
    {"Detection3D",
     "class_name confidence cx>bbox.cx cy>bbox.cy cz>bbox.cz length>bbox.length "
     "width>bbox.width height>bbox.height yaw>bbox.yaw",
     NULL, "An object found in space: confidence 0..1, velocity m/s."},
    {"SegmentationMask", "width height mask_type num_classes", NULL,
     "A label per pixel, row-major. mask_type: 0 semantic (one byte each), 1 instance, 2 "
     "panoptic (two bytes each, little-endian). data may be empty where the labels travel as "
     "an Image."},
    {"TrackedObject",
     "track_id x>bbox.x>predicted_bbox.x y>bbox.y>predicted_bbox.y "
     "width>bbox.width>predicted_bbox.width height>bbox.height>predicted_bbox.height class_id "
     "confidence",
     "hits=1",
     "An object followed over frames: velocity px per frame, acceleration px per frame^2, ages "
     "frames. state: 0 tentative, 1 confirmed, 2 deleted."},
    {"TrackingHeader", "num_tracks frame_id", NULL,
     "The tracks of one frame. frame_id is the number of the frame, num_tracks what the "
     "tracker counts; tracks may be empty where they travel one by one."},
    {"Landmark", "x y visibility=1.0 index", NULL,
     "A keypoint in an image: x, y px or 0..1, visibility 0..1, index in its skeleton."},
    {"Landmark3D", "x y z visibility=1.0 index", NULL,
     "A keypoint in space: x, y, z m or 0..1, visibility 0..1, index in its skeleton."},
    {"LandmarkArray", "num_landmarks=17 dimension=2", NULL,
     "The keypoints of one body: dimension 2 (z is 0) or 3, confidence 0..1, box px. "
     "num_landmarks is the size of the skeleton; landmarks may be empty."},
    {"PlaneDetection",
     "a>coefficients.0 b>coefficients.1 c>coefficients.2=1.0 d>coefficients.3 cx>center.x "
     "cy>center.y cz>center.z nx>normal.x ny>normal.y nz>normal.z=1.0",
     "now tuple:coefficients confidence=0.5",
     "A plane ax + by + cz + d = 0 (coefficients a, b, c, d; m), a point on it, its unit "
     "normal; confidence 0..1; plane_type is a free word (\"floor\")."},
    {"PlaneArray", "", NULL, "Any number of planes of one frame."},
    {"PointField", "name offset datatype count=1", NULL,
     "One field of a point record: offset bytes from its start, count values. datatype: 0 f32, "
     "1 f64, 2 f16, 3 bf16, 4 i8, 5 i16, 6 i32, 7 i64, 8 u8, 9 u16, 10 u32."},
    /* clang-format on */
};

/* The small methods, in Python: the body of each class is hung on the message class of its name; the
 * first text is what they share. Several texts: a compiler need not take one over 4095 bytes. */
static const char *const horusp_methods[] = {
    /* clang-format off */
    "def _finite(m, names):\n"
    "    return all(math.isfinite(getattr(m, n)) for n in names.split())\n"
    "def is_valid(self, /):\n"
    "    \"Whether all numbers are finite, but for those in arrays of any length.\"\n"
    "    return self._finite()\n"
    "def _with(m, **changed):\n"
    "    m = m.copy()\n"
    "    for name, value in changed.items():\n"
    "        setattr(m, name, value)\n"
    "    return m\n"
    "def _index(i):\n"
    "    if i < 0:\n"
    "        raise OverflowError(\"an index is 0 or more, not %d\" % i)\n"
    "    return i\n"
    "def _cell(m, x, y, field=\"data\"):\n"
    "    if not (_index(x) < m.width and _index(y) < m.height):\n"
    "        return None\n"
    "    i = y * m.width + x\n"
    "    return i if i < m._count(field) else None\n"
    "def _joint(m, field, name):\n"
    "    names = m.names\n"
    "    i = names.index(name) if name in names else -1\n"
    "    return m._item(field, i) if 0 <= i < m._count(field) else None\n"
    "def _add_joint(m, name, position, velocity, mode):\n"
    "    n, position, velocity = len(m.names), float(position), float(velocity)\n"
    "    m._append(\"names\", name)\n"
    "    for field, value in ((\"positions\", position), (\"velocities\", velocity), (\"efforts\", 0.0),\n"
    "                         (\"modes\", mode)):\n"
    "        while m._count(field) < n:\n"
    "            m._append(field, 0)\n"
    "        m._append(field, value)\n"
    "class _both:\n"
    "    \"On the class a function, on a message its field of that name.\"\n"
    "    def __init__(self, function):\n"
    "        self.function, self.__doc__ = function, function.__doc__\n"
    "    def __set_name__(self, owner, name):\n"
    "        self.field = globals()[owner.__name__].__dict__[name]\n"
    "    def __get__(self, m, cls=None):\n"
    "        return self.function if m is None else self.field.__get__(m, cls)\n"
    "    def __set__(self, m, value):\n"
    "        self.field.__set__(m, value)\n",

    "class Vector3:\n"
    "    def dot(self, other, /):\n"
    "        \"Dot product.\"\n"
    "        return self.x * other.x + self.y * other.y + self.z * other.z\n"
    "    def cross(self, other, /):\n"
    "        \"Cross product, a Vector3.\"\n"
    "        a, b, c = self.x, self.y, self.z\n"
    "        x, y, z = other.x, other.y, other.z\n"
    "        return Vector3(b * z - c * y, c * x - a * z, a * y - b * x)\n"
    "    def magnitude(self, /):\n"
    "        \"Euclidean length.\"\n"
    "        return math.hypot(self.x, self.y, self.z)\n"
    "    def normalize(self, /):\n"
    "        \"Scales it to length 1; a zero vector stays.\"\n"
    "        n = self.magnitude()\n"
    "        if n > 0:\n"
    "            self.x, self.y, self.z = self.x / n, self.y / n, self.z / n\n"
    "    def normalized(self, /):\n"
    "        \"A copy of length 1; of a zero vector a zero vector.\"\n"
    "        v = self.copy()\n"
    "        v.normalize()\n"
    "        return v\n"
    "    @staticmethod\n"
    "    def zero():\n"
    "        \"(0, 0, 0)\"\n"
    "        return Vector3()\n"
    "class Point3:\n"
    "    def distance_to(self, other, /):\n"
    "        \"Distance in m.\"\n"
    "        return math.dist((self.x, self.y, self.z), (other.x, other.y, other.z))\n"
    "    @staticmethod\n"
    "    def origin():\n"
    "        \"(0, 0, 0)\"\n"
    "        return Point3()\n"
    "class Quaternion:\n"
    "    @staticmethod\n"
    "    def from_euler(roll=0.0, pitch=0.0, yaw=0.0):\n"
    "        \"From angles in rad: about x, then y, then z of the fixed frame.\"\n"
    "        a, b = math.cos(roll / 2), math.sin(roll / 2)\n"
    "        c, d = math.cos(pitch / 2), math.sin(pitch / 2)\n"
    "        e, f = math.cos(yaw / 2), math.sin(yaw / 2)\n"
    "        return Quaternion(b * c * e - a * d * f, a * d * e + b * c * f,\n"
    "                          a * c * f - b * d * e, a * c * e + b * d * f)\n"
    "    @staticmethod\n"
    "    def identity():\n"
    "        \"No rotation: (0, 0, 0, 1).\"\n"
    "        return Quaternion()\n"
    "    def is_valid(self, /):\n"
    "        \"Whether all components are finite.\"\n"
    "        return _finite(self, \"x y z w\")\n"
    "    def normalize(self, /):\n"
    "        \"Scales it to length 1; a zero quaternion stays.\"\n"
    "        n = math.hypot(self.x, self.y, self.z, self.w)\n"
    "        if n > 0:\n"
    "            self.x, self.y, self.z, self.w = self.x / n, self.y / n, self.z / n, self.w / n\n",

    "class CmdVel:\n"
    "    @staticmethod\n"
    "    def zero():\n"
    "        \"Stop: both speeds 0, stamped now.\"\n"
    "        return CmdVel(0.0, 0.0, _now())\n"
    "class Twist:\n"
    "    @staticmethod\n"
    "    def new_2d(linear_x=0.0, angular_z=0.0):\n"
    "        \"Forward m/s and turning rad/s, the rest 0, stamped now.\"\n"
    "        return Twist(linear_x, angular_z=angular_z, timestamp_ns=_now())\n"
    "    @staticmethod\n"
    "    def stop():\n"
    "        \"All 0, stamped now.\"\n"
    "        return Twist(timestamp_ns=_now())\n"
    "    def is_valid(self, /):\n"
    "        \"Whether all values are finite.\"\n"
    "        return _finite(self, \"linear_x linear_y linear_z angular_x angular_y angular_z\")\n"
    "class Accel:\n"
    "    def is_valid(self, /):\n"
    "        \"Whether all values are finite.\"\n"
    "        return _finite(self, \"linear_x linear_y linear_z angular_x angular_y angular_z\")\n"
    "class TwistWithCovariance:\n"
    "    def linear_variance(self, /):\n"
    "        \"[x, y, z] of the covariance's diagonal.\"\n"
    "        return self.covariance[0:15:7]\n"
    "    def angular_variance(self, /):\n"
    "        \"[x, y, z] of the covariance's diagonal.\"\n"
    "        return self.covariance[21:36:7]\n"
    "class PoseWithCovariance:\n"
    "    def position_variance(self, /):\n"
    "        \"[x, y, z] of the covariance's diagonal.\"\n"
    "        return self.covariance[0:15:7]\n"
    "    def orientation_variance(self, /):\n"
    "        \"[roll, pitch, yaw] of the covariance's diagonal.\"\n"
    "        return self.covariance[21:36:7]\n"
    "class Pose2D:\n"
    "    def distance_to(self, other, /):\n"
    "        \"Distance in m; theta does not count.\"\n"
    "        return math.hypot(other.x - self.x, other.y - self.y)\n"
    "    def is_valid(self, /):\n"
    "        \"Whether all values are finite.\"\n"
    "        return _finite(self, \"x y theta\")\n"
    "    def normalize_angle(self, /):\n"
    "        \"Brings theta into -pi .. pi.\"\n"
    "        if not -math.pi <= self.theta <= math.pi:\n"
    "            t = math.fmod(self.theta, 2 * math.pi)\n"
    "            self.theta = t - 2 * math.pi if t > math.pi else t + 2 * math.pi if t < -math.pi else t\n"
    "    @staticmethod\n"
    "    def origin():\n"
    "        \"(0, 0, 0), stamped now.\"\n"
    "        return Pose2D(0.0, 0.0, 0.0, _now())\n"
    "class Pose3D:\n"
    "    def distance_to(self, other, /):\n"
    "        \"Distance in m of the positions.\"\n"
    "        return math.dist((self.x, self.y, self.z), (other.x, other.y, other.z))\n"
    "    @staticmethod\n"
    "    def from_pose_2d(pose):\n"
    "        \"At z 0, with theta as yaw and the pose's time.\"\n"
    "        return Pose3D(pose.x, pose.y, 0.0, 0.0, 0.0, math.sin(pose.theta / 2),\n"
    "                      math.cos(pose.theta / 2), pose.timestamp_ns)\n"
    "    @staticmethod\n"
    "    def identity():\n"
    "        \"At the origin, not rotated, stamped now.\"\n"
    "        return Pose3D(timestamp_ns=_now())\n"
    "    def is_valid(self, /):\n"
    "        \"Whether all values are finite.\"\n"
    "        return _finite(self, \"x y z qx qy qz qw\")\n"
    "class TransformStamped:\n"
    "    @staticmethod\n"
    "    def from_pose_2d(pose):\n"
    "        \"At z 0, with theta as yaw, stamped now.\"\n"
    "        return TransformStamped(pose.x, pose.y, 0.0, 0.0, 0.0, math.sin(pose.theta / 2),\n"
    "                                math.cos(pose.theta / 2), _now())\n"
    "    @staticmethod\n"
    "    def identity():\n"
    "        \"Neither moved nor rotated, stamped now.\"\n"
    "        return TransformStamped(timestamp_ns=_now())\n"
    "    def is_valid(self, /):\n"
    "        \"Whether all values are finite and the quaternion's length is 1, within 1e-6.\"\n"
    "        n = math.hypot(self.rx, self.ry, self.rz, self.rw)\n"
    "        return _finite(self, \"tx ty tz rx ry rz rw\") and abs(n - 1) < 1e-6\n"
    "    def normalize_rotation(self, /):\n"
    "        \"Scales the quaternion to length 1; a zero one stays.\"\n"
    "        n = math.hypot(self.rx, self.ry, self.rz, self.rw)\n"
    "        if n > 0:\n"
    "            self.rx, self.ry, self.rz, self.rw = self.rx / n, self.ry / n, self.rz / n, self.rw / n\n",

    "class Odometry:\n"
    "    def is_valid(self, /):\n"
    "        \"Whether all values are finite.\"\n"
    "        return _finite(self, \"x y theta linear_velocity angular_velocity\")\n"
    "    def set_frames(self, /, frame, child_frame):\n"
    "        \"Sets frame_id and child_frame_id.\"\n"
    "        self.frame_id, self.child_frame_id = frame, child_frame\n"
    "    def update(self, /, pose, twist):\n"
    "        \"Takes a Pose2D and a Twist, and stamps it now.\"\n"
    "        self.x, self.y, self.theta = pose.x, pose.y, pose.theta\n"
    "        self.linear_velocity, self.angular_velocity = twist.linear_x, twist.angular_z\n"
    "        self.timestamp_ns = _now()\n"
    "class Imu:\n"
    "    def linear_acceleration_vec(self, /):\n"
    "        \"The acceleration as a Vector3.\"\n"
    "        return Vector3(self.accel_x, self.accel_y, self.accel_z)\n"
    "    def angular_velocity_vec(self, /):\n"
    "        \"The angular velocity as a Vector3.\"\n"
    "        return Vector3(self.gyro_x, self.gyro_y, self.gyro_z)\n"
    "    def orientation_quat(self, /):\n"
    "        \"The orientation as a Quaternion.\"\n"
    "        return Quaternion(self.qx, self.qy, self.qz, self.qw)\n"
    "    def has_orientation(self, /):\n"
    "        \"Whether orientation_covariance says that it was measured (it begins with no -1).\"\n"
    "        return self.orientation_covariance[0] >= 0\n"
    "    def is_valid(self, /):\n"
    "        \"Whether all values (not the covariances) are finite.\"\n"
    "        return _finite(self, \"accel_x accel_y accel_z gyro_x gyro_y gyro_z qx qy qz qw\")\n"
    "    def set_orientation_from_euler(self, /, roll, pitch, yaw):\n"
    "        \"Sets the quaternion from angles in rad.\"\n"
    "        q = Quaternion.from_euler(roll, pitch, yaw)\n"
    "        self.qx, self.qy, self.qz, self.qw = q.x, q.y, q.z, q.w\n"
    "class LaserScan:\n"
    "    def __len__(self, /):\n"
    "        \"How many ranges are valid: finite and within range_min .. range_max.\"\n"
    "        a, b = self.range_min, self.range_max\n"
    "        return sum(a <= r <= b for r in self.ranges) if b > a else self._count(\"ranges\")\n"
    "    def angle_at(self, /, index):\n"
    "        \"Angle in rad of range number `index`; 0.0 if there is none.\"\n"
    "        _index(index)\n"
    "        return self.angle_min + index * self.angle_increment if index < self._count(\"ranges\") else 0.0\n"
    "    def is_range_valid(self, /, index):\n"
    "        \"Whether range number `index` is within range_min .. range_max.\"\n"
    "        return (_index(index) < self._count(\"ranges\") and\n"
    "                self.range_min <= self._item(\"ranges\", index) <= self.range_max)\n"
    "    def min_range(self, /):\n"
    "        \"The least valid range in m, None if there is none.\"\n"
    "        a, b = self.range_min, self.range_max\n"
    "        return min((r for r in self.ranges if a <= r <= b), default=None)\n"
    "class RangeSensor:\n"
    "    def is_valid(self, /):\n"
    "        \"Whether range is within min_range .. max_range.\"\n"
    "        return self.min_range <= self.range <= self.max_range\n"
    "class BatteryState:\n"
    "    def is_critical(self, /):\n"
    "        \"Below 10 %.\"\n"
    "        return self.percentage < 10\n"
    "    def is_low(self, /, threshold):\n"
    "        \"Below a threshold in percent.\"\n"
    "        return self.percentage < threshold\n"
    "    def time_remaining(self, /):\n"
    "        \"None: the message does not know the battery's capacity.\"\n"
    "        return None\n",

    "class NavSatFix:\n"
    "    @staticmethod\n"
    "    def from_coordinates(lat, lon, alt):\n"
    "        \"From degrees and m, stamped now.\"\n"
    "        return NavSatFix(lat, lon, alt, _now())\n"
    "    def has_fix(self, /):\n"
    "        \"Whether the receiver has a position.\"\n"
    "        return self.status >= 1\n"
    "    def is_valid(self, /):\n"
    "        \"Whether the position is finite and on the globe.\"\n"
    "        return (math.isfinite(self.altitude) and -90 <= self.latitude <= 90 and\n"
    "                -180 <= self.longitude <= 180)\n"
    "    def horizontal_accuracy(self, /):\n"
    "        \"Roughly, in m: 5 times hdop.\"\n"
    "        return self.hdop * 5\n"
    "    def distance_to(self, /, other):\n"
    "        \"Great-circle distance in m, on a sphere of 6371 km.\"\n"
    "        a, b = math.radians(self.latitude), math.radians(other.latitude)\n"
    "        h = (math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) *\n"
    "             math.sin(math.radians(other.longitude - self.longitude) / 2) ** 2)\n"
    "        return 2 * 6371000 * math.atan2(math.sqrt(h), math.sqrt(max(1 - h, 0)))\n",

    "class AudioFrame:\n"
    "    @staticmethod\n"
    "    def mono(sample_rate, samples):\n"
    "        \"One channel.\"\n"
    "        return AudioFrame(sample_rate, 1, samples)\n"
    "    @staticmethod\n"
    "    def stereo(sample_rate, samples):\n"
    "        \"Two channels, interleaved.\"\n"
    "        return AudioFrame(sample_rate, 2, samples)\n"
    "    @staticmethod\n"
    "    def multi_channel(sample_rate, channels, samples):\n"
    "        \"Any number of channels, interleaved.\"\n"
    "        return AudioFrame(sample_rate, channels, samples)\n"
    "    @property\n"
    "    def num_samples(self):\n"
    "        \"Samples of all channels.\"\n"
    "        return self._count(\"samples\")\n"
    "    @property\n"
    "    def frame_count(self):\n"
    "        \"Samples per channel.\"\n"
    "        return self.num_samples // self.channels if self.channels else 0\n"
    "    @property\n"
    "    def duration_ms(self):\n"
    "        \"Length in ms.\"\n"
    "        return self.frame_count * 1000.0 / self.sample_rate if self.sample_rate else 0.0\n"
    "class JointState:\n"
    "    def __len__(self, /):\n"
    "        \"How many joints.\"\n"
    "        return max(len(self.names), self._count(\"positions\"))\n"
    "    def position(self, /, name):\n"
    "        \"Position of a joint, None if it has none.\"\n"
    "        return _joint(self, \"positions\", name)\n"
    "    def velocity(self, /, name):\n"
    "        \"Velocity of a joint, None if it has none.\"\n"
    "        return _joint(self, \"velocities\", name)\n"
    "    def effort(self, /, name):\n"
    "        \"Effort of a joint, None if it has none.\"\n"
    "        return _joint(self, \"efforts\", name)\n"
    "class JointCommand:\n"
    "    def __len__(self, /):\n"
    "        \"How many joints.\"\n"
    "        return max(len(self.names), self._count(\"positions\"))\n"
    "    def add_position(self, /, name, position):\n"
    "        \"Adds a joint to be moved to a position, rad or m.\"\n"
    "        _add_joint(self, name, position, 0.0, 0)\n"
    "    def add_velocity(self, /, name, velocity):\n"
    "        \"Adds a joint to be moved with a velocity, rad/s or m/s.\"\n"
    "        _add_joint(self, name, 0.0, velocity, 1)\n"
    "    def is_valid(self, /):\n"
    "        \"Whether all values are finite.\"\n"
    "        return all(map(math.isfinite, self.positions + self.velocities + self.efforts))\n"
    "class MotorCommand:\n"
    "    @staticmethod\n"
    "    def velocity(motor_id, velocity):\n"
    "        \"Turn with a velocity in rad/s, stamped now.\"\n"
    "        return MotorCommand(motor_id, 0, velocity, timestamp_ns=_now())\n"
    "    @staticmethod\n"
    "    def position(motor_id, position, max_velocity):\n"
    "        \"Turn to a position in rad, stamped now.\"\n"
    "        return MotorCommand(motor_id, 1, position, max_velocity, timestamp_ns=_now())\n"
    "    @staticmethod\n"
    "    def stop(motor_id):\n"
    "        \"Target 0 and not enabled, stamped now.\"\n"
    "        return MotorCommand(motor_id, enable=False, timestamp_ns=_now())\n"
    "    def is_valid(self, /):\n"
    "        \"Whether all values, the limits too, are finite.\"\n"
    "        return _finite(self, \"target max_velocity max_acceleration feed_forward\")\n"
    "class ServoCommand:\n"
    "    @staticmethod\n"
    "    def disable(servo_id):\n"
    "        \"Power off, stamped now.\"\n"
    "        return ServoCommand(servo_id, 0.0, 0.0, False, _now())\n"
    "    @staticmethod\n"
    "    def from_degrees(servo_id, degrees):\n"
    "        \"To an angle in degrees, stamped now.\"\n"
    "        return ServoCommand(servo_id, math.radians(degrees), timestamp_ns=_now())\n"
    "    @staticmethod\n"
    "    def with_speed(servo_id, position, speed):\n"
    "        \"To an angle in rad with a speed of 0 .. 1 (what is outside becomes that), stamped now.\"\n"
    "        return ServoCommand(servo_id, position, min(max(speed, 0.0), 1.0), timestamp_ns=_now())\n"
    "    def is_valid(self, /):\n"
    "        \"Whether position and speed are finite.\"\n"
    "        return _finite(self, \"position speed\")\n",

    "class DifferentialDriveCommand:\n"
    "    @staticmethod\n"
    "    def from_twist(linear, angular, wheel_base, wheel_radius):\n"
    "        \"From m/s and rad/s, for a wheel base and radius in m, stamped now.\"\n"
    "        half, r = angular * wheel_base / 2, max(wheel_radius, 1e-9)\n"
    "        return DifferentialDriveCommand((linear - half) / r, (linear + half) / r, timestamp_ns=_now())\n"
    "    @staticmethod\n"
    "    def stop():\n"
    "        \"Both 0 and not enabled, stamped now.\"\n"
    "        return DifferentialDriveCommand(enable=False, timestamp_ns=_now())\n"
    "    def is_valid(self, /):\n"
    "        \"Whether the values are finite; max_acceleration may be infinite.\"\n"
    "        return _finite(self, \"left_velocity right_velocity\") and not math.isnan(self.max_acceleration)\n"
    "class PidConfig:\n"
    "    @staticmethod\n"
    "    def proportional(kp):\n"
    "        \"kp alone, stamped now.\"\n"
    "        return PidConfig(kp, timestamp_ns=_now())\n"
    "    @staticmethod\n"
    "    def pi(kp, ki):\n"
    "        \"kp and ki, stamped now.\"\n"
    "        return PidConfig(kp, ki, timestamp_ns=_now())\n"
    "    @staticmethod\n"
    "    def pd(kp, kd):\n"
    "        \"kp and kd, stamped now.\"\n"
    "        return PidConfig(kp, 0.0, kd, timestamp_ns=_now())\n"
    "    def is_valid(self, /):\n"
    "        \"Whether all values, the limits too, are finite and no gain is negative.\"\n"
    "        return (_finite(self, \"kp ki kd integral_limit output_limit\") and\n"
    "                min(self.kp, self.ki, self.kd) >= 0)\n"
    "    def with_limits(self, /, integral_limit, output_limit):\n"
    "        \"A copy with these limits.\"\n"
    "        return _with(self, integral_limit=integral_limit, output_limit=output_limit)\n",

    "class TrajectoryPoint:\n"
    "    @staticmethod\n"
    "    def new_2d(x, y, vx, vy, time):\n"
    "        \"In the plane: m, m/s, s.\"\n"
    "        return TrajectoryPoint([x, y, 0.0], [vx, vy, 0.0], time_from_start=time)\n"
    "    @staticmethod\n"
    "    def stationary(x, y, z):\n"
    "        \"At rest at a position in m.\"\n"
    "        return TrajectoryPoint([x, y, z])\n"
    "class Clock:\n"
    "    @staticmethod\n"
    "    def wall_clock():\n"
    "        \"The time now.\"\n"
    "        t = _now()\n"
    "        return Clock(t, t, timestamp_ns=t)\n"
    "    @staticmethod\n"
    "    def sim_time(sim_ns, speed):\n"
    "        \"Time of a simulation.\"\n"
    "        t = _now()\n"
    "        return Clock(sim_ns, t, speed, source=1, timestamp_ns=t)\n"
    "    @staticmethod\n"
    "    def replay_time(replay_ns, speed):\n"
    "        \"Time of a replay.\"\n"
    "        t = _now()\n"
    "        return Clock(replay_ns, t, speed, source=2, timestamp_ns=t)\n"
    "    def is_paused(self, /):\n"
    "        \"Whether time stands.\"\n"
    "        return self.paused\n"
    "    def elapsed_since(self, /, earlier):\n"
    "        \"ns since another reading, 0 if that is later.\"\n"
    "        return max(self.clock_ns - earlier.clock_ns, 0)\n"
    "class TimeReference:\n"
    "    def correct_timestamp(self, /, local_ns):\n"
    "        \"Reference time in ns of a local time, at least 0.\"\n"
    "        return max(local_ns - self.offset_ns, 0)\n"
    "class Heartbeat:\n"
    "    def update(self, /, uptime):\n"
    "        \"Next number, uptime in s, stamped now.\"\n"
    "        self.uptime, self.sequence, self.timestamp_ns = uptime, self.sequence + 1, _now()\n"
    "class NodeHeartbeat:\n"
    "    def update_timestamp(self, /):\n"
    "        \"heartbeat_timestamp is now, in s.\"\n"
    "        self.heartbeat_timestamp = _now() // 10 ** 9\n"
    "    def is_fresh(self, /, max_age_secs):\n"
    "        \"Whether heartbeat_timestamp is at most so many seconds ago.\"\n"
    "        return _now() // 10 ** 9 - self.heartbeat_timestamp <= max_age_secs\n"
    "class DiagnosticStatus:\n"
    "    @staticmethod\n"
    "    def ok(message):\n"
    "        \"Level 0.\"\n"
    "        return DiagnosticStatus(0, 0, message)\n"
    "    @staticmethod\n"
    "    def warn(code, message):\n"
    "        \"Level 1.\"\n"
    "        return DiagnosticStatus(1, code, message)\n"
    "    @staticmethod\n"
    "    def error(code, message):\n"
    "        \"Level 2.\"\n"
    "        return DiagnosticStatus(2, code, message)\n"
    "    @staticmethod\n"
    "    def fatal(code, message):\n"
    "        \"Level 3.\"\n"
    "        return DiagnosticStatus(3, code, message)\n"
    "    def with_component(self, /, component):\n"
    "        \"A copy of this component.\"\n"
    "        return _with(self, component=component)\n"
    "    def message_str(self, /):\n"
    "        \"message\"\n"
    "        return self.message\n"
    "    def component_str(self, /):\n"
    "        \"component\"\n"
    "        return self.component\n"
    "class DiagnosticValue:\n"
    "    @staticmethod\n"
    "    def boolean(key, value):\n"
    "        \"A truth.\"\n"
    "        return DiagnosticValue(key, \"true\" if value else \"false\", value_type=3)\n"
    "    @staticmethod\n"
    "    def float(key, value):\n"
    "        \"A number, to three places.\"\n"
    "        text = \"NaN\" if value != value else \"%.3f\" % value\n"
    "        return DiagnosticValue(key, text if len(text) < 64 else repr(value), value_type=2)\n"
    "    @staticmethod\n"
    "    def int(key, value):\n"
    "        \"An integer of 64 bits.\"\n"
    "        if not -2 ** 63 <= value < 2 ** 63:\n"
    "            raise OverflowError(\"DiagnosticValue.int: beyond 64 bits\")\n"
    "        return DiagnosticValue(key, \"%d\" % value, value_type=1)\n",

    "class DiagnosticReport:\n"
    "    def add_value(self, /, val):\n"
    "        \"Adds a DiagnosticValue.\"\n"
    "        self._append(\"values\", val)\n"
    "    def add_string(self, /, key, value):\n"
    "        \"Adds a text.\"\n"
    "        self._append(\"values\", DiagnosticValue(key, value))\n"
    "    def add_int(self, /, key, value):\n"
    "        \"Adds an integer.\"\n"
    "        self._append(\"values\", DiagnosticValue.int(key, value))\n"
    "    def add_float(self, /, key, value):\n"
    "        \"Adds a number.\"\n"
    "        self._append(\"values\", DiagnosticValue.float(key, value))\n"
    "    def add_bool(self, /, key, value):\n"
    "        \"Adds a truth.\"\n"
    "        self._append(\"values\", DiagnosticValue.boolean(key, value))\n"
    "    def get_values(self, /):\n"
    "        \"The values, a list of DiagnosticValue.\"\n"
    "        return self.values\n"
    "    @property\n"
    "    def value_count(self):\n"
    "        \"How many values.\"\n"
    "        return self._count(\"values\")\n",

    "class EmergencyStop:\n"
    "    @staticmethod\n"
    "    def engage(reason):\n"
    "        \"Stop everything.\"\n"
    "        return EmergencyStop(True, reason)\n"
    "    @staticmethod\n"
    "    def release():\n"
    "        \"Go on.\"\n"
    "        return EmergencyStop(False)\n"
    "    def with_source(self, /, source):\n"
    "        \"A copy that says who asked.\"\n"
    "        return _with(self, source=source)\n"
    "    def reason_str(self, /):\n"
    "        \"reason\"\n"
    "        return self.reason\n"
    "class ResourceUsage:\n"
    "    def is_cpu_high(self, /, threshold):\n"
    "        \"Above a threshold in percent.\"\n"
    "        return self.cpu_percent > threshold\n"
    "    def is_memory_high(self, /, threshold):\n"
    "        \"Above a threshold in percent.\"\n"
    "        return self.memory_percent > threshold\n"
    "    def is_temperature_high(self, /, threshold):\n"
    "        \"Above a threshold in degrees Celsius.\"\n"
    "        return self.temperature > threshold\n"
    "class SafetyStatus:\n"
    "    def is_safe(self, /):\n"
    "        \"Enabled, no stop, no fault, all checks fine.\"\n"
    "        return (self.enabled and not self.estop_engaged and self.watchdog_ok and self.limits_ok and\n"
    "                self.comms_ok and self.fault_code == 0)\n"
    "    def set_fault(self, /, code):\n"
    "        \"Notes a fault: mode becomes 2.\"\n"
    "        self.fault_code, self.mode = code, 2\n"
    "    def clear_faults(self, /):\n"
    "        \"No fault, mode 0.\"\n"
    "        self.fault_code = self.mode = 0\n"
    "class NavGoal:\n"
    "    def is_position_reached(self, /, current):\n"
    "        \"Whether a Pose2D is nearer than tolerance_position.\"\n"
    "        return math.hypot(current.x - self.x, current.y - self.y) < self.tolerance_position\n"
    "    def is_orientation_reached(self, /, current):\n"
    "        \"Whether a Pose2D's theta is nearer than tolerance_angle, either way round.\"\n"
    "        return abs(math.remainder(current.theta - self.theta, 2 * math.pi)) < self.tolerance_angle\n"
    "    def is_reached(self, /, current):\n"
    "        \"Both.\"\n"
    "        return self.is_position_reached(current) and self.is_orientation_reached(current)\n"
    "    def with_priority(self, /, priority):\n"
    "        \"A copy with this priority.\"\n"
    "        return _with(self, priority=priority)\n"
    "    def with_timeout(self, /, timeout_seconds):\n"
    "        \"A copy with this time limit in s.\"\n"
    "        return _with(self, timeout_seconds=timeout_seconds)\n"
    "class GoalResult:\n"
    "    def with_error(self, /, message):\n"
    "        \"A copy with an error message.\"\n"
    "        return _with(self, error_message=message)\n"
    "class Waypoint:\n"
    "    def with_stop(self, /):\n"
    "        \"A copy that wants a full stop.\"\n"
    "        return _with(self, stop_required=True)\n"
    "    def with_velocity(self, /, velocity):\n"
    "        \"A copy with a velocity, a Twist.\"\n"
    "        return _with(self, velocity=velocity)\n"
    "class NavPath:\n"
    "    def add_waypoint(self, /, wp):\n"
    "        \"Adds a Waypoint at the end.\"\n"
    "        self._append(\"waypoints\", wp)\n"
    "    def get_waypoints(self, /):\n"
    "        \"The waypoints, a list.\"\n"
    "        return self.waypoints\n"
    "    @property\n"
    "    def waypoint_count(self):\n"
    "        \"How many waypoints.\"\n"
    "        return self._count(\"waypoints\")\n"
    "    def closest_waypoint_index(self, /, current):\n"
    "        \"Number of the waypoint nearest to a Pose2D, None if there is none.\"\n"
    "        away = [w.pose.distance_to(current) for w in self.waypoints]\n"
    "        return away.index(min(away)) if away else None\n"
    "    def calculate_progress(self, /, current):\n"
    "        \"Number of the nearest waypoint by how many there are, 0 .. 1.\"\n"
    "        i = self.closest_waypoint_index(current)\n"
    "        return i / self.waypoint_count if i else 0.0\n",

    "class PathPlan:\n"
    "    @staticmethod\n"
    "    def from_waypoints(waypoints, goal_x=0.0, goal_y=0.0, goal_theta=0.0):\n"
    "        \"From a list of [x, y, theta], stamped now.\"\n"
    "        for w in waypoints:\n"
    "            if len(w) != 3:\n"
    "                raise ArgumentError(\"PathPlan.from_waypoints wants [x, y, theta], not %r\" % (w,))\n"
    "        return PathPlan(goal_x, goal_y, goal_theta, _now(), waypoints=[Pose2D(*w) for w in waypoints])\n"
    "    def add_waypoint(self, /, x, y, theta):\n"
    "        \"Adds a pose at the end; True.\"\n"
    "        self._append(\"waypoints\", Pose2D(x, y, theta))\n"
    "        return True\n"
    "    def waypoint(self, /, index):\n"
    "        \"(x, y, theta) of a pose, None if there is none.\"\n"
    "        if _index(index) >= self.waypoint_count:\n"
    "            return None\n"
    "        p = self._item(\"waypoints\", index)\n"
    "        return p.x, p.y, p.theta\n"
    "    @property\n"
    "    def waypoint_count(self):\n"
    "        \"How many poses.\"\n"
    "        return self._count(\"waypoints\")\n"
    "    def is_empty(self, /):\n"
    "        \"Whether there is none.\"\n"
    "        return self.waypoint_count == 0\n",

    "class OccupancyGrid:\n"
    "    def world_to_grid(self, /, x, y):\n"
    "        \"Cell (column, row) of a point in m, None outside. The origin's theta is not used.\"\n"
    "        r = self.resolution\n"
    "        if r <= 0:\n"
    "            return None\n"
    "        a, b = (x - self.origin.x) / r, (y - self.origin.y) / r\n"
    "        if 0 <= a < self.width and 0 <= b < self.height:\n"
    "            return math.floor(a), math.floor(b)\n"
    "        return None\n"
    "    def grid_to_world(self, /, grid_x, grid_y):\n"
    "        \"Centre (x, y) in m of a cell, None outside.\"\n"
    "        if not (_index(grid_x) < self.width and _index(grid_y) < self.height):\n"
    "            return None\n"
    "        r = self.resolution\n"
    "        return self.origin.x + (grid_x + 0.5) * r, self.origin.y + (grid_y + 0.5) * r\n"
    "    def occupancy(self, /, grid_x, grid_y):\n"
    "        \"A cell's value, None outside.\"\n"
    "        i = _cell(self, grid_x, grid_y)\n"
    "        return None if i is None else self._item(\"data\", i)\n"
    "    def set_occupancy(self, /, grid_x, grid_y, value):\n"
    "        \"Sets a cell, to -1 .. 100 (what is outside becomes that); False outside the grid.\"\n"
    "        if not -128 <= value <= 127:\n"
    "            raise OverflowError(\"OccupancyGrid.set_occupancy: a value is -1 to 100\")\n"
    "        i = _cell(self, grid_x, grid_y)\n"
    "        if i is not None:\n"
    "            self._put(\"data\", i, min(max(value, -1), 100))\n"
    "        return i is not None\n"
    "    def is_free(self, /, x, y):\n"
    "        \"Whether the cell at a point in m is known and below 50.\"\n"
    "        c = self.world_to_grid(x, y)\n"
    "        v = self.occupancy(*c) if c else None\n"
    "        return v is not None and 0 <= v < 50\n"
    "    def is_occupied(self, /, x, y):\n"
    "        \"Whether the cell at a point in m is 50 or more.\"\n"
    "        c = self.world_to_grid(x, y)\n"
    "        v = self.occupancy(*c) if c else None\n"
    "        return v is not None and v >= 50\n"
    "class CostMap:\n"
    "    @property\n"
    "    def occupancy_grid(self):\n"
    "        \"The grid, a copy. Assigning it makes all costs 255.\"\n"
    "        g = OccupancyGrid(self.width, self.height, self.resolution, timestamp_ns=self.timestamp_ns,\n"
    "                          origin=self.origin, data=self.data)\n"
    "        g.timestamp_ns = self.timestamp_ns\n"
    "        return g\n"
    "    @occupancy_grid.setter\n"
    "    def occupancy_grid(self, grid):\n"
    "        self.width, self.height, self.resolution = grid.width, grid.height, grid.resolution\n"
    "        self.origin, self.timestamp_ns = grid.origin, grid.timestamp_ns\n"
    "        self.data = grid.data\n"
    "        self.costs = b\"\\xff\" * len(self.data)\n"
    "    def cost(self, /, x, y):\n"
    "        \"Cost of the cell at a point in m; lethal_cost outside.\"\n"
    "        c = OccupancyGrid.world_to_grid(self, x, y)\n"
    "        i = _cell(self, *c, \"costs\") if c else None\n"
    "        return self.lethal_cost if i is None else self._item(\"costs\", i)\n"
    "    def compute_costs(self, /):\n"
    "        \"Fills costs from data: lethal from 65, twice the value below, 255 unknown; around lethal \"\\\n"
    "        \"cells (lethal_cost - 1) * (1 - distance / inflation_radius) ** cost_scaling_factor.\"\n"
    "        w, h, lethal, data = self.width, self.height, self.lethal_cost, self.data\n"
    "        reach, r = self.inflation_radius, self.resolution\n"
    "        data = data[:w * h] + [-1] * (w * h - len(data))\n"
    "        costs = bytearray(255 if v == -1 else lethal if v >= 65 else max(2 * v, 0) for v in data)\n"
    "        n = int(math.ceil(reach / r)) if r > 0 else 0\n"
    "        disc = [(i, k, int((lethal - 1) * (1 - math.hypot(i, k) * r / reach) ** self.cost_scaling_factor))\n"
    "                for k in range(-n, n + 1) for i in range(-n, n + 1) if 0 < math.hypot(i, k) * r < reach]\n"
    "        for at in [i for i, v in enumerate(data) if v >= 65]:\n"
    "            x, y = at % w, at // w\n"
    "            for i, k, cost in disc:\n"
    "                if 0 <= x + i < w and 0 <= y + k < h:\n"
    "                    to = at + k * w + i\n"
    "                    if costs[to] < cost and data[to] != -1:\n"
    "                        costs[to] = cost\n"
    "        self.costs = costs\n",

    "class VelocityObstacles:\n"
    "    def add_obstacle(self, /, obs):\n"
    "        \"Adds a VelocityObstacle.\"\n"
    "        self._append(\"obstacles\", obs)\n"
    "    def get_obstacles(self, /):\n"
    "        \"The obstacles, a list.\"\n"
    "        return self.obstacles\n"
    "    @property\n"
    "    def count(self):\n"
    "        \"How many obstacles.\"\n"
    "        return self._count(\"obstacles\")\n"
    "class WrenchStamped:\n"
    "    @staticmethod\n"
    "    def force_only(force):\n"
    "        \"From a Vector3 in N, stamped now.\"\n"
    "        return WrenchStamped(force.x, force.y, force.z, timestamp_ns=_now())\n"
    "    @staticmethod\n"
    "    def torque_only(torque):\n"
    "        \"From a Vector3 in N m, stamped now.\"\n"
    "        return WrenchStamped(tx=torque.x, ty=torque.y, tz=torque.z, timestamp_ns=_now())\n"
    "    def force_magnitude(self, /):\n"
    "        \"In N.\"\n"
    "        return math.hypot(self.fx, self.fy, self.fz)\n"
    "    def torque_magnitude(self, /):\n"
    "        \"In N m.\"\n"
    "        return math.hypot(self.tx, self.ty, self.tz)\n"
    "    def exceeds_limits(self, /, max_force, max_torque):\n"
    "        \"Whether either is above its limit.\"\n"
    "        return self.force_magnitude() > max_force or self.torque_magnitude() > max_torque\n"
    "    def filter(self, /, prev, alpha):\n"
    "        \"Becomes alpha * itself + (1 - alpha) * prev, a WrenchStamped.\"\n"
    "        for n in (\"fx\", \"fy\", \"fz\", \"tx\", \"ty\", \"tz\"):\n"
    "            setattr(self, n, alpha * getattr(self, n) + (1 - alpha) * getattr(prev, n))\n"
    "class ForceCommand:\n"
    "    @staticmethod\n"
    "    def force_only(target):\n"
    "        \"From a Vector3 in N, stamped now.\"\n"
    "        return ForceCommand(target.x, target.y, target.z, timestamp_ns=_now())\n"
    "    @staticmethod\n"
    "    def surface_contact(normal_force, normal):\n"
    "        \"A force in N along a Vector3, whose length does not count, stamped now.\"\n"
    "        n = normal.normalized()\n"
    "        return ForceCommand(n.x * normal_force, n.y * normal_force, n.z * normal_force,\n"
    "                            timestamp_ns=_now())\n"
    "    def with_timeout(self, /, timeout_seconds):\n"
    "        \"A copy with a time limit in s.\"\n"
    "        return _with(self, timeout_seconds=timeout_seconds)\n"
    "class ContactInfo:\n"
    "    def is_in_contact(self, /):\n"
    "        \"Begun, steady or sliding.\"\n"
    "        return self.state in (1, 2, 4)\n"
    "    def contact_duration_seconds(self, /):\n"
    "        \"Seconds since contact_start_ns, 0.0 without a start.\"\n"
    "        return max(_now() - self.contact_start_ns, 0) / 1e9 if self.contact_start_ns else 0.0\n",

    "class ImpedanceParameters:\n"
    "    @staticmethod\n"
    "    def compliant():\n"
    "        \"Soft: a tenth of the default stiffness.\"\n"
    "        return ImpedanceParameters(stiffness=[100.0] * 3 + [10.0] * 3, damping=[20.0] * 3 + [2.0] * 3)\n"
    "    @staticmethod\n"
    "    def stiff():\n"
    "        \"Five times the default stiffness.\"\n"
    "        return ImpedanceParameters(stiffness=[5000.0] * 3 + [500.0] * 3,\n"
    "                                   damping=[100.0] * 3 + [10.0] * 3)\n"
    "    def enable(self, /):\n"
    "        \"enabled becomes True.\"\n"
    "        self.enabled = True\n"
    "    def disable(self, /):\n"
    "        \"enabled becomes False.\"\n"
    "        self.enabled = False\n"
    "class HapticFeedback:\n"
    "    @_both\n"
    "    def force(force, duration):\n"
    "        \"On the class: a force (Vector3, N) for a time in s, stamped now. On a message: its force.\"\n"
    "        return HapticFeedback(0.0, 0.0, duration, 0, force=force, timestamp_ns=_now())\n"
    "    @staticmethod\n"
    "    def vibration(intensity, frequency, duration):\n"
    "        \"Even vibration: 0 .. 1 (what is outside becomes that), Hz, s; stamped now.\"\n"
    "        return HapticFeedback(min(max(intensity, 0.0), 1.0), frequency, duration, 0,\n"
    "                              timestamp_ns=_now())\n"
    "    @staticmethod\n"
    "    def pulse(intensity, frequency, duration):\n"
    "        \"Pulses: 0 .. 1 (what is outside becomes that), Hz, s; stamped now.\"\n"
    "        return HapticFeedback(min(max(intensity, 0.0), 1.0), frequency, duration, 1,\n"
    "                              timestamp_ns=_now())\n"
    "class TactileArray:\n"
    "    def get_force(self, /, row, col):\n"
    "        \"Force in N of a taxel, None outside.\"\n"
    "        if _index(row) >= self.rows or _index(col) >= self.cols:\n"
    "            return None\n"
    "        return self._item(\"forces\", row * self.cols + col)\n"
    "    def set_force(self, /, row, col, force):\n"
    "        \"Sets a taxel's force in N; outside nothing happens.\"\n"
    "        if _index(row) < self.rows and _index(col) < self.cols:\n"
    "            self._put(\"forces\", row * self.cols + col, force)\n"
    "class JoystickInput:\n"
    "    @staticmethod\n"
    "    def new_axis(joystick_id, axis_id, name, value):\n"
    "        \"An axis moved, to -1 .. 1.\"\n"
    "        return JoystickInput(joystick_id, axis_id, value, element_name=name)\n"
    "    @staticmethod\n"
    "    def new_button(joystick_id, button_id, name, pressed):\n"
    "        \"A button was pressed or let go.\"\n"
    "        return JoystickInput(joystick_id, button_id, float(pressed), pressed, event_type=\"button\",\n"
    "                             element_name=name)\n"
    "    @staticmethod\n"
    "    def new_hat(joystick_id, hat_id, name, value):\n"
    "        \"A hat moved.\"\n"
    "        return JoystickInput(joystick_id, hat_id, value, event_type=\"hat\", element_name=name)\n"
    "    @staticmethod\n"
    "    def new_connection(joystick_id, connected):\n"
    "        \"A joystick came or went.\"\n"
    "        return JoystickInput(joystick_id, 0, float(connected), event_type=\"connection\",\n"
    "                             element_name=\"Connected\" if connected else \"Disconnected\")\n"
    "    def is_axis(self, /):\n"
    "        \"Whether an axis moved.\"\n"
    "        return self.event_type == \"axis\"\n"
    "    def is_button(self, /):\n"
    "        \"Whether a button did.\"\n"
    "        return self.event_type == \"button\"\n"
    "    def is_hat(self, /):\n"
    "        \"Whether a hat did.\"\n"
    "        return self.event_type == \"hat\"\n"
    "    def is_connection_event(self, /):\n"
    "        \"Whether a joystick came or went.\"\n"
    "        return self.event_type == \"connection\"\n"
    "    def is_connected(self, /):\n"
    "        \"Whether a joystick came.\"\n"
    "        return self.is_connection_event() and self.value > 0.5\n"
    "    @property\n"
    "    def timestamp_ms(self):\n"
    "        \"timestamp_ns in ms.\"\n"
    "        return self.timestamp_ns // 10 ** 6\n"
    "    @timestamp_ms.setter\n"
    "    def timestamp_ms(self, ms):\n"
    "        self.timestamp_ns = ms * 10 ** 6\n",

    "class KeyboardInput:\n"
    "    @property\n"
    "    def timestamp_ms(self):\n"
    "        \"timestamp_ns in ms.\"\n"
    "        return self.timestamp_ns // 10 ** 6\n"
    "    @timestamp_ms.setter\n"
    "    def timestamp_ms(self, ms):\n"
    "        self.timestamp_ns = ms * 10 ** 6\n"
    "    def is_ctrl(self, /):\n"
    "        \"Whether ctrl was held.\"\n"
    "        return self.modifier_flags & 1 != 0\n"
    "    def is_alt(self, /):\n"
    "        \"Whether alt was held.\"\n"
    "        return self.modifier_flags & 2 != 0\n"
    "    def is_shift(self, /):\n"
    "        \"Whether shift was held.\"\n"
    "        return self.modifier_flags & 4 != 0\n"
    "class CompressedImage:\n"
    "    def data_len(self, /):\n"
    "        \"Bytes of data.\"\n"
    "        return self._count(\"data\")\n",

    "class CameraInfo:\n"
    "    def focal_lengths(self, /):\n"
    "        \"(fx, fy) in px.\"\n"
    "        return self.camera_matrix[0], self.camera_matrix[4]\n"
    "    def principal_point(self, /):\n"
    "        \"(cx, cy) in px.\"\n"
    "        return self.camera_matrix[2], self.camera_matrix[5]\n"
    "    def with_distortion_model(self, /, model):\n"
    "        \"A copy with the name of a distortion model.\"\n"
    "        return _with(self, distortion_model=model)\n"
    "class StereoInfo:\n"
    "    def depth_from_disparity(self, /, disparity):\n"
    "        \"Depth in m of a disparity in px; inf from 0 down.\"\n"
    "        f = self.left_camera.camera_matrix[0]\n"
    "        return f * self.baseline / disparity if disparity > 0 else math.inf\n"
    "    def disparity_from_depth(self, /, depth):\n"
    "        \"Disparity in px of a depth in m; 0 from 0 down.\"\n"
    "        return self.left_camera.camera_matrix[0] * self.baseline / depth if depth > 0 else 0.0\n"
    "class RegionOfInterest:\n"
    "    def area(self, /):\n"
    "        \"In px.\"\n"
    "        return self.width * self.height\n"
    "    def contains(self, /, x, y):\n"
    "        \"Whether a pixel is inside.\"\n"
    "        return (self.x_offset <= x < self.x_offset + self.width and\n"
    "                self.y_offset <= y < self.y_offset + self.height)\n"
    "class BoundingBox2D:\n"
    "    @staticmethod\n"
    "    def from_center(cx, cy, width, height):\n"
    "        \"From its centre and size in px.\"\n"
    "        return BoundingBox2D(cx - width / 2, cy - height / 2, width, height)\n"
    "    @property\n"
    "    def area(self):\n"
    "        \"In px.\"\n"
    "        return self.width * self.height\n"
    "    @property\n"
    "    def center_x(self):\n"
    "        \"In px.\"\n"
    "        return self.x + self.width / 2\n"
    "    @property\n"
    "    def center_y(self):\n"
    "        \"In px.\"\n"
    "        return self.y + self.height / 2\n"
    "    @property\n"
    "    def x_min(self):\n"
    "        \"Left edge in px. Assigning keeps the right one.\"\n"
    "        return self.x\n"
    "    @x_min.setter\n"
    "    def x_min(self, v):\n"
    "        self.x, self.width = v, self.x + self.width - v\n"
    "    @property\n"
    "    def y_min(self):\n"
    "        \"Upper edge in px. Assigning keeps the lower one.\"\n"
    "        return self.y\n"
    "    @y_min.setter\n"
    "    def y_min(self, v):\n"
    "        self.y, self.height = v, self.y + self.height - v\n"
    "    @property\n"
    "    def x_max(self):\n"
    "        \"Right edge in px.\"\n"
    "        return self.x + self.width\n"
    "    @x_max.setter\n"
    "    def x_max(self, v):\n"
    "        self.width = v - self.x\n"
    "    @property\n"
    "    def y_max(self):\n"
    "        \"Lower edge in px.\"\n"
    "        return self.y + self.height\n"
    "    @y_max.setter\n"
    "    def y_max(self, v):\n"
    "        self.height = v - self.y\n"
    "    def as_tuple(self, /):\n"
    "        \"(x, y, width, height)\"\n"
    "        return self.x, self.y, self.width, self.height\n"
    "    def as_xyxy(self, /):\n"
    "        \"(x_min, y_min, x_max, y_max)\"\n"
    "        return self.x, self.y, self.x + self.width, self.y + self.height\n"
    "    def iou(self, /, other):\n"
    "        \"Intersection by union with another box, 0 .. 1; 0 if both are empty.\"\n"
    "        w = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)\n"
    "        h = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)\n"
    "        both = max(w, 0.0) * max(h, 0.0)\n"
    "        union = self.area + other.area - both\n"
    "        return both / union if union > 0 else 0.0\n"
    "class BoundingBox3D:\n"
    "    @staticmethod\n"
    "    def with_rotation(cx, cy, cz, length, width, height, roll, pitch, yaw):\n"
    "        \"With angles in rad.\"\n"
    "        return BoundingBox3D(cx, cy, cz, length, width, height, yaw, roll=roll, pitch=pitch)\n"
    "    @property\n"
    "    def volume(self):\n"
    "        \"In m^3.\"\n"
    "        return self.length * self.width * self.height\n"
    "class Detection:\n"
    "    def is_confident(self, /, threshold):\n"
    "        \"Whether confidence is at least a threshold.\"\n"
    "        return self.confidence >= threshold\n"
    "    def with_class_id(self, /, class_id):\n"
    "        \"A copy with this class_id.\"\n"
    "        return _with(self, class_id=class_id)\n"
    "class Detection3D:\n"
    "    def with_velocity(self, /, vx, vy, vz):\n"
    "        \"A copy with a velocity in m/s.\"\n"
    "        return _with(self, velocity_x=vx, velocity_y=vy, velocity_z=vz)\n",

    "class DetectionList:\n"
    "    @staticmethod\n"
    "    def from_list(detections):\n"
    "        \"From any number of Detection.\"\n"
    "        return DetectionList(items=detections)\n"
    "    def append(self, /, detection):\n"
    "        \"Adds a Detection.\"\n"
    "        self._append(\"items\", detection)\n"
    "    def __len__(self, /):\n"
    "        return self._count(\"items\")\n"
    "    def __getitem__(self, index, /):\n"
    "        return self._item(\"items\", index)\n"
    "    def __iter__(self, /):\n"
    "        return iter(self.items)\n"
    "    def filter_class(self, /, class_name):\n"
    "        \"Those of a class, a DetectionList.\"\n"
    "        return _with(self, items=[d for d in self.items if d.class_name == class_name])\n"
    "    def filter_confidence(self, /, threshold):\n"
    "        \"Those with at least a confidence, a DetectionList.\"\n"
    "        return _with(self, items=[d for d in self.items if d.confidence >= threshold])\n"
    "    def to_dicts(self, /):\n"
    "        \"A list of dicts, for JSON; bbox is (x, y, width, height).\"\n"
    "        return [{\"class_name\": d.class_name, \"confidence\": d.confidence, \"class_id\": d.class_id,\n"
    "                 \"instance_id\": d.instance_id, \"bbox\": d.bbox.as_tuple()} for d in self.items]\n",

    "class SegmentationMask:\n"
    "    @staticmethod\n"
    "    def semantic(width, height, num_classes):\n"
    "        \"A class per pixel.\"\n"
    "        return SegmentationMask(width, height, 0, num_classes)\n"
    "    @staticmethod\n"
    "    def instance(width, height):\n"
    "        \"An instance per pixel.\"\n"
    "        return SegmentationMask(width, height, 1)\n"
    "    @staticmethod\n"
    "    def panoptic(width, height, num_classes):\n"
    "        \"Class and instance per pixel.\"\n"
    "        return SegmentationMask(width, height, 2, num_classes)\n"
    "    def is_semantic(self, /):\n"
    "        \"mask_type 0\"\n"
    "        return self.mask_type == 0\n"
    "    def is_instance(self, /):\n"
    "        \"mask_type 1\"\n"
    "        return self.mask_type == 1\n"
    "    def is_panoptic(self, /):\n"
    "        \"mask_type 2\"\n"
    "        return self.mask_type == 2\n"
    "    def data_size(self, /):\n"
    "        \"Bytes of labels of one byte each.\"\n"
    "        return self.width * self.height\n"
    "    def data_size_u16(self, /):\n"
    "        \"Bytes of labels of two bytes each.\"\n"
    "        return self.width * self.height * 2\n"
    "class TrackedObject:\n"
    "    @property\n"
    "    def velocity(self):\n"
    "        \"(velocity_x, velocity_y) in px per frame.\"\n"
    "        return self.velocity_x, self.velocity_y\n"
    "    def speed(self, /):\n"
    "        \"In px per frame.\"\n"
    "        return math.hypot(self.velocity_x, self.velocity_y)\n"
    "    def heading(self, /):\n"
    "        \"In rad, from x towards y.\"\n"
    "        return math.atan2(self.velocity_y, self.velocity_x)\n"
    "    def is_tentative(self, /):\n"
    "        \"state 0\"\n"
    "        return self.state == 0\n"
    "    def is_confirmed(self, /):\n"
    "        \"state 1\"\n"
    "        return self.state == 1\n"
    "    def is_deleted(self, /):\n"
    "        \"state 2\"\n"
    "        return self.state == 2\n"
    "    def confirm(self, /):\n"
    "        \"state becomes 1.\"\n"
    "        self.state = 1\n"
    "    def delete(self, /):\n"
    "        \"state becomes 2.\"\n"
    "        self.state = 2\n"
    "    def update(self, /, bbox, confidence):\n"
    "        \"Seen again at a BoundingBox2D: velocity is how far its centre moved.\"\n"
    "        vx, vy = bbox.center_x - self.bbox.center_x, bbox.center_y - self.bbox.center_y\n"
    "        self.bbox, self.confidence, self.velocity_x, self.velocity_y = bbox, confidence, vx, vy\n"
    "        self.age, self.hits, self.time_since_update = self.age + 1, self.hits + 1, 0\n"
    "    def mark_missed(self, /):\n"
    "        \"Not seen in this frame: predicted_bbox moves on from bbox by the velocity.\"\n"
    "        self.age, self.time_since_update = self.age + 1, self.time_since_update + 1\n"
    "        b = self.bbox\n"
    "        self.predicted_bbox = BoundingBox2D(b.x + self.velocity_x, b.y + self.velocity_y, b.width,\n"
    "                                            b.height)\n"
    "class TrackingHeader:\n"
    "    def data_size(self, /):\n"
    "        \"Bytes that its tracks take.\"\n"
    "        return self.num_tracks * 96\n"
    "class Landmark:\n"
    "    @staticmethod\n"
    "    def visible(x, y, index):\n"
    "        \"Visibility 1.\"\n"
    "        return Landmark(x, y, 1.0, index)\n"
    "    def is_visible(self, /, threshold):\n"
    "        \"Whether visibility is at least a threshold.\"\n"
    "        return self.visibility >= threshold\n"
    "    def distance_to(self, /, other):\n"
    "        \"In the unit of x and y.\"\n"
    "        return math.hypot(self.x - other.x, self.y - other.y)\n"
    "class Landmark3D:\n"
    "    @staticmethod\n"
    "    def visible(x, y, z, index):\n"
    "        \"Visibility 1.\"\n"
    "        return Landmark3D(x, y, z, 1.0, index)\n"
    "    def is_visible(self, /, threshold):\n"
    "        \"Whether visibility is at least a threshold.\"\n"
    "        return self.visibility >= threshold\n"
    "    def distance_to(self, /, other):\n"
    "        \"In the unit of x, y, z.\"\n"
    "        return math.dist((self.x, self.y, self.z), (other.x, other.y, other.z))\n"
    "    def to_2d(self, /):\n"
    "        \"The same without z, a Landmark.\"\n"
    "        return Landmark(self.x, self.y, self.visibility, self.index)\n",

    "class LandmarkArray:\n"
    "    @staticmethod\n"
    "    def coco_pose():\n"
    "        \"17 keypoints, 2D.\"\n"
    "        return LandmarkArray(17, 2)\n"
    "    @staticmethod\n"
    "    def mediapipe_pose():\n"
    "        \"33 keypoints, 3D.\"\n"
    "        return LandmarkArray(33, 3)\n"
    "    @staticmethod\n"
    "    def mediapipe_hand():\n"
    "        \"21 keypoints, 3D.\"\n"
    "        return LandmarkArray(21, 3)\n"
    "    @staticmethod\n"
    "    def mediapipe_face():\n"
    "        \"468 keypoints, 3D.\"\n"
    "        return LandmarkArray(468, 3)\n"
    "    def data_size(self, /):\n"
    "        \"Bytes of its keypoints: 16 each in 2D, 20 in 3D.\"\n"
    "        return self.num_landmarks * (20 if self.dimension == 3 else 16)\n"
    "class PlaneDetection:\n"
    "    def distance_to_point(self, /, px, py, pz):\n"
    "        \"Distance in m of a point, on either side; inf if the plane has no direction.\"\n"
    "        a, b, c, d = self.coefficients\n"
    "        n = math.hypot(a, b, c)\n"
    "        return abs(a * px + b * py + c * pz + d) / n if n > 0 else math.inf\n"
    "    def contains_point(self, /, px, py, pz, tolerance):\n"
    "        \"Whether a point is at most so many m away.\"\n"
    "        return self.distance_to_point(px, py, pz) <= tolerance\n"
    "class PlaneArray:\n"
    "    def add_plane(self, /, plane):\n"
    "        \"Adds a PlaneDetection.\"\n"
    "        self._append(\"planes\", plane)\n"
    "    @property\n"
    "    def count(self):\n"
    "        \"How many planes.\"\n"
    "        return self._count(\"planes\")\n"
    "    def __len__(self, /):\n"
    "        return self._count(\"planes\")\n"
    "    def __getitem__(self, index, /):\n"
    "        return self._item(\"planes\", index)\n"
    "class PointField:\n"
    "    def field_size(self, /):\n"
    "        \"Bytes that it takes in a point.\"\n"
    "        return self.count * ((4, 8, 2, 2, 1, 2, 4, 8, 1, 2, 4)[self.datatype]\n"
    "                             if self.datatype < 11 else 4)\n"
    /* clang-format on */
};

/* ------------------------------------------------------------------------------------ >>classes
 *
 * A class of Python from a horus_type and its row of the table. */

/* Writes a literal of the table into a place of a fixed part: a number, inf, True or a text. */
static void horusp_literal(uint8_t *fixed, const horusp_where *p, const char *text, size_t n)
{
    char word[32];
    uint8_t value[8] = {0};
    if (n >= sizeof word)
        return;
    memcpy(word, text, n);
    word[n] = 0;
    if (p->scalar == HORUS_SCALAR_text) {
        if (n > 2) /* 'text' */
            memcpy(fixed + p->offset, word + 1, n - 2);
        return;
    }
    double d = strcmp(word, "True") == 0    ? 1
               : strcmp(word, "False") == 0 ? 0
                                            : PyOS_string_to_double(word, NULL, NULL);
    if (p->scalar == HORUS_SCALAR_f32 || p->scalar == HORUS_SCALAR_f64)
        (void)horusp_set_double(value, p, d);
    else
        (void)horusp_put_integer(value, p, (int64_t)d, false);
    for (uint32_t i = 0; i < p->count; i++)
        memcpy(fixed + p->offset + i * horusp_elem_bytes(p), value, horusp_elem_bytes(p));
}
/* The place that "bbox.x" or "covariance.0" means. */
static bool horusp_path(const horusp_class *c, const char *path, size_t n, horusp_where *out)
{
    const char *dot = memchr(path, '.', n);
    const horusp_where *p = horusp_find(c, path, dot ? (size_t)(dot - path) : n);
    if (!p)
        return false;
    *out = *p;
    if (!dot)
        return true;
    if (p->nested) {
        if (!horusp_path(p->nested, dot + 1, n - (size_t)(dot + 1 - path), out))
            return false;
        out->offset += p->offset;
    } else {
        out->offset += (uint32_t)(strtoul(dot + 1, NULL, 10) * horusp_elem_bytes(p));
        out->count = 1;
        out->shape = HORUSP_ONE;
    }
    out->of = c;
    return true;
}

static int horusp_no_memory(void)
{
    PyErr_NoMemory();
    return -1;
}
/* What a class shows in its signature for a field's default. */
static const char *horusp_default(const horusp_where *p)
{
    if (p->shape != HORUSP_ONE || p->nested)
        return "None";
    if (p->scalar == HORUS_SCALAR_text)
        return "''";
    if (p->scalar == HORUS_SCALAR_bool8)
        return "False";
    return p->scalar == HORUS_SCALAR_f32 || p->scalar == HORUS_SCALAR_f64 ? "0.0" : "0";
}

/* Adds a parameter "name>target>target=default"; its name is its target where it has none. */
static int horusp_add_param(horusp_class *c, const char *word, size_t n)
{
    if (n == 1 && *word == '*') {
        c->positional = c->params;
        return 0;
    }
    horusp_param *p = &c->param[c->params];
    const char *equals = memchr(word, '=', n), *end = equals ? equals : word + n;
    const char *name_end = memchr(word, '>', (size_t)(end - word));
    const char *at = name_end ? name_end + 1 : word;
    if (!name_end)
        name_end = end;
    p->name = PyUnicode_FromStringAndSize(word, name_end - word);
    if (!p->name)
        return -1;
    c->params++;
    PyUnicode_InternInPlace(&p->name);
    while (at < end) {
        const char *next = memchr(at, '>', (size_t)(end - at));
        size_t length = (size_t)((next ? next : end) - at);
        if (*at == '@') {
            p->attribute = PyUnicode_FromStringAndSize(at + 1, (Py_ssize_t)length - 1);
            if (!p->attribute)
                return -1;
            PyUnicode_InternInPlace(&p->attribute);
        } else {
            horusp_where *t = &p->target[p->targets++];
            if (!horusp_path(c, at, length, t)) {
                PyErr_Format(PyExc_SystemError, "%s has no field %s", c->horus->name, at);
                return -1;
            }
            t->name = PyUnicode_AsUTF8(p->name); /* what messages speak of */
            if (!t->name)
                return -1;
        }
        at += length + 1;
    }
    p->shown = p->attribute ? "None" : horusp_default(&p->target[0]);
    if (equals) {
        size_t length = n - (size_t)(equals + 1 - word);
        char *shown = PyMem_Malloc(length + 1);
        if (!shown)
            return horusp_no_memory();
        memcpy(shown, equals + 1, length);
        shown[length] = 0;
        for (uint32_t t = 0; t < p->targets && *shown != '.'; t++)
            horusp_literal(c->fresh, &p->target[t], shown, length);
        p->shown = shown;
        if (strcmp(shown, "inf") == 0) { /* no literal of Python's */
            PyMem_Free(shown);
            p->shown = "...";
        }
    }
    return 0;
}

/* Calls `each` with every word of a list. */
static int horusp_words(horusp_class *c, const char *list,
                        int (*each)(horusp_class *c, const char *word, size_t n))
{
    while (list && *list) {
        size_t n = strcspn(list, " ");
        if (n && each(c, list, n) < 0)
            return -1;
        list += n + (list[n] == ' ');
    }
    return 0;
}
static int horusp_add_fresh(horusp_class *c, const char *word, size_t n)
{
    horusp_where p;
    const char *equals = memchr(word, '=', n);
    if (!equals) { /* "now", or "tuple:field" */
        const char *colon = memchr(word, ':', n);
        horusp_where *field =
            colon ? horusp_find(c, colon + 1, n - (size_t)(colon + 1 - word)) : NULL;
        if (field)
            field->shape = HORUSP_TUPLE;
        else
            c->stamp = true;
    } else if (horusp_path(c, word, (size_t)(equals - word), &p)) {
        horusp_literal(c->fresh, &p, equals + 1, n - (size_t)(equals + 1 - word));
    }
    return 0;
}

static int horusp_add_checks(horusp_class *c, const horusp_class *of, uint32_t base,
                             bool count_only)
{
    for (uint32_t i = 0; i < of->fields; i++) {
        const horusp_where *p = &of->field[i];
        if (p->count == 0)
            continue;
        if (p->nested)
            (void)horusp_add_checks(c, p->nested, base + p->offset, count_only);
        if (p->scalar == HORUS_SCALAR_text || p->scalar == HORUS_SCALAR_bool8) {
            if (!count_only)
                c->check[c->checks] = (horusp_check){base + p->offset, p->count, p->scalar};
            c->checks++;
        }
    }
    return 0;
}

/* "float32[3]" and the like: for documentation. */
static PyObject *horusp_type_text(const horusp_where *p)
{
    const char *name = p->nested ? p->nested->horus->name : horusp_scalars[p->scalar].name;
    if (p->shape == HORUSP_NAMES)
        return PyUnicode_FromString("list of str");
    if (p->scalar == HORUS_SCALAR_text)
        return PyUnicode_FromFormat("str of at most %u bytes", (unsigned)(p->count - 1));
    if (p->count == 0)
        return PyUnicode_FromFormat("%s[]", name);
    return p->shape == HORUSP_ONE ? PyUnicode_FromString(name)
                                  : PyUnicode_FromFormat("%s[%u]", name, (unsigned)p->count);
}
/* A copy that lives as long as the process, as types do. */
static char *horusp_keep(PyObject *text)
{
    Py_ssize_t n;
    const char *s = text ? PyUnicode_AsUTF8AndSize(text, &n) : NULL;
    char *kept = s ? PyMem_Malloc((size_t)n + 1) : NULL;
    if (kept)
        memcpy(kept, s, (size_t)n + 1);
    else if (s)
        PyErr_NoMemory();
    Py_XDECREF(text);
    return kept;
}
static char *horusp_doc(const horusp_class *c, const char *doc)
{
    static const char spaces[] = "                        ";
    PyObject *all = PyUnicode_FromFormat("%s(", c->horus->name), *more;
    for (uint32_t i = 0; all && i < c->params; i++) {
        const char *comma = i == 0 ? "" : ", ";
        more = PyUnicode_FromFormat("%s%s%U=%s", comma, i == c->positional ? "*, " : "",
                                    c->param[i].name, c->param[i].shown);
        PyUnicode_Append(&all, more);
        Py_XDECREF(more);
    }
    more = all ? PyUnicode_FromFormat(")\n--\n\n%s\n", doc) : NULL;
    if (all)
        PyUnicode_Append(&all, more);
    Py_XDECREF(more);
    for (uint32_t i = 0; all && i < c->fields; i++) {
        PyObject *type = horusp_type_text(&c->field[i]);
        more = type ? PyUnicode_FromFormat("\n    %s%s%U", c->field[i].name,
                                           &spaces[strlen(c->field[i].name) % 24], type)
                    : NULL;
        PyUnicode_Append(&all, more);
        Py_XDECREF(more);
        Py_XDECREF(type);
    }
    return horusp_keep(all);
}

static int horusp_add_field_param(horusp_class *c, const horusp_where *p)
{
    char word[256], shown[48] = "";
    const uint8_t *at = c->fresh + p->offset; /* a default that the table gave shows */
    float f;
    for (uint32_t i = 0; i < c->params; i++)
        if (PyUnicode_CompareWithASCIIString(c->param[i].name, p->name) == 0)
            return 0;
    if (p->scalar == HORUS_SCALAR_text) {
        (void)snprintf(shown, sizeof shown, "='%.40s'", (const char *)at);
    } else if (p->scalar == HORUS_SCALAR_f32 && p->shape == HORUSP_ONE) {
        memcpy(&f, at, 4); /* 0.1, not what it is as a double */
        (void)snprintf(shown, sizeof shown, "=%.7g", (double)f);
        if (!shown[strcspn(shown, ".en")])
            strcat(shown, ".0");
    } else if (p->shape == HORUSP_ONE && !p->nested) {
        PyObject *v = horusp_word(at, p->scalar), *r = v ? PyObject_Repr(v) : NULL;
        if (r && PyUnicode_AsUTF8(r))
            (void)snprintf(shown, sizeof shown, "=%.40s", PyUnicode_AsUTF8(r));
        Py_XDECREF(r);
        Py_XDECREF(v);
        if (!r)
            return -1;
    }
    (void)snprintf(word, sizeof word, "%.200s%s", p->name, shown);
    return horusp_add_param(c, word, strlen(word));
}

static void horusp_class_free(horusp_class *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; c->param && i < c->params; i++) {
        Py_XDECREF(c->param[i].name);
        Py_XDECREF(c->param[i].attribute);
    }
    PyMem_Free(c->field);
    PyMem_Free(c->variable);
    PyMem_Free(c->check);
    PyMem_Free(c->param);
    PyMem_Free(c->fresh);
    PyMem_Free(c);
}

#define HORUSP_SLOT(f) (void *)(uintptr_t)(f) /* ISO C has no function in a void pointer */

/* Makes the class of a type. module: where Python says it is from. NULL with an exception. */
static horusp_class *horusp_class_new(const horus_type *type, const horusp_spec *spec,
                                      const char *module, bool added)
{
    uint32_t n = 0;
    const horus_field *f = type->fields(&n);
    horusp_class *c = PyMem_Calloc(1, sizeof *c);
    PyGetSetDef *attributes = PyMem_Calloc(n + 1, sizeof *attributes); /* lives with the type */
    PyObject *made = NULL, *text = NULL;
    char *full = NULL, *doc = NULL;
    if (!c || !attributes)
        goto failed;
    c->horus = type;
    c->own = spec != NULL;
    c->added = added;
    c->size = type->size;
    c->tag = horus_type_tag(type);
    c->field = PyMem_Calloc(n, sizeof *c->field);
    c->variable = PyMem_Calloc(n, sizeof *c->variable);
    c->param = PyMem_Calloc(HORUSP_PARAMS, sizeof *c->param);
    c->fresh = PyMem_Calloc(1, c->size);
    if (!c->field || !c->variable || !c->param || !c->fresh)
        goto failed;
    c->fields = n;
    for (uint32_t i = 0; i < n; i++) {
        horusp_where *p = &c->field[i];
        *p = (horusp_where){.name = f[i].name,
                            .of = c,
                            .offset = f[i].offset,
                            .count = f[i].count,
                            .scalar = f[i].scalar};
        for (horusp_class *k = horusp_classes; f[i].nested && k && !p->nested; k = k->next)
            p->nested = k->horus == f[i].nested ? k : NULL;
        if (p->nested) {
            c->depth = c->depth > p->nested->depth ? c->depth : p->nested->depth + 1;
            if (p->count)
                memcpy(c->fresh + p->offset, p->nested->fresh, p->nested->size);
        }
        if (p->count == 0) {
            p->index = c->variables;
            c->variable[c->variables++] = p;
        }
        bool one = p->count == 1 || p->scalar == HORUS_SCALAR_text;
        p->shape = one ? HORUSP_ONE : HORUSP_LIST;
        if (p->count == 0 && p->scalar == HORUS_SCALAR_u8)
            p->shape = spec && strcmp(p->name, "names") == 0 ? HORUSP_NAMES : HORUSP_RAW;
    }
    (void)horusp_add_checks(c, c, 0, true);
    c->check = PyMem_Calloc(c->checks + 1, sizeof *c->check);
    if (!c->check)
        goto failed;
    c->checks = 0;
    (void)horusp_add_checks(c, c, 0, false);

    if (spec && horusp_words(c, spec->fresh, horusp_add_fresh) < 0)
        goto failed;
    if (spec && spec->params && horusp_words(c, spec->params, horusp_add_param) < 0)
        goto failed;
    if (c->positional == 0)
        c->positional = c->params;
    for (uint32_t i = 0; i < n; i++) /* what the list leaves out: by keyword */
        if (horusp_add_field_param(c, &c->field[spec || added ? (i + 1) % n : i]) < 0)
            goto failed;
    if (!spec || !spec->params)
        c->positional = c->params;
    if (horusp_find(c, "names", 5) && horusp_find(c, "names", 5)->shape == HORUSP_NAMES)
        c->fill = HORUSP_FILL_JOINTS;
    else if (spec && strcmp(type->name, "OccupancyGrid") == 0)
        c->fill = HORUSP_FILL_GRID;
    else if (spec && strcmp(type->name, "TactileArray") == 0)
        c->fill = HORUSP_FILL_TAXELS;

    for (uint32_t i = 0; i < n; i++) {
        const horusp_where *p = &c->field[i];
        char *about = horusp_keep(horusp_type_text(p));
        if (!about)
            goto failed;
        attributes[i] = (PyGetSetDef){p->name, horusp_get, horusp_set, about, &c->field[i]};
        if (p->shape == HORUSP_ONE && p->scalar == HORUS_SCALAR_f64)
            attributes[i].get = horusp_get_f64;
        if (p->shape == HORUSP_ONE && p->scalar == HORUS_SCALAR_f32)
            attributes[i].get = horusp_get_f32;
    }
    full = horusp_keep(PyUnicode_FromFormat("%s.%s", module, type->name));
    doc = full ? horusp_doc(c, spec ? spec->doc : "A message type of this program.") : NULL;
    if (!doc)
        goto failed;
    PyType_Slot slots[] = {
        {Py_tp_doc, doc},
        {Py_tp_new, HORUSP_SLOT(horusp_message_tp_new)},
        {Py_tp_dealloc, HORUSP_SLOT(horusp_message_dealloc)},
        {Py_tp_getset, attributes},
        {Py_tp_methods, horusp_message_methods},
        {Py_tp_repr, HORUSP_SLOT(horusp_message_repr)},
        {Py_tp_richcompare, HORUSP_SLOT(horusp_message_compare)},
        {Py_tp_hash, HORUSP_SLOT(PyObject_HashNotImplemented)},
        {Py_nb_bool, HORUSP_SLOT(horusp_message_true)},
        {0, NULL},
    };
    PyType_Spec of = {full, (int)(sizeof(horusp_message) + c->size), 0, Py_TPFLAGS_DEFAULT, slots};
    made = PyType_FromSpec(&of);
    if (!made)
        goto failed;
    ((PyTypeObject *)made)->tp_vectorcall = horusp_message_vectorcall;
#if PY_VERSION_HEX < 0x030a0000 /* cuts the signature off */
    char *whole = PyObject_Malloc(strlen(doc) + 1);
    if (!whole)
        goto failed;
    PyObject_Free((void *)(uintptr_t)((PyTypeObject *)made)->tp_doc);
    ((PyTypeObject *)made)->tp_doc = strcpy(whole, doc);
#endif
    text = PyUnicode_FromString(type->topic);
    if (!text || PyObject_SetAttrString(made, "__topic_name__", text) < 0)
        goto failed;
    Py_DECREF(text);
    text = PyLong_FromUnsignedLong(c->tag);
    if (!text || PyObject_SetAttrString(made, "__type_tag__", text) < 0)
        goto failed;
    Py_DECREF(text);
    c->type = (PyTypeObject *)made;
    c->next = horusp_classes;
    horusp_classes = c;
    for (uint32_t i = c->tag;; i++)
        if (!horusp_by_tag[i % 1024]) { /* at most 400 of 1024 are ever taken */
            horusp_by_tag[i % 1024] = c;
            break;
        }
    return c;
failed:
    if (!PyErr_Occurred())
        PyErr_NoMemory();
    Py_XDECREF(text);
    Py_XDECREF(made);
    PyMem_Free(full);
    horusp_class_free(c);
    return NULL; /* the few words of an unfinished type's attributes stay */
}

/* Every class answers is_valid(), unless it has a field of that name. */
static PyObject *horusp_is_valid;
static int horusp_add_is_valid(const horusp_class *c)
{
    if (PyObject_HasAttrString((PyObject *)c->type, "is_valid"))
        return 0;
    return PyObject_SetAttrString((PyObject *)c->type, "is_valid", horusp_is_valid);
}

/* ------------------------------------------------------------------------------------ >>definitions
 *
 * horus.message(), which makes a class of a user's own, and the import of all classes. */

static const horus_field *horusp_user_list(uint32_t *count, uint32_t which)
{
    *count = horusp_user[which].fields;
    return horusp_user[which].field;
}
/* horus_type asks for its fields by a function without an argument: so one for each user type. */
/* clang-format off */
#define HORUSP_USER(n)                                                                             \
    static const horus_field *horusp_user_##n(uint32_t *count) { return horusp_user_list(count, n); }
/* clang-format off */
#define HORUSP_USER_NAME(n) horusp_user_##n,
#define HORUSP_16(X, n) \
    X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) \
    X(n##8) X(n##9) X(n##a) X(n##b) X(n##c) X(n##d) X(n##e) X(n##f)
#define HORUSP_256(X) \
    HORUSP_16(X, 0x0) HORUSP_16(X, 0x1) HORUSP_16(X, 0x2) HORUSP_16(X, 0x3) \
    HORUSP_16(X, 0x4) HORUSP_16(X, 0x5) HORUSP_16(X, 0x6) HORUSP_16(X, 0x7) \
    HORUSP_16(X, 0x8) HORUSP_16(X, 0x9) HORUSP_16(X, 0xa) HORUSP_16(X, 0xb) \
    HORUSP_16(X, 0xc) HORUSP_16(X, 0xd) HORUSP_16(X, 0xe) HORUSP_16(X, 0xf)
/* clang-format on */
HORUSP_256(HORUSP_USER)
static const horus_field *(*const horusp_user_function[])(uint32_t *) = {
    HORUSP_256(HORUSP_USER_NAME)};

static uint32_t horusp_align(const horus_field *f)
{
    uint32_t n, most = 1;
    if (f->count == 0)
        return 4;
    if (f->scalar != HORUS_SCALAR_message)
        return horusp_scalars[f->scalar].bytes;
    const horus_field *inner = f->nested->fields(&n);
    for (uint32_t i = 0; i < n; i++)
        most = horusp_align(&inner[i]) > most ? horusp_align(&inner[i]) : most;
    return most;
}

/* One field from what the user wrote for its type: 0, or -1 with an exception. */
static int horusp_parse_field(horus_field *out, PyObject *name, PyObject *type)
{
    static const struct {
        const char *name;
        uint32_t scalar;
    } words[] = {
        {"uint8", HORUS_SCALAR_u8},    {"int8", HORUS_SCALAR_i8},    {"uint16", HORUS_SCALAR_u16},
        {"int16", HORUS_SCALAR_i16},   {"uint32", HORUS_SCALAR_u32}, {"int32", HORUS_SCALAR_i32},
        {"uint64", HORUS_SCALAR_u64},  {"int64", HORUS_SCALAR_i64},  {"float32", HORUS_SCALAR_f32},
        {"float64", HORUS_SCALAR_f64}, {"bool", HORUS_SCALAR_bool8}, {"u8", HORUS_SCALAR_u8},
        {"i8", HORUS_SCALAR_i8},       {"u16", HORUS_SCALAR_u16},    {"i16", HORUS_SCALAR_i16},
        {"u32", HORUS_SCALAR_u32},     {"i32", HORUS_SCALAR_i32},    {"u64", HORUS_SCALAR_u64},
        {"i64", HORUS_SCALAR_i64},     {"f32", HORUS_SCALAR_f32},    {"f64", HORUS_SCALAR_f64},
        {"bool8", HORUS_SCALAR_bool8}, {"float", HORUS_SCALAR_f64},  {"int", HORUS_SCALAR_i64},
        {"text", HORUS_SCALAR_text}};
    const horusp_class *c;
    PyObject *elem = type;
    bool list = PyList_Check(type) && PyList_GET_SIZE(type) == 1;
    if (list)
        elem = PyList_GET_ITEM(type, 0);
    out->count = list ? 0 : 1;
    if (elem == (PyObject *)&PyFloat_Type || elem == (PyObject *)&PyLong_Type ||
        elem == (PyObject *)&PyBool_Type) {
        out->scalar = elem == (PyObject *)&PyFloat_Type  ? HORUS_SCALAR_f64
                      : elem == (PyObject *)&PyBool_Type ? HORUS_SCALAR_bool8
                                                         : HORUS_SCALAR_i64;
        return 0;
    }
    c = horusp_class_of(elem);
    if (c) {
        if (c->variables || c->depth > 14) {
            horusp_refuse(HORUSP_VALUE_ERROR, "field %R: %s %s and cannot be nested", name,
                          c->horus->name,
                          c->variables ? "has variable fields" : "is nested too deep already");
            return -1;
        }
        out->nested = c->horus;
        out->scalar = HORUS_SCALAR_message;
        return 0;
    }
    const char *s = PyUnicode_Check(elem) ? horusp_utf8(elem, NULL) : NULL;
    if (PyErr_Occurred())
        return -1;
    for (size_t i = 0; s && i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i].name);
        const char *rest = s + n;
        if (strncmp(s, words[i].name, n) != 0 || (*rest && *rest != '['))
            continue;
        out->scalar = words[i].scalar;
        if (!*rest && out->scalar != HORUS_SCALAR_text)
            return 0;
        if (strcmp(rest, "[]") == 0 && out->scalar != HORUS_SCALAR_text && !list) {
            out->count = 0;
            return 0;
        }
        char *end = NULL;
        unsigned long long many = *rest == '[' && rest[1] >= '1' && rest[1] <= '9' && !list
                                      ? strtoull(rest + 1, &end, 10)
                                      : 0;
        if (many && many < 1u << 24 && strcmp(end, "]") == 0) {
            out->count = (uint32_t)many;
            return 0;
        }
    }
    horusp_refuse(HORUSP_VALUE_ERROR,
                  "field %R: %R is no type; wanted 'float32', 'int16[4]', 'uint8[]', 'text[64]', "
                  "'bool', a message class, [a message class] and the like",
                  name, type);
    return -1;
}

/* name: a str and of no subclass, whose methods could run anything. */
static PyObject *horusp_message_defined(PyObject *name, PyObject *kwargs)
{
    PyObject *key, *value, *result = NULL;
    Py_ssize_t at = 0;
    uint32_t n = 0, most = 1;
    uint64_t size = 0;
    horus_field *f = NULL;
    horus_type *type = NULL;
    char *class_name = NULL, *topic = NULL;
    Py_ssize_t fields = kwargs ? PyDict_Size(kwargs) : 0;
    PyObject *stamp = kwargs ? PyDict_GetItemString(kwargs, "timestamp_ns") : NULL;
    bool added = stamp == NULL, bare = stamp == Py_None;
    fields -= bare;
    if (!PyUnicode_IsIdentifier(name) || !PyUnicode_IS_ASCII(name) ||
        PyUnicode_GET_LENGTH(name) > 63)
        return horusp_refuse(HORUSP_VALUE_ERROR,
                             "a message's name is an ASCII identifier of at most 63 bytes, not %R",
                             name);
    if (fields < 1 || fields >= HORUSP_PARAMS)
        return PyErr_Format(HORUSP_VALUE_ERROR, "message %U: %zd fields; 1 to %d are allowed", name,
                            fields, HORUSP_PARAMS - 1);
    const char *wanted = PyUnicode_AsUTF8(name);
    PyObject *taken_by = wanted ? horusp_message_class_by_name(wanted) : NULL;
    bool ours = taken_by && horusp_class_of(taken_by)->own;
    for (uint32_t k = HORUS_KIND_TENSOR; wanted && k <= HORUS_KIND_CLOUD; k++)
        ours = ours || strcmp(strrchr(horusp_type_of(k)->tp_name, '.') + 1, wanted) == 0;
    if (!wanted || ours)
        return wanted
                   ? PyErr_Format(HORUSP_VALUE_ERROR,
                                  "message %U: the module has a class of that name: choose another",
                                  name)
                   : NULL;
    f = PyMem_Calloc((size_t)fields + bare + added, sizeof *f);
    type = PyMem_Calloc(1, sizeof *type);
    Py_INCREF(name);
    class_name = horusp_keep(name);
    topic = class_name ? horusp_keep(PyObject_CallMethod(name, "lower", NULL)) : NULL;
    if (!f || !type || !class_name || !topic) {
        if (!PyErr_Occurred())
            PyErr_NoMemory();
        goto failed;
    }
    if (added) { /* every message has one: the first field, and the last parameter */
        PyObject *word = PyUnicode_FromString("timestamp_ns");
        f[n].name = horusp_keep(word);
        f[n].scalar = HORUS_SCALAR_u64;
        f[n].count = 1;
        if (!f[n++].name)
            goto failed;
        size = most = 8;
    }
    while (PyDict_Next(kwargs, &at, &key, &value)) {
        if (bare && value == Py_None && PyUnicode_CompareWithASCIIString(key, "timestamp_ns") == 0)
            continue;
        bool taken = PyUnicode_GET_LENGTH(key) == 0 || PyUnicode_READ_CHAR(key, 0) == '_';
        for (const PyMethodDef *d = horusp_message_methods; d->ml_name; d++)
            taken |= PyUnicode_CompareWithASCIIString(key, d->ml_name) == 0;
        if (taken || !PyUnicode_IsIdentifier(key) || PyUnicode_GET_LENGTH(key) > 63 ||
            !PyUnicode_IS_ASCII(key)) {
            horusp_refuse(HORUSP_VALUE_ERROR,
                          "message %U: %R cannot be a field: an ASCII identifier of at most 63 "
                          "bytes without a leading underscore, and no method's name",
                          name, key);
            goto failed;
        }
        if (horusp_parse_field(&f[n], key, value) < 0)
            goto failed;
        Py_INCREF(key);
        f[n].name = horusp_keep(key);
        if (!f[n++].name)
            goto failed;
        horus_field *one = &f[n - 1];
        uint32_t align = horusp_align(one);
        size = (size + align - 1) / align * align;
        one->offset = (uint32_t)size;
        size += one->count == 0 ? sizeof(horus_array)
                : one->nested   ? one->nested->size
                                : (uint64_t)one->count * horusp_scalars[one->scalar].bytes;
        most = align > most ? align : most;
        if (size >= 1u << 24) {
            PyErr_Format(HORUSP_VALUE_ERROR, "message %U: more than 16 MiB of fixed fields", name);
            goto failed;
        }
    }
    size = (size + most - 1) / most * most;
    /* From here on until the place is taken nothing runs that could make another message. */
    if (horusp_users == sizeof horusp_user / sizeof horusp_user[0]) {
        PyErr_Format(horusp.by_code[-HORUS_E_LIMIT],
                     "message %U: this process has made %u types already", name,
                     (unsigned)horusp_users);
        goto failed;
    }
    horusp_user[horusp_users].field = f;
    horusp_user[horusp_users].fields = n;
    *type = (horus_type){class_name, topic, horusp_user_function[horusp_users], (uint32_t)size,
                         HORUS_KIND_MESSAGE};
    result = horusp_message_class(horus_type_tag(type));
    if (result) { /* defined before, with the same fields: a module was loaded again */
        const horus_type *other = horusp_message_type(result);
        if (strcmp(other->name, type->name) != 0 || other->size != type->size) {
            PyErr_Format(HORUSP_VALUE_ERROR, "message %U has the type tag of %s: rename a field",
                         name, other->name);
            result = NULL;
        }
        Py_XINCREF(result);
        goto failed;
    }
    horusp_users++; /* taken, even if the class fails: its fields are known to a horus_type */
    PyObject *globals = PyEval_GetGlobals(); /* the caller's: for pickling */
    PyObject *word = PyUnicode_FromString("__name__");
    PyObject *where = globals && word ? PyDict_GetItemWithError(globals, word) : NULL;
    Py_XDECREF(word);
    const char *from = where && PyUnicode_Check(where) ? PyUnicode_AsUTF8(where) : NULL;
    PyErr_Clear();
    horusp_class *c = horusp_class_new(type, NULL, from ? from : "__main__", added);
    if (c) {
        c->bare = bare;
        if (horusp_add_is_valid(c) < 0)
            return NULL;
    }
    Py_XINCREF(c ? (PyObject *)c->type : NULL);
    return c ? (PyObject *)c->type : NULL;
failed:
    for (uint32_t i = 0; i < n; i++)
        PyMem_Free((void *)(uintptr_t)f[i].name);
    PyMem_Free(f);
    PyMem_Free(type);
    PyMem_Free(class_name);
    PyMem_Free(topic);
    return result;
}
static PyObject *horusp_message_define(PyObject *module, PyObject *args, PyObject *kwargs)
{
    PyObject *name;
    (void)module;
    if (!PyArg_ParseTuple(args, "U:message", &name) ||
        (kwargs && !PyArg_ValidateKeywordArguments(kwargs)) || !(name = PyUnicode_FromObject(name)))
        return NULL;
    PyObject *made = horusp_message_defined(name, kwargs);
    Py_DECREF(name);
    return made;
}
/* A message of a class that was pickled with its definition, which is made if nobody has. */
static PyObject *horusp_made(PyObject *definition)
{
    PyObject *name, *fields, *kwargs = PyDict_New(), *args = NULL, *made = NULL;
    if (!kwargs || !PyArg_ParseTuple(definition, "UO!:_remake", &name, &PyTuple_Type, &fields))
        goto done;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); i++) {
        PyObject *item = PyTuple_GET_ITEM(fields, i), *field, *of, *type = NULL;
        int list;
        if (!PyTuple_Check(item)) {
            PyErr_SetString(HORUSP_TYPE_ERROR, "not what pickling a message gives");
            goto done;
        }
        if (!PyArg_ParseTuple(item, "UOp:_remake", &field, &of, &list))
            goto done;
        if (PyTuple_Check(of)) {
            if (Py_EnterRecursiveCall(" in a message's definition"))
                goto done;
            type = horusp_made(of);
            Py_LeaveRecursiveCall();
        } else if (PyUnicode_Check(of) && PyUnicode_GET_LENGTH(of) > 1 &&
                   PyUnicode_READ_CHAR(of, 0) == '=') {
            const char *s = horusp_utf8(of, NULL);
            type = s ? horusp_ref(horusp_message_class_by_name(s + 1)) : NULL;
            if (!type && !PyErr_Occurred())
                horusp_refuse(HORUSP_VALUE_ERROR, "there is no message %R", of);
        } else {
            type = horusp_ref(of);
        }
        if (type && list)
            type = Py_BuildValue("[N]", type);
        int bad = type ? PyDict_SetItem(kwargs, field, type) : -1;
        Py_XDECREF(type);
        if (bad < 0)
            goto done;
    }
    args = PyTuple_Pack(1, name);
    made = args ? horusp_message_define(NULL, args, kwargs) : NULL;
done:
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return made;
}
static PyObject *horusp_message_remake(PyObject *module, PyObject *args)
{
    PyObject *definition, *data, *r = NULL;
    unsigned long tag;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!kO:_remake", &PyTuple_Type, &definition, &tag, &data))
        return NULL;
    PyObject *cls = horusp_message_class((uint32_t)tag); /* known here: perhaps under its import */
    cls = cls && tag <= UINT32_MAX ? horusp_ref(cls) : horusp_made(definition);
    if (cls && horusp_class_of(cls)->tag != tag)
        PyErr_Format(HORUSP_VALUE_ERROR, "this %s was pickled with other fields",
                     horusp_class_of(cls)->horus->name);
    else if (cls)
        r = horusp_message_from_bytes(cls, data);
    Py_XDECREF(cls);
    return r;
}
static const char horusp_message_define_doc[] =
    "message(name, /, **fields)\n--\n\n"
    "Makes a message class. Each keyword is a field, in order, after a uint64 timestamp_ns, which "
    "is\n"
    "the first unless it is named at another place, or timestamp_ns=None says that there is none:\n"
    "'float32' (uint8 to int64, "
    "float32,\n"
    "float64, bool), 'float64[3]' (an array), 'text[64]' (str of at most 63 bytes of UTF-8),\n"
    "'float32[]' (any number), a message class (nested) or [a message class] (any number). The "
    "layout\n"
    "and the type are those of the C macro HORUS_MESSAGE with the same name and fields:\n\n"
    "    Wheel = horus.message('Wheel', speed='float32', slip='float32[4]')\n\n"
    "Its topic is its name in lower case, Wheel.__topic_name__. The same definition again gives "
    "the\n"
    "same class. ValueError for what is no type or no name; at most 256 types in a process.";
static PyMethodDef horusp_message_define_method = {
    "message", (PyCFunction)(void (*)(void))horusp_message_define, METH_VARARGS | METH_KEYWORDS,
    horusp_message_define_doc};

/* ---- import */

static PyObject *horusp_wall_clock(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyLong_FromUnsignedLongLong(horusp_wall_ns());
}
static PyMethodDef horusp_wall_clock_method = {"_wall_ns", horusp_wall_clock, METH_NOARGS, NULL};

/* Runs the methods' source and hangs what it defines on the classes. */
static int horusp_attach(PyObject *module)
{
    PyObject *names = PyDict_Copy(PyModule_GetDict(module)), *found = NULL, *clock = NULL,
             *math = NULL;
    int result = -1;
    clock = PyCFunction_New(&horusp_wall_clock_method, NULL);
    math = PyImport_ImportModule("math");
    if (!names || !clock || !math || PyDict_SetItemString(names, "_now", clock) < 0 ||
        PyDict_SetItemString(names, "math", math) < 0 ||
        PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) < 0)
        goto done;
    for (size_t i = 0; i < sizeof horusp_methods / sizeof horusp_methods[0]; i++) {
        PyObject *code = Py_CompileString(horusp_methods[i], "<horus messages>", Py_file_input);
        PyObject *key, *value, *cls, *ran, *of;
        Py_ssize_t at = 0, in = 0;
        found = PyDict_New();
        ran = code && found ? PyEval_EvalCode(code, names, i == 0 ? names : found) : NULL;
        Py_XDECREF(code);
        if (!ran)
            goto done;
        Py_DECREF(ran);
        while (PyDict_Next(found, &at, &key, &value)) {
            cls = PyDict_GetItemWithError(names, key);
            of = cls ? PyObject_GetAttrString(value, "__dict__") : NULL; /* a mappingproxy */
            PyObject *items = of ? PyDict_New() : NULL;
            if (!items || PyDict_Update(items, of) < 0) {
                Py_XDECREF(items);
                Py_XDECREF(of);
                goto done;
            }
            Py_DECREF(of);
            for (in = 0; PyDict_Next(items, &in, &key, &value);) {
                static const char *const own[] = {
                    "__module__",   "__dict__",        "__weakref__",          "__doc__",
                    "__qualname__", "__firstlineno__", "__static_attributes__"};
                bool skip = false;
                for (size_t k = 0; k < sizeof own / sizeof own[0]; k++)
                    skip |= PyUnicode_CompareWithASCIIString(key, own[k]) == 0;
                if (!skip && PyObject_SetAttr(cls, key, value) < 0) {
                    Py_DECREF(items);
                    goto done;
                }
            }
            Py_DECREF(items);
        }
        Py_CLEAR(found);
    }
    horusp_is_valid = horusp_ref(PyDict_GetItemString(names, "is_valid"));
    for (const horusp_class *c = horusp_classes; c; c = c->next)
        if (horusp_add_is_valid(c) < 0)
            goto done;
    result = 0;
done:
    if (result < 0 && !PyErr_Occurred())
        PyErr_NoMemory();
    Py_XDECREF(names);
    Py_XDECREF(found);
    Py_XDECREF(clock);
    Py_XDECREF(math);
    return result;
}

/* Makes all classes and message(), and adds them to the module. 0, or -1 with an exception. Classes
 * live as long as the process, for messages do: a second import gets the same ones. */
static int horusp_messages_init(PyObject *module)
{
    static const horus_type *const types[] = {
#define HORUSP_X(snake, name, topic) &horus_##snake##_type,
        HORUS_MESSAGES(HORUSP_X) HORUS_INFER_MESSAGES(HORUSP_X)
#undef HORUSP_X
    };
    bool again = horusp_classes != NULL;
    if (PyType_Ready(&horusp_block_type) < 0)
        return -1;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        static const horusp_spec plain = {NULL, NULL, NULL, "A message."};
        const horusp_spec *spec = &plain;
        for (size_t k = 0; k < sizeof horusp_specs / sizeof horusp_specs[0]; k++)
            if (strcmp(horusp_specs[k].name, types[i]->name) == 0)
                spec = &horusp_specs[k];
        horusp_class *c = horusp_classes;
        while (again && c && c->horus != types[i])
            c = c->next;
        if (!again)
            c = horusp_class_new(types[i], spec, "horus", false);
        if (!c)
            return -1;
        Py_INCREF(c->type);
        if (PyModule_AddObject(module, c->horus->name, (PyObject *)c->type) < 0) {
            Py_DECREF(c->type);
            return -1;
        }
    }
    for (size_t i = 0; i < sizeof horusp_aliases / sizeof horusp_aliases[0]; i++) {
        PyObject *cls = horusp_message_class_by_name(horusp_aliases[i][1]);
        if (!cls || PyObject_SetAttrString(module, horusp_aliases[i][0], cls) < 0)
            return -1;
    }
    PyObject *define = PyCFunction_New(&horusp_message_define_method, NULL);
    if (!define || PyModule_AddObject(module, "message", define) < 0) {
        Py_XDECREF(define);
        return -1;
    }
    return again ? 0 : horusp_attach(module);
}

/* ------------------------------------------------------------------------------------ >>topic
 *
 * A Topic is one handle of the C library. The interpreter's lock makes it safe for any thread: calls
 * hold the lock for less than a microsecond, and a wait sleeps without the handle, so that another
 * thread may use it meanwhile. */
static const horus_type horusp_dynamic_type = {"MessagePack", "", NULL, 0, HORUS_KIND_MESSAGE};
static uint32_t horusp_dynamic_tag;
enum { HORUSP_NDARRAY = 1 }; /* in a tensor's descriptor, where images have their encoding */

typedef struct horusp_topic {
    PyObject_HEAD PyObject *weak;
    horus_topic *handle; /* NULL: closed */
    PyObject *message;   /* the class it carries, or NULL */
    PyObject *endpoint;  /* as it was given, or NULL */
    PyObject *late; /* of a message that recv_all() could not read; raised by the next receive */
    const horus_type *type; /* of that class, or NULL */
    horus_topic_desc desc;  /* to open it again, in a forked child */
    char name[HORUS_NAME_BYTES];
    uint32_t kind;   /* of the last message: what to expect */
    uint32_t inside; /* calls that wait without the lock: close() leaves the handle to them */
    bool closing;    /* and says so here */
    uint64_t sent, got, refused, failed, unread, missed;
} horusp_topic;
static PyTypeObject horusp_topic_type, horusp_node_type, horusp_info_type;

static PyObject *horusp_topic_closed(void)
{
    PyErr_SetString(horusp.by_code[-HORUS_E_CLOSED], "this topic was closed");
    return NULL;
}
/* In a forked child: the threads that waited here are the parent's. What one of them was to close is
 * closed. */
static void horusp_topic_child(horusp_topic *o)
{
    if (!o->handle || !horusi_is_detached(o->handle->context))
        return;
    o->inside = 0;
    if (o->closing) {
        horus_topic_close(o->handle);
        o->handle = NULL;
        o->closing = false;
    }
}
/* The handle, opened anew if it was inherited over fork(). */
static bool horusp_topic_live(horusp_topic *o)
{
    horusp_topic_child(o);
    if (!o->handle || o->closing) {
        (void)horusp_topic_closed();
        return false;
    }
    if (!horusi_is_detached(o->handle->context))
        return true;
    horus_topic *t;
    horus_result r = horus_topic_open(&t, o->name, &o->desc);
    if (r != HORUS_OK) {
        (void)horusp_error(r);
        return false;
    }
    if (!o->type)
        t->type_tag = horusp_dynamic_tag;
    horus_topic_close(o->handle);
    o->handle = t;
    return true;
}
/* None: no wait. Seconds otherwise; inf is for ever. */
static bool horusp_timeout(PyObject *o, int64_t *ns)
{
    double s;
    *ns = HORUS_NO_WAIT;
    if (!o || o == Py_None)
        return true;
    if (!horusp_double(o, "timeout", &s))
        return false;
    if (!(s >= 0)) {
        horusp_refuse(horusp.by_code[-HORUS_E_ARG],
                      "timeout must be 0 or more seconds, or None, not %R", o);
        return false;
    }
    *ns = s * 1e9 < 9.2e18 ? (int64_t)(s * 1e9) : HORUS_FOREVER;
    return true;
}

static void horusp_wait_over(horusp_topic *const *topics, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (--topics[i]->inside == 0 && topics[i]->closing && topics[i]->handle) {
            horus_topic_close(topics[i]->handle); /* somebody closed it meanwhile */
            topics[i]->handle = NULL;
        }
}
/* One attempt of what somebody waits for. EMPTY and FULL: not yet. */
typedef horus_result (*horusp_try)(void *what);
/* Waits until `attempt` is neither EMPTY nor FULL. Before it sleeps it asks to be rung, for messages
 * of `topics` or for room in the first of them, and tries once more: what came before that is seen, and
 * what comes after it rings. False: exception. */
static bool horusp_wait(horusp_topic *const *topics, size_t count, bool for_room,
                        int64_t timeout_ns, horusp_try attempt, void *what, horus_result *result)
{
    horus_context *c = topics[0]->handle->context;
    horusi_row *row = &c->pool->rows[c->row];
    uint64_t deadline = horusi_deadline(timeout_ns), slice = HORUSI_FIRST_SLICE_NS, looked = 0;
    horus_result r = HORUS_OK;
    bool raised = false;
    for (size_t i = 0; i < count; i++) {
        topics[i]->inside++;
        horusi_st32_seq(
            W, for_room ? &topics[i]->handle->shm->may_wait : &topics[i]->handle->shm->may_sleep,
            1);
        if (!for_room && topics[i]->handle->sleeps_since == 0)
            topics[i]->handle->sleeps_since = horusi_now();
    }
    (void)horusi_add32_acqrel(W, &row->sleepers, 1);
    for (;; slice = HORUSI_SLICE_NS) {
        uint32_t seen = horusi_ld32_seq(W, &row->doorbell);
        bool closed = false;
        for (size_t i = 0; i < count; i++) {
            horusi_topic *shm = topics[i]->handle->shm;
            closed = closed || topics[i]->closing;
            (void)horusi_or64_seq(
                W, for_room ? &shm->waiters[c->mask_word] : &shm->sleepers[c->mask_word],
                c->mask_bit);
        }
        if (closed) {
            (void)horusp_topic_closed();
            raised = true;
            break;
        }
        *result = attempt(what);
        if (*result != HORUS_EMPTY && *result != HORUS_FULL)
            break;
        PyThreadState *thread = PyEval_SaveThread();
        r = horusi_slice(c, seen, deadline, slice, &looked);
        PyEval_RestoreThread(thread);
        /* a signal may have come to another thread, and left its handler to this one */
        raised = PyErr_CheckSignals() < 0;
        if (!raised && r != HORUS_OK && r != HORUS_TIMEOUT && r != HORUS_INTERRUPTED) {
            (void)horusp_error(r);
            raised = true;
        }
        if (raised)
            break;
        if (r == HORUS_TIMEOUT) {
            *result = attempt(what);
            break;
        }
    }
    horusi_awake(c);
    horusp_wait_over(topics, count);
    return !raised;
}

/* The same in a tick that is recorded or replayed: `attempt` waits itself. Another thread that uses one of
 * the topics meanwhile is told that it is busy. */
static bool horusp_wait_taped(horusp_topic *const *topics, size_t count, horusp_try attempt,
                              void *what, horus_result *result)
{
    bool raised = false;
    for (size_t i = 0; i < count; i++)
        topics[i]->inside++;
    do {
        PyThreadState *thread = PyEval_SaveThread();
        *result = attempt(what);
        PyEval_RestoreThread(thread);
        raised = PyErr_CheckSignals() < 0;
    } while (*result == HORUS_INTERRUPTED && !raised);
    horusp_wait_over(topics, count);
    return !raised;
}

static bool horusp_topic_counts(horusp_topic *o, horus_topic_stats *s)
{
    if (!horusp_topic_live(o))
        return false;
    horus_result r = horus_topic_get_stats(o->handle, s);
    return r == HORUS_OK || horusp_error(r);
}

/* ---- sending */

typedef struct horusp_sending {
    horusp_topic *o;
    const horus_type *type; /* bytes of this type; NULL: a dynamic value */
    const void *data;
    size_t bytes;
    horusp_frame *frame; /* or this */
    bool ndarray;
    bool borrowed;    /* `data` is a message object's own memory */
    horus_frame slot; /* where the bytes are already, if they are many */
    int64_t timeout_ns;
} horusp_sending;

enum { HORUSP_MANY = 65536 }; /* bytes that are copied while other threads run */
/* Puts many bytes into a slot of the pool, before the topic's handle is used: horus_topic_send() copies
 * with it in its hands. Without room that one is to find some, or to say that the topic is full. */
static void horusp_send_copy(horusp_sending *s)
{
    horus_pool *pool = s->o->handle->context->pool;
    const int64_t shape[1] = {(int64_t)s->bytes};
    horus_tensor room;
    PyThreadState *thread = PyEval_SaveThread();
    if (horus_tensor_alloc(&room, pool, HORUS_U8, 1, shape, HORUS_UNINIT) == HORUS_OK) {
        memcpy(room.data, s->data, s->bytes);
        s->slot = room.frame;
    }
    PyEval_RestoreThread(thread);
}
static horus_result horusp_send_slot(const horusp_sending *s)
{
    horus_topic *t = s->o->handle;
    const horus_frame *f = &s->slot;
    horus_result r = horusi_begin(t, "send");
    if (r != HORUS_OK)
        return r;
    r = horusi_check_send(t, s->type, s->data, s->bytes);
    if (r == HORUS_OK && !s->type && horusi_ld32_rlx(L2, &t->shm->type_tag))
        r = horusi_fail(HORUS_E_TYPE, "topic %.96s carries %.63s: open it with that type to send",
                        t->shm->name, t->shm->type_name);
    if (r == HORUS_OK)
        r = horusi_prepare(t, s->bytes, HORUS_NO_WAIT);
    if (r == HORUS_OK) {
        struct {
            horusi_wire head;
            uint64_t bytes;
        } wire;
        horusi_ref ref = {f->pool, f->slot, f->generation, s->bytes};
        memset(&wire, 0, sizeof wire);
        wire.head.slot = f->slot;
        wire.head.generation = f->generation;
        wire.bytes = s->bytes;
        horusi_enter(f->pool, f->slot); /* the ring's hold */
        horusi_mark_published(f);
        horusi_publish(t, t->out, &wire, (uint32_t)sizeof wire, HORUSI_WIRE_BLOB,
                       s->type ? horus_type_tag(s->type) : horusp_dynamic_tag, &ref);
    }
    return horusi_end(t, r);
}

static horus_result horusp_send_once(void *what)
{
    horusp_sending *s = (horusp_sending *)what;
    horus_topic *t = s->o->handle;
    if (s->slot.pool)
        return horusp_send_slot(s);
    if (s->frame && s->frame->hold && s->frame->hold->writers)
        return horusi_fail(HORUS_E_BUSY, "this frame is being written to, by another thread: send "
                                         "it when that is done");
    if (!s->frame)
        return s->type == s->o->type
                   ? horus_topic_send(t, s->data, s->bytes, s->timeout_ns)
                   : horus_topic_send_typed(t, s->type ? s->type : &horusp_dynamic_type, s->data,
                                            s->bytes, s->timeout_ns);
    horusi_descriptor d;
    uint32_t bytes = 0;
    horus_result r;
    if (s->frame->kind == HORUS_KIND_IMAGE) {
        horus_image m = horusp_image(s->frame);
        return horus_topic_send_image(t, &m, s->timeout_ns);
    }
    if (s->frame->kind == HORUS_KIND_DEPTH) {
        horus_depth m = horusp_depth(s->frame);
        return horus_topic_send_depth(t, &m, s->timeout_ns);
    }
    if (s->frame->kind == HORUS_KIND_CLOUD) {
        horus_cloud m = horusp_cloud(s->frame);
        return horus_topic_send_cloud(t, &m, s->timeout_ns);
    }
    r = horusi_tensor_to_wire(&s->frame->t, &d, &bytes);
    if (r == HORUS_OK && s->ndarray)
        d.head.encoding = HORUSP_NDARRAY;
    return r == HORUS_OK ? horusi_send_frame(t, &s->frame->t.frame, d.bytes, bytes,
                                             &horus_tensor_type, s->timeout_ns)
                         : r;
}
static int horusp_send_now(horusp_sending *s, int64_t timeout_ns)
{
    horusp_topic *o = s->o;
    bool taped = horusi_taped() && timeout_ns != HORUS_NO_WAIT;
    if (!s->frame && !s->borrowed && s->bytes >= HORUSP_MANY && !horusi_taped()) {
        horusp_send_copy(s);
        if (!horusp_topic_live(o)) /* closed meanwhile */
            return -1;
    }
    horus_result r = taped ? HORUS_FULL : horusp_send_once(s);
    if (r == HORUS_FULL && timeout_ns != HORUS_NO_WAIT) {
        void *copy = NULL; /* of a message that other threads could change while this one waits */
        if (s->borrowed) {
            copy = PyMem_Malloc(s->bytes ? s->bytes : 1);
            if (!copy) {
                PyErr_NoMemory();
                return -1;
            }
            s->data = memcpy(copy, s->data, s->bytes);
        }
        bool ok;
        if (taped) { /* one call, one entry of the recording */
            s->timeout_ns = timeout_ns;
            ok = horusp_wait_taped(&o, 1, horusp_send_once, s, &r);
            r = r == HORUS_TIMEOUT ? HORUS_FULL : r;
        } else {
            ok = horusp_wait(&o, 1, true, timeout_ns, horusp_send_once, s, &r);
        }
        PyMem_Free(copy);
        if (!ok)
            return -1;
    }
    if (r == HORUS_OK) {
        o->sent++;
        return 1;
    }
    if (r == HORUS_FULL) {
        o->refused++;
        return 0;
    }
    o->failed++;
    (void)horusp_error(r);
    return -1;
}
/* Sends what is ready. 1: sent; 0: full; -1: exception. */
static int horusp_send_ready(horusp_sending *s, int64_t timeout_ns)
{
    int r = horusp_send_now(s, timeout_ns);
    if (s->slot.pool)
        (void)horus_frame_release(&s->slot);
    return r;
}
static int horusp_send_message(horusp_topic *o, PyObject *m, int64_t timeout_ns);

static int horusp_send(horusp_topic *o, PyObject *m, int64_t timeout_ns)
{
    horusp_sending s = {.o = o};
    int r;
    if (!horusp_topic_live(o))
        return -1;
    if (horusp_is_message(m))
        return horusp_send_message(o, m, timeout_ns);
    if (horusp_is_frame(m)) {
        s.frame = (horusp_frame *)m;
        if (!horusp_live(s.frame))
            return -1;
        if (!s.frame->t.frame.pool) {
            PyErr_SetString(horusp.by_code[-HORUS_E_DETACHED],
                            "this frame was inherited over fork(): send a copy()");
            return -1;
        }
        horusp_hold *hold = (horusp_hold *)horusp_ref((PyObject *)s.frame->hold);
        r = horusp_send_ready(&s, timeout_ns);
        Py_DECREF(hold);
        return r;
    }
    if (o->type && o->type->kind == HORUS_KIND_MESSAGE && PyDict_Check(m)) {
        PyObject *none = PyTuple_New(0), *made = none ? PyObject_Call(o->message, none, m) : NULL;
        Py_XDECREF(none);
        r = made && horusp_topic_live(o) ? horusp_send_message(o, made, timeout_ns) : -1;
        Py_XDECREF(made);
        return r;
    }
    if (o->type) {
        bool array = o->type->kind != HORUS_KIND_MESSAGE && horusp_is_ndarray(m);
        PyErr_Format(horusp.by_code[-HORUS_E_TYPE], "topic %s carries %s, not %.100s%s%s%s",
                     o->name, o->type->name, Py_TYPE(m)->tp_name, array ? ": " : "",
                     array ? o->type->name : "", array ? ".from_numpy() makes one of it" : "");
        return -1;
    }
    if (horusp_is_ndarray(m)) {
        PyObject *t = horusp_from_array(m, HORUS_KIND_TENSOR, NULL, false);
        if (!t)
            return -1;
        s.frame = (horusp_frame *)t;
        s.ndarray = true;
        r = horusp_topic_live(o) ? horusp_send_ready(&s, timeout_ns) : -1;
        Py_DECREF(t);
        return r;
    }
    uint8_t room[512];
    horusp_writer w;
    horusp_writer_init(&w, room, sizeof room);
    r = horusp_pack(&w, m);
    if (r == 0 && horusp_topic_live(o)) {
        s.data = w.start;
        s.bytes = (size_t)(w.at - w.start);
        r = horusp_send_ready(&s, timeout_ns);
    } else {
        r = -1;
    }
    horusp_pack_end(&w);
    return r;
}
static int horusp_send_message(horusp_topic *o, PyObject *m, int64_t timeout_ns)
{
    horusp_sending s = {.o = o, .type = horusp_message_type((PyObject *)Py_TYPE(m))};
    horusp_bytes b;
    if (horusp_message_bytes(m, &b) < 0)
        return -1;
    s.data = b.data;
    s.bytes = b.bytes;
    s.borrowed = !b.heap;
    int r = horusp_topic_live(o) ? horusp_send_ready(&s, timeout_ns) : -1;
    horusp_bytes_end(&b);
    return r;
}

static PyObject *horusp_sent(int r) { return r < 0 ? NULL : PyBool_FromLong(r); }
/* The node that programs hand over is not needed, and may stand where the timeout would: no node is
 * a number. False with an exception if it is given twice. */
static bool horusp_skip_node(const char *function, PyObject **timeout, PyObject **node)
{
    if (!*timeout || (!PyObject_TypeCheck(*timeout, &horusp_node_type) &&
                      Py_TYPE(*timeout) != &horusp_info_type))
        return true;
    if (*node) {
        PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument 'node'", function);
        return false;
    }
    *node = *timeout;
    *timeout = NULL;
    return true;
}
static horusp_sig horusp_sig_send = {
    "send", 3, 1, 3, {{"message", 0}, {"timeout", 0}, {"node", 0}}};
static PyObject *horusp_topic_send(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kw)
{
    PyObject *v[3] = {NULL, NULL, NULL};
    int64_t ns = HORUS_NO_WAIT;
    if (nargs == 1 && !kw)
        return horusp_sent(horusp_send((horusp_topic *)self, args[0], ns));
    if (!horusp_args(&horusp_sig_send, args, nargs, kw, v) ||
        !horusp_skip_node("send", &v[1], &v[2]) || !horusp_timeout(v[1], &ns))
        return NULL;
    return horusp_sent(horusp_send((horusp_topic *)self, v[0], ns));
}
static PyObject *horusp_topic_try_send(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                       PyObject *kw)
{
    static horusp_sig sig = {"try_send", 2, 1, 2, {{"message", 0}, {"node", 0}}};
    PyObject *v[2];
    return horusp_args(&sig, args, nargs, kw, v)
               ? horusp_sent(horusp_send((horusp_topic *)self, v[0], HORUS_NO_WAIT))
               : NULL;
}
static PyObject *horusp_topic_send_blocking(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                            PyObject *kw)
{
    static horusp_sig sig = {
        "send_blocking", 3, 2, 3, {{"message", 0}, {"timeout_s", 0}, {"node", 0}}};
    PyObject *v[3];
    int64_t ns;
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_timeout(v[1], &ns))
        return NULL;
    int r = horusp_send((horusp_topic *)self, v[0], ns);
    if (r == 0) {
        PyErr_Format(horusp.timeout_error, "topic %s: still full", ((horusp_topic *)self)->name);
        return NULL;
    }
    return horusp_sent(r);
}

/* ------------------------------------------------------------------------------------ >>receive
 *
 * A message as Python has it, and the calls that wait for one. */

typedef struct horusp_receiving {
    horusp_topic *o;
    PyObject *message; /* out; NULL with an exception if OK and this is NULL */
    bool look;         /* do not take it */
} horusp_receiving;

static PyObject *horusp_decode(horusp_topic *o, const horus_info *info, const void *data,
                               size_t bytes)
{
    if (info->type_tag == horusp_dynamic_tag)
        return horusp_unpack((const uint8_t *)data, bytes);
    PyObject *cls = o->message && o->type && o->handle && /* closed while it was copied */
                            info->type_tag == o->handle->type_tag
                        ? o->message
                        : horusp_message_class(info->type_tag);
    if (cls)
        return horusp_message_new(cls, data, bytes);
    return PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)bytes);
}
/* A frame as it came out of the ring. */
static PyObject *horusp_received(const horusi_got *got)
{
    horus_tensor t;
    horus_result r;
    uint8_t encoding = 0;
    float scale = 0;
    memset(&t, 0, sizeof t);
    switch (got->kind) {
    case HORUS_KIND_IMAGE: {
        horus_image m;
        if ((r = horusi_image_from_wire(&m, &got->wire, got->bytes, &got->frame)) != HORUS_OK)
            break;
        encoding = m.encoding;
        t.data = m.data;
        t.shape[0] = m.height_px;
        t.shape[1] = m.width_px;
        t.shape[2] = m.channels;
        t.ndim = m.channels > 1 ? 3 : 2;
        t.dtype = (uint8_t)horusi_encodings[m.encoding].dtype;
        t.strides_bytes[0] = m.stride_bytes;
        t.strides_bytes[1] = m.channels * m.elem_bytes;
        t.strides_bytes[2] = m.elem_bytes;
        break;
    }
    case HORUS_KIND_DEPTH: {
        horus_depth m;
        if ((r = horusi_depth_from_wire(&m, &got->wire, got->bytes, &got->frame)) != HORUS_OK)
            break;
        scale = m.scale;
        t.data = m.data;
        t.shape[0] = m.height_px;
        t.shape[1] = m.width_px;
        t.ndim = 2;
        t.dtype = m.dtype;
        t.strides_bytes[0] = m.stride_bytes;
        t.strides_bytes[1] = (int64_t)horus_dtype_bytes((horus_dtype)m.dtype);
        break;
    }
    case HORUS_KIND_CLOUD: {
        horus_cloud m;
        if ((r = horusi_cloud_from_wire(&m, &got->wire, got->bytes, &got->frame)) != HORUS_OK)
            break;
        t.data = m.data;
        t.shape[0] = (int64_t)m.point_count;
        t.shape[1] = m.fields;
        t.ndim = 2;
        t.dtype = m.dtype;
        t.strides_bytes[1] = (int64_t)horus_dtype_bytes((horus_dtype)m.dtype);
        t.strides_bytes[0] = t.strides_bytes[1] * m.fields;
        break;
    }
    default:
        r = horusi_tensor_from_wire(&t, &got->wire, got->bytes, &got->frame);
        if (r == HORUS_OK)
            r = horusp_check_strides(&t);
    }
    if (r != HORUS_OK) {
        horusi_release(got->frame.pool, got->frame.slot);
        return horusp_error(r);
    }
    t.frame = got->frame;
    t.readonly = true;
    horusp_frame *f = (horusp_frame *)horusp_frame_of(got->kind, &t, NULL);
    if (!f)
        return NULL;
    f->encoding = encoding;
    if (got->kind == HORUS_KIND_DEPTH)
        f->scale = horusp_scale(scale);
    if (got->kind == HORUS_KIND_TENSOR && got->wire.head.encoding == HORUSP_NDARRAY) {
        PyObject *a = horusp_ndarray(f);
        Py_DECREF(f);
        return a;
    }
    return (PyObject *)f;
}
/* A long message: its slot is held, and copied while other threads run and use the topic. */
static horus_result horusp_receive_many(horus_topic *t, void *buffer, size_t room, horus_info *info)
{
    horusi_got got;
    got.timed = got.keep = true;
    horus_result r = horusi_receive(t, buffer, room, HORUS_KIND_MESSAGE, HORUS_NO_WAIT, &got);
    if (r == HORUS_OK || r == HORUS_E_SIZE || r == HORUS_E_TYPE)
        *info = got.info;
    if (r == HORUS_OK && got.frame.pool) {
        uint64_t have;
        const void *from = horusi_at(got.frame.pool, got.frame.slot, &have);
        horusp_copy_bytes(buffer, from, info->size);
        horusi_release(got.frame.pool, got.frame.slot);
    }
    return r;
}
static horus_result horusp_receive_once(void *what)
{
    horusp_receiving *v = (horusp_receiving *)what;
    horusp_topic *o = v->o;
    horus_topic *t = o->handle;
    horus_info info;
    horus_result r = HORUS_E_TYPE;
    v->message = NULL;
    if (v->look)
        return horus_topic_wait(t, HORUS_NO_WAIT);
    for (int tries = 0; r == HORUS_E_TYPE && tries < 3; tries++) {
        if (o->kind != HORUS_KIND_MESSAGE) {
            horusi_got got;
            got.timed = true;
            got.keep = false;
            r = horusi_receive(t, NULL, 0, o->kind, HORUS_NO_WAIT, &got);
            if (r == HORUS_OK) {
                o->missed += got.info.lost;
                v->message = horusp_received(&got);
                o->got += v->message != NULL;
            } else if (r == HORUS_E_TYPE) {
                o->kind = got.info.kind;
            }
            continue;
        }
        uint8_t small[512], *buffer = small;
        size_t room = sizeof small;
        r = horus_topic_receive(t, buffer, room, &info, HORUS_NO_WAIT);
        while (r == HORUS_E_SIZE) { /* another thread, or another consumer, may be faster */
            room = info.size;
            if (buffer != small)
                PyMem_RawFree(buffer);
            buffer = PyMem_RawMalloc(room);
            if (!buffer)
                return horusi_fail(HORUS_E_MEMORY, "no memory for a message of %zu bytes", room);
            r = room < HORUSP_MANY || horusi_taped()
                    ? horus_topic_receive(t, buffer, room, &info, HORUS_NO_WAIT)
                    : horusp_receive_many(t, buffer, room, &info);
        }
        if (r == HORUS_OK) {
            o->missed += info.lost;
            v->message = horusp_decode(o, &info, buffer, info.size);
            o->got += v->message != NULL;
        } else if (r == HORUS_E_TYPE) {
            o->kind = info.kind;
        }
        if (buffer != small)
            PyMem_RawFree(buffer);
    }
    return r;
}
/* Makes sure that a wait sees what came before it asked to be rung. */
static horus_result horusp_receive_surely(void *what)
{
    horus_topic *t = ((horusp_receiving *)what)->o->handle;
    uint32_t k;
    bool again, found = true;
    if (horusi_begin(t, "recv") == HORUS_OK) {
        if (!t->received)
            horusi_count_in(t);
        found = horusi_find(t, true, true, &k, &again) != NULL;
        if (found)
            t->turn = k;
        (void)horusi_end(t, HORUS_OK);
    }
    return found ? horusp_receive_once(what) : HORUS_EMPTY;
}
/* Waits for one of several topics. */
typedef struct horusp_waiting {
    horusp_topic *const *topics;
    size_t count, ready;
    int64_t timeout_ns;
} horusp_waiting;
static horus_result horusp_wait_once(void *what)
{
    horusp_waiting *w = (horusp_waiting *)what;
    horus_topic *handle[64];
    for (size_t i = 0; i < w->count; i++)
        handle[i] = w->topics[i]->handle;
    return horus_wait(handle, w->count, w->timeout_ns, &w->ready);
}
/* Raises what recv_all() kept, if it did. */
static bool horusp_is_late(horusp_topic *o)
{
    PyObject *late = o->late;
    if (!late)
        return false;
    o->late = NULL;
    PyErr_SetObject((PyObject *)Py_TYPE(late), late);
    Py_DECREF(late);
    return true;
}
enum { HORUSP_LOST = -2 };
/* 1: *message is there; 0: nothing came; -1: exception; HORUSP_LOST: of a message that was taken, but
 * cannot be read. */
static int horusp_recv(horusp_topic *o, int64_t timeout_ns, bool look, PyObject **message)
{
    horusp_receiving v = {.o = o, .look = look};
    *message = NULL;
    if (!horusp_topic_live(o) || (!look && horusp_is_late(o)))
        return -1;
    horus_result r = horusp_receive_once(&v);
    if (r == HORUS_EMPTY && timeout_ns != HORUS_NO_WAIT && horusi_taped()) {
        horusp_waiting w = {&o, 1, 0, timeout_ns};
        if (!horusp_wait_taped(&o, 1, horusp_wait_once, &w, &r))
            return -1;
        r = r == HORUS_OK ? horusp_receive_once(&v) : r == HORUS_TIMEOUT ? HORUS_EMPTY : r;
        timeout_ns = HORUS_NO_WAIT;
    }
    if (r == HORUS_EMPTY && timeout_ns != HORUS_NO_WAIT &&
        !horusp_wait(&o, 1, false, timeout_ns, horusp_receive_surely, &v, &r))
        return -1;
    if (r == HORUS_OK && (v.message || look)) {
        *message = v.message;
        return 1;
    }
    if (r == HORUS_EMPTY)
        return 0;
    o->unread++;
    if (r == HORUS_OK)
        return HORUSP_LOST;
    (void)horusp_error(r);
    return -1;
}
static PyObject *horusp_or_none(int r, PyObject *message)
{
    if (r == 0)
        Py_RETURN_NONE;
    return message;
}
static horusp_sig horusp_sig_recv = {"recv", 2, 0, 2, {{"timeout", 0}, {"node", 0}}};
static PyObject *horusp_topic_recv(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kw)
{
    PyObject *v[2] = {NULL, NULL}, *message;
    int64_t ns = HORUS_NO_WAIT;
    if ((nargs || kw) && (!horusp_args(&horusp_sig_recv, args, nargs, kw, v) ||
                          !horusp_skip_node("recv", &v[0], &v[1]) || !horusp_timeout(v[0], &ns)))
        return NULL;
    int r = horusp_recv((horusp_topic *)self, ns, false, &message);
    return horusp_or_none(r, message);
}
static PyObject *horusp_topic_try_recv(PyObject *self, PyObject *none)
{
    PyObject *message;
    (void)none;
    int r = horusp_recv((horusp_topic *)self, HORUS_NO_WAIT, false, &message);
    return horusp_or_none(r, message);
}
static PyObject *horusp_topic_read_latest(PyObject *self, PyObject *none)
{
    horusp_topic *o = (horusp_topic *)self;
    PyObject *message;
    (void)none;
    if (!horusp_topic_live(o) || horusp_is_late(o))
        return NULL;
    horus_result r = horus_topic_skip_to_latest(o->handle, NULL);
    if (r != HORUS_OK && r != HORUS_EMPTY)
        return horusp_error(r);
    int got = horusp_recv(o, HORUS_NO_WAIT, false, &message);
    return horusp_or_none(got, message);
}
static PyObject *horusp_topic_recv_all(PyObject *self, PyObject *none)
{
    horusp_topic *o = (horusp_topic *)self;
    horus_topic_stats s;
    PyObject *list = PyList_New(0), *message;
    (void)none;
    if (!list || !horusp_topic_live(o)) {
        Py_XDECREF(list);
        return NULL;
    }
    PyObject *type = NULL, *error = NULL, *trace = NULL; /* the first */
    bool ok = !horusp_is_late(o) && horusp_topic_counts(o, &s);
    for (uint64_t left = ok ? s.pending : 0; left > 0; left--) { /* what comes later waits */
        int got = horusp_recv(o, HORUS_NO_WAIT, false, &message);
        if (got > 0 && PyList_Append(list, message) < 0) {
            o->got--;
            o->unread++;
            got = HORUSP_LOST;
        }
        Py_XDECREF(message);
        if (got < 0 && !error) {
            PyErr_Fetch(&type, &error, &trace);
            PyErr_NormalizeException(&type, &error, &trace);
        }
        PyErr_Clear();
        if (got == 0 || got == -1)
            break;
    }
    if (error && PyList_GET_SIZE(list) == 0) {
        PyErr_Restore(horusp_ref(type), horusp_ref(error), horusp_ref(trace));
        ok = false;
    } else if (error && !o->late) {
        o->late = horusp_ref(error);
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    if (!ok)
        Py_CLEAR(list);
    return list;
}
static PyObject *horusp_topic_wait_(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                    PyObject *kw)
{
    static horusp_sig sig = {"wait", 1, 0, 1, {{"timeout", 0}}};
    PyObject *v[1], *message;
    int64_t ns;
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_timeout(v[0], &ns))
        return NULL;
    int r = horusp_recv((horusp_topic *)self, ns, true, &message);
    return r < 0 ? NULL : PyBool_FromLong(r);
}
static PyObject *horusp_topic_has_msg(PyObject *self, PyObject *none)
{
    PyObject *message;
    (void)none;
    int r = horusp_recv((horusp_topic *)self, HORUS_NO_WAIT, true, &message);
    return r < 0 ? NULL : PyBool_FromLong(r);
}
static PyObject *horusp_topic_ack(PyObject *self, PyObject *none)
{
    horusp_topic *o = (horusp_topic *)self;
    (void)none;
    if (!horusp_topic_live(o))
        return NULL;
    horus_result r = horus_topic_ack(o->handle);
    return r == HORUS_OK || r == HORUS_EMPTY ? PyBool_FromLong(r == HORUS_OK) : horusp_error(r);
}
static PyObject *horusp_topic_next(PyObject *self)
{
    horusp_topic *o = (horusp_topic *)self;
    PyObject *message;
    if (!o->handle)
        return NULL; /* the end */
    int r = horusp_recv(o, HORUS_FOREVER, false, &message);
    if (r < 0 && (!o->handle || o->closing) &&
        PyErr_ExceptionMatches(horusp.by_code[-HORUS_E_CLOSED]))
        PyErr_Clear(); /* closed while we waited */
    return message;
}

/* horus.wait([topics], timeout): the first that has a message. */
typedef struct horusp_many {
    horusp_topic **topics;
    size_t count, ready;
} horusp_many;
static horus_result horusp_look_once(void *what)
{
    horusp_many *m = (horusp_many *)what;
    for (size_t i = 0; i < m->count; i++) {
        horusp_receiving v = {.o = m->topics[i], .look = true};
        horus_result r = horusp_receive_surely(&v);
        if (r != HORUS_EMPTY) {
            m->ready = i;
            return r;
        }
    }
    return HORUS_EMPTY;
}
static PyObject *horusp_wait_many(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kw)
{
    static horusp_sig sig = {"wait", 2, 1, 2, {{"topics", 0}, {"timeout", 0}}};
    PyObject *v[2], *result = NULL;
    int64_t ns;
    (void)module;
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_timeout(v[1], &ns))
        return NULL;
    PyObject *items = Py_TYPE(v[0]) == &horusp_topic_type
                          ? PyTuple_Pack(1, v[0]) /* it can be iterated */
                          : horusp_items(v[0], "topics must be a Topic or a sequence of Topics");
    PyObject *list = items ? PySequence_Tuple(items) : NULL; /* of its own */
    Py_XDECREF(items);
    if (!list)
        return NULL;
    size_t n = (size_t)PyTuple_GET_SIZE(list);
    horusp_topic *topics[64];
    if (n == 0 || n > 64)
        PyErr_Format(horusp.by_code[-HORUS_E_ARG], "wait() takes 1 to 64 topics, not %zu", n);
    bool ok = n > 0 && n <= 64;
    for (size_t i = 0; ok && i < n; i++) {
        topics[i] = (horusp_topic *)PyTuple_GET_ITEM(list, (Py_ssize_t)i);
        if (Py_TYPE(topics[i]) != &horusp_topic_type) {
            PyErr_Format(HORUSP_TYPE_ERROR, "wait() takes Topics, not %.100s",
                         Py_TYPE(topics[i])->tp_name);
            ok = false;
        } else {
            ok = horusp_topic_live(topics[i]);
        }
    }
    if (ok) {
        horusp_many m = {topics, n, 0};
        horusp_waiting w = {topics, n, 0, ns};
        bool taped = horusi_taped();
        horus_result r = HORUS_EMPTY;
        if (taped) {
            ok = horusp_wait_taped(topics, n, horusp_wait_once, &w, &r);
            r = r == HORUS_TIMEOUT ? HORUS_EMPTY : r;
            m.ready = w.ready;
        } else {
            r = horusp_look_once(&m);
        }
        if (!taped && r == HORUS_EMPTY && ns != HORUS_NO_WAIT)
            ok = horusp_wait(topics, n, false, ns, horusp_look_once, &m, &r);
        if (ok)
            result = r == HORUS_OK      ? horusp_ref((PyObject *)topics[m.ready])
                     : r == HORUS_EMPTY ? horusp_ref(Py_None)
                                        : horusp_error(r);
    }
    Py_DECREF(list);
    return result;
}

/* ------------------------------------------------------------------------------------ >>handles
 *
 * How a topic is opened, and what it says of itself. */

static bool horusp_policy(PyObject *o, horus_policy *out)
{
    static const char *const names[] = {"any", "overwrite", "reliable", "queue"};
    for (int i = 1; PyUnicode_Check(o) && i < 4; i++)
        if (PyUnicode_CompareWithASCIIString(o, names[i]) == 0) {
            *out = (horus_policy)i;
            return true;
        }
    horusp_refuse(horusp.by_code[-HORUS_E_ARG],
                  "policy must be \"overwrite\", \"reliable\" or \"queue\", not %R", o);
    return false;
}
static const horus_type *horusp_frame_type(PyObject *cls)
{
    return cls == (PyObject *)&horusp_image_type    ? &horus_image_type
           : cls == (PyObject *)&horusp_cloud_type  ? &horus_cloud_type
           : cls == (PyObject *)&horusp_depth_type  ? &horus_depth_type
           : cls == (PyObject *)&horusp_tensor_type ? &horus_tensor_type
                                                    : NULL;
}
/* What Topic(x) means: a class, its C type, and a name if x gives one (a new reference). */
static bool horusp_topic_of(PyObject *x, PyObject **cls, const horus_type **type, PyObject **name)
{
    *cls = NULL;
    *type = NULL;
    *name = NULL;
    if (PyUnicode_Check(x)) {
        const char *s = horusp_utf8(x, NULL);
        if (!s)
            return false;
        PyObject *known = horusp_message_class_by_name(s);
        for (uint32_t k = HORUS_KIND_TENSOR; !known && k <= HORUS_KIND_CLOUD; k++)
            if (strcmp(strrchr(horusp_type_of(k)->tp_name, '.') + 1, s) == 0)
                known = (PyObject *)horusp_type_of(k);
        if (!known) {
            *name = horusp_ref(x);
            return true;
        }
        x = known;
    }
    *type = horusp_frame_type(x);
    if (!*type)
        *type = horusp_message_type(x);
    if (*type) {
        *cls = x;
        *name = (*type)->topic[0] ? PyUnicode_FromString((*type)->topic) : NULL;
        return *name != NULL;
    }
    PyObject *module = PyType_Check(x) ? PyObject_GetAttrString(x, "__module__") : NULL;
    bool builtin = module && PyUnicode_Check(module) &&
                   PyUnicode_CompareWithASCIIString(module, "builtins") == 0;
    Py_XDECREF(module);
    if (!PyType_Check(x) || builtin) {
        PyErr_Clear();
        horusp_refuse(
            HORUSP_TYPE_ERROR,
            "Topic() takes a message class, Image, PointCloud, DepthImage, Tensor, a class of "
            "yours or a name, not %R",
            x);
        return false;
    }
    *cls = x;
    *name = PyObject_GetAttrString(x, "__topic_name__");
    if (!*name) {
        PyErr_Clear();
        PyObject *own = PyObject_GetAttrString(x, "__name__");
        *name = own ? PyObject_CallMethod(own, "lower", NULL) : NULL;
        Py_XDECREF(own);
    }
    return *name != NULL;
}
static horusp_sig horusp_sig_topic = {"Topic",
                                      6,
                                      1,
                                      3,
                                      {{"msg_type", 0},
                                       {"capacity", 0},
                                       {"endpoint", 0},
                                       {"name", 0},
                                       {"policy", 0},
                                       {"history", 0}}};
static PyObject *horusp_topic_tp_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    PyObject *v[6], *cls, *name = NULL;
    const horus_type *ctype;
    int64_t capacity = 0, history = 0;
    horus_topic_desc d;
    memset(&d, 0, sizeof d);
    if (!horusp_args_tuple(&horusp_sig_topic, args, kw, v) ||
        !horusp_topic_of(v[0], &cls, &ctype, &name))
        return NULL;
    PyObject *asked = v[3] && v[3] != Py_None ? v[3] : v[2] && v[2] != Py_None ? v[2] : name;
    horusp_topic *o = NULL;
    Py_ssize_t n = 0;
    const char *text = PyUnicode_Check(asked) ? horusp_utf8(asked, &n) : NULL;
    if (!text) {
        if (!PyErr_Occurred())
            PyErr_Format(HORUSP_TYPE_ERROR, "a topic's name must be a str, not %.100s",
                         Py_TYPE(asked)->tp_name);
    } else if (strlen(text) != (size_t)n || n >= HORUS_NAME_BYTES) {
        horusp_refuse(horusp.by_code[-HORUS_E_NAME],
                      "topic name %R: 1 to 96 of A-Z a-z 0-9 _ . : / -", asked);
    } else if ((!v[1] || v[1] == Py_None || horusp_int(v[1], "capacity", 1, 1 << 20, &capacity)) &&
               (!v[4] || v[4] == Py_None || horusp_policy(v[4], &d.policy)) &&
               (!v[5] || v[5] == Py_None || horusp_int(v[5], "history", 0, 1 << 20, &history)))
        o = (horusp_topic *)type->tp_alloc(type, 0);
    if (o) {
        d.type = ctype;
        d.capacity = (uint32_t)capacity;
        d.history = (uint32_t)history;
        if (ctype && ctype->kind == HORUS_KIND_MESSAGE && ctype->size > HORUS_MAX_INLINE)
            d.message_bytes = 104;
        o->desc = d;
        o->message = horusp_ref(cls);
        o->endpoint = v[2] && v[2] != Py_None ? horusp_ref(v[2]) : NULL;
        o->type = ctype;
        o->kind = ctype ? ctype->kind : HORUS_KIND_MESSAGE;
        memcpy(o->name, text, (size_t)n);
        horus_result r = horus_topic_open(&o->handle, o->name, &d);
        if (r != HORUS_OK) {
            o->handle = NULL;
            (void)horusp_error(r);
            Py_CLEAR(o);
        } else if (!ctype) {
            o->handle->type_tag = horusp_dynamic_tag;
        }
    }
    Py_DECREF(name);
    return (PyObject *)o;
}
static PyObject *horusp_topic_close(PyObject *self, PyObject *none)
{
    horusp_topic *o = (horusp_topic *)self;
    (void)none;
    horusp_topic_child(o);
    if (o->handle && o->inside > 0) { /* whoever waits closes it */
        o->closing = true;
        horus_context *c = o->handle->context;
        (void)horusi_add32_acqrel(W, &c->pool->rows[c->row].doorbell, 1);
        horusi_wake(&c->pool->rows[c->row].doorbell);
    } else if (o->handle) {
        horus_topic *t = o->handle;
        o->handle = NULL;
        horus_topic_close(t);
    }
    Py_RETURN_NONE;
}
static PyObject *horusp_topic_enter(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_topic_live((horusp_topic *)self) ? horusp_ref(self) : NULL;
}
static PyObject *horusp_topic_exit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)args;
    (void)nargs;
    return horusp_topic_close(self, NULL);
}
static void horusp_topic_dealloc(PyObject *self)
{
    horusp_topic *o = (horusp_topic *)self;
    PyObject_GC_UnTrack(self);
    if (o->weak)
        PyObject_ClearWeakRefs(self);
    horus_topic_close(o->handle);
    o->handle = NULL;
    Py_CLEAR(o->late);
    Py_CLEAR(o->message);
    Py_CLEAR(o->endpoint);
    Py_TYPE(self)->tp_free(self);
}
static int horusp_topic_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((horusp_topic *)self)->message);
    Py_VISIT(((horusp_topic *)self)->late);
    return 0;
}
static int horusp_topic_clear(PyObject *self)
{
    Py_CLEAR(((horusp_topic *)self)->late);
    return 0;
}

/* ---- what it says of itself */

#define HORUSP_TOPIC_COUNT(what, expression)                                                       \
    static PyObject *horusp_topic_##what(PyObject *self, PyObject *none)                           \
    {                                                                                              \
        horusp_topic *o = (horusp_topic *)self;                                                    \
        horus_topic_stats s;                                                                       \
        (void)none;                                                                                \
        return horusp_topic_counts(o, &s) ? PyLong_FromUnsignedLongLong(expression) : NULL;        \
    }
HORUSP_TOPIC_COUNT(pending_count, s.pending)
HORUSP_TOPIC_COUNT(pub_count, s.publishers)
HORUSP_TOPIC_COUNT(sub_count, s.subscribers)
static PyObject *horusp_topic_dropped(PyObject *self, PyObject *none)
{
    (void)none;
    return PyLong_FromUnsignedLongLong(((horusp_topic *)self)->refused);
}
static PyObject *horusp_topic_missed(PyObject *self, PyObject *none)
{
    (void)none;
    return PyLong_FromUnsignedLongLong(((horusp_topic *)self)->missed);
}
static PyObject *horusp_topic_generic(PyObject *self, PyObject *none)
{
    (void)none;
    return PyBool_FromLong(((horusp_topic *)self)->type == NULL);
}
static const char *horusp_policy_name(horus_policy p)
{
    return p == HORUS_RELIABLE ? "reliable" : p == HORUS_QUEUE ? "queue" : "overwrite";
}
/* Of the ring that the first send will make. */
static uint32_t horusp_capacity(const horusp_topic *o)
{
    uint32_t policy = horusi_ld32_acq(L2, &o->handle->shm->policy);
    return horusi_ring_capacity(o->handle, policy ? policy : HORUS_OVERWRITE);
}
static PyObject *horusp_topic_stats(PyObject *self, PyObject *none)
{
    horusp_topic *o = (horusp_topic *)self;
    horus_topic_stats s;
    (void)none;
    if (!horusp_topic_counts(o, &s))
        return NULL;
    return Py_BuildValue(
        "{sK sK sK sK sK sK sO ss ss ss ss sI sI sI sI sK sK sK sK sK sI}", "messages_sent",
        o->sent, "messages_received", o->got, "send_failures", o->refused + o->failed,
        "recv_failures", o->unread, "missed_count", o->missed, "dropped_count", o->refused,
        "is_network", Py_False, "backend", "SharedMemory", "name", s.name, "type", s.type, "policy",
        horusp_policy_name(s.policy), "capacity", s.capacity ? s.capacity : horusp_capacity(o),
        "message_bytes", s.message_bytes, "publishers", s.publishers, "subscribers", s.subscribers,
        "sent", (unsigned long long)s.sent, "received", (unsigned long long)s.received, "lost",
        (unsigned long long)s.lost, "pending", (unsigned long long)s.pending, "last_ns",
        (unsigned long long)s.last_ns, "frames", s.frames);
}
static PyObject *horusp_topic_name(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(((horusp_topic *)self)->name);
}
static PyObject *horusp_topic_endpoint(PyObject *self, void *unused)
{
    PyObject *e = ((horusp_topic *)self)->endpoint;
    (void)unused;
    return horusp_ref(e ? e : Py_None);
}
static PyObject *horusp_topic_backend(PyObject *self, void *unused)
{
    (void)self;
    (void)unused;
    return PyUnicode_FromString("SharedMemory");
}
static PyObject *horusp_topic_network(PyObject *self, void *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_FALSE;
}
static PyObject *horusp_topic_capacity(PyObject *self, void *unused)
{
    horusp_topic *o = (horusp_topic *)self;
    horus_topic_stats s;
    (void)unused;
    if (!horusp_topic_counts(o, &s))
        return NULL;
    return PyLong_FromUnsignedLong(s.capacity ? s.capacity : horusp_capacity(o));
}
static PyObject *horusp_topic_policy(PyObject *self, void *unused)
{
    horus_topic_stats s;
    (void)unused;
    return horusp_topic_counts((horusp_topic *)self, &s)
               ? PyUnicode_FromString(horusp_policy_name(s.policy))
               : NULL;
}
static PyObject *horusp_topic_repr(PyObject *self)
{
    horusp_topic *o = (horusp_topic *)self;
    return PyUnicode_FromFormat("Topic(name='%s'%s%s%s)", o->name, o->type ? ", type=" : "",
                                o->type ? o->type->name : "", o->handle ? "" : ", closed");
}
static PyGetSetDef horusp_topic_getset[] = {
    {"name", horusp_topic_name, NULL, "The topic's name.", NULL},
    {"endpoint", horusp_topic_endpoint, NULL, "The endpoint that was given, or None.", NULL},
    {"backend_type", horusp_topic_backend, NULL, "\"SharedMemory\".", NULL},
    {"is_network_topic", horusp_topic_network, NULL, "False.", NULL},
    {"capacity", horusp_topic_capacity, NULL,
     "Messages that this handle's ring keeps. Unless a capacity was asked for, at most 8 of them "
     "are "
     "frames or arrays, once it has sent one; and what does not fit into its entries "
     "(message_bytes "
     "in stats()) takes at most an eighth of the pool.",
     NULL},
    {"policy", horusp_topic_policy, NULL, "\"overwrite\", \"reliable\" or \"queue\".", NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMethodDef horusp_topic_methods[] = {
    {"send", HORUSP_FN(horusp_topic_send), HORUSP_FAST,
     "send($self, message, timeout=None, node=None)\n--\n\nSends an Image, PointCloud, DepthImage "
     "or Tensor "
     "(only a "
     "descriptor travels; it is read-only from then on), a message class, a NumPy array (copied "
     "into the pool), "
     "or a dict, list, str, bytes, number, bool or None. True, or False where a reliable or queue "
     "topic is full "
     "after timeout seconds (None: at once; inf: for ever). A Node "
     "is not needed: "
     "it may be given in the second place too, and changes nothing."},
    {"try_send", HORUSP_FN(horusp_topic_try_send), HORUSP_FAST,
     "try_send($self, message, node=None)\n--\n\nsend() without a wait."},
    {"send_blocking", HORUSP_FN(horusp_topic_send_blocking), HORUSP_FAST,
     "send_blocking($self, message, timeout_s, node=None)\n--\n\nsend(), with TimeoutError instead "
     "of False."},
    {"recv", HORUSP_FN(horusp_topic_recv), HORUSP_FAST,
     "recv($self, timeout=None, node=None)\n--\n\nThe next message, or None if none came within "
     "timeout "
     "seconds (None: at "
     "once; inf: for ever). Frames and arrays are read-only and stay valid as long as they are "
     "kept. A Node is not needed: it may be given in the first place too, and changes nothing."},
    {"try_recv", horusp_topic_try_recv, METH_NOARGS,
     "try_recv($self)\n--\n\nrecv() without a wait."},
    {"read_latest", horusp_topic_read_latest, METH_NOARGS,
     "read_latest($self)\n--\n\nDrops all but the newest message and returns that one, or None."},
    {"recv_all", horusp_topic_recv_all, METH_NOARGS,
     "recv_all($self)\n--\n\nAll messages that are pending now, oldest first, as a list. One that "
     "cannot "
     "be read is left out, and the next receive raises its error; of several, the first one's. "
     "stats()[\"recv_failures\"] counts them all."},
    {"wait", HORUSP_FN(horusp_topic_wait_), HORUSP_FAST,
     "wait($self, timeout=None)\n--\n\nTrue once there is a message; False after timeout seconds."},
    {"has_msg", horusp_topic_has_msg, METH_NOARGS,
     "has_msg($self)\n--\n\nTrue if recv() would return a message. Takes nothing."},
    {"ack", horusp_topic_ack, METH_NOARGS,
     "ack($self)\n--\n\nQueue: the message received last is done. True, or False if there is none. "
     "Without it "
     "the next recv() or close() says so."},
    {"is_generic", horusp_topic_generic, METH_NOARGS,
     "is_generic($self)\n--\n\nTrue if it carries anything."},
    {"pending_count", horusp_topic_pending_count, METH_NOARGS,
     "pending_count($self)\n--\n\nMessages that recv() has not yet returned."},
    {"pub_count", horusp_topic_pub_count, METH_NOARGS, "pub_count($self)\n--\n\nLive publishers."},
    {"sub_count", horusp_topic_sub_count, METH_NOARGS,
     "sub_count($self)\n--\n\nHandles that receive."},
    {"dropped_count", horusp_topic_dropped, METH_NOARGS,
     "dropped_count($self)\n--\n\nSends of this handle that a full topic refused."},
    {"missed_count", horusp_topic_missed, METH_NOARGS,
     "missed_count($self)\n--\n\nMessages that this handle lost: they were overwritten first."},
    {"stats", horusp_topic_stats, METH_NOARGS,
     "stats($self)\n--\n\nA dict of this handle's and the topic's counters."},
    {"close", horusp_topic_close, METH_NOARGS,
     "close($self)\n--\n\nCloses the handle; its messages stay for others. A recv() that waits in "
     "another thread "
     "raises."},
    {"__enter__", horusp_topic_enter, METH_NOARGS, NULL},
    {"__exit__", HORUSP_FN(horusp_topic_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL}};
static PyTypeObject horusp_topic_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus.Topic",
    .tp_basicsize = sizeof(horusp_topic),
    .tp_dealloc = horusp_topic_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = horusp_topic_traverse,
    .tp_clear = horusp_topic_clear,
    .tp_weaklistoffset = offsetof(horusp_topic, weak),
    .tp_doc =
        "Topic(msg_type, capacity=None, endpoint=None, *, name=None, policy=None, "
        "history=0)\n--\n\n"
        "One reader and publisher of a topic: of Image, PointCloud, DepthImage, Tensor, a message "
        "class, "
        "or, by a name, of anything. Every Topic sees all messages since it was made, its own too. "
        "capacity: messages kept (default 1024, of which 8 frames); policy: \"overwrite\" "
        "(default), "
        "\"reliable\" or \"queue\"; history: also the so many newest before it was made.",
    .tp_new = horusp_topic_tp_new,
    .tp_repr = horusp_topic_repr,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = horusp_topic_next,
    .tp_getset = horusp_topic_getset,
    .tp_methods = horusp_topic_methods,
};

/* ------------------------------------------------------------------------------------ >>vision
 *
 * What comes before and after a network. Arguments are frames, or whatever is an array: what lies in
 * memory as C takes it is read there, else from a copy. Other threads run where 64 KB are gone through. */
enum { HORUSP_SIDE = 1 << 20 }; /* px, at most */
typedef struct horusp_input {
    horus_tensor t;
    horusp_source source;
    PyObject *keep;   /* what the memory needs; may be NULL */
    horus_frame copy; /* in the pool, of what could not be read in place; a pool of NULL: none */
} horusp_input;
static void horusp_input_end(horusp_input *in)
{
    horusp_source_end(&in->source);
    Py_CLEAR(in->keep);
    if (in->copy.pool)
        (void)horus_frame_release(&in->copy);
    in->copy.pool = NULL;
}
static bool horusp_input_copy(horusp_input *in)
{
    horus_tensor t;
    horus_result r = horusp_copy_tensor(&t, &in->t, NULL);
    if (r != HORUS_OK)
        return horusp_error(r) != NULL;
    in->t = t;
    in->copy = t.frame;
    return true;
}
/* What has no buffer but DLPack, a torch.Tensor for one, is copied: it may be on a GPU. */
static bool horusp_input_begin(horusp_input *in, PyObject *o)
{
    memset(in, 0, sizeof *in);
    if (horusp_is_frame(o)) {
        horusp_frame *f = (horusp_frame *)o;
        if (!horusp_live(f))
            return false;
        in->t = f->t;
        in->keep = horusp_ref((PyObject *)f->hold); /* release() may come meanwhile */
        return true;
    }
    if (PyObject_CheckBuffer(o) || !PyObject_HasAttrString(o, "__dlpack__")) {
        if (!horusp_source_begin(&in->source, o, &in->keep))
            return false;
        in->t = in->source.t;
        return true;
    }
    PyObject *plain = horusp_plain_torch(o);
    bool ok = plain && horusp_from_dlpack(plain, NULL, &in->t);
    Py_XDECREF(plain);
    if (ok)
        in->copy = in->t.frame;
    return ok;
}
/* The same for C functions that read contiguous tensors. */
static bool horusp_input_dense(horusp_input *in, PyObject *o)
{
    if (!horusp_input_begin(in, o))
        return false;
    if (horus_tensor_is_contiguous(&in->t) || horusp_input_copy(in))
        return true;
    horusp_input_end(in);
    return false;
}
static PyThreadState *horusp_let_go(uint64_t bytes)
{
    return bytes < 65536 ? NULL : PyEval_SaveThread();
}
static uint64_t horusp_bytes_of(const horus_tensor *t)
{
    return horus_tensor_numel(t) * horus_dtype_bytes((horus_dtype)t->dtype);
}
static bool horusp_is_given(PyObject *o) { return o && o != Py_None; }
/* One of some words, in any case: its place. */
static bool horusp_word_of(PyObject *o, const char *what, const char *const *words, uint32_t count,
                           const char *shown, uint32_t *out)
{
    Py_ssize_t bytes = 0;
    const char *s = PyUnicode_Check(o) ? horusp_utf8(o, &bytes) : NULL;
    for (uint32_t i = 0; s && i < count; i++)
        if (strlen(s) == (size_t)bytes && horusi_same_text(s, words[i])) {
            *out = i;
            return true;
        }
    if (!PyErr_Occurred())
        horusp_refuse(s ? HORUSP_VALUE_ERROR : HORUSP_TYPE_ERROR, "%s must be %s, not %R", what,
                      shown, o);
    return false;
}
static bool horusp_float32(PyObject *o, const char *what, float *out)
{
    double d;
    if (!horusp_double(o, what, &d))
        return false;
    *out = (float)d;
    if (horusi_is_finite(*out) || d != d || d == (double)INFINITY || d == -(double)INFINITY)
        return true;
    horusp_refuse(horusp.overflow_error, "%s must be a float32, not %R", what, o);
    return false;
}
/* A sequence's items, which nobody changes meanwhile. */
static PyObject *horusp_tuple(PyObject *o, const char *what)
{
    PyObject *list = horusp_items(o, what), *all = list ? PySequence_Tuple(list) : NULL;
    Py_XDECREF(list);
    return all;
}
/* A number for all channels, or one for each. */
static bool horusp_per_channel(PyObject *o, const char *what, float *out, uint32_t channels)
{
    if (horusp_is_number(o)) {
        bool ok = horusp_float32(o, what, out);
        for (uint32_t i = 1; i < 3; i++)
            out[i] = out[0];
        return ok;
    }
    PyObject *all = horusp_tuple(o, what);
    bool ok = all != NULL;
    if (ok && PyTuple_GET_SIZE(all) != (Py_ssize_t)channels) {
        PyErr_Format(horusp.by_code[-HORUS_E_SIZE], "%s has %zd numbers for %u channel%s", what,
                     PyTuple_GET_SIZE(all), (unsigned)channels, channels > 1 ? "s" : "");
        ok = false;
    }
    for (uint32_t i = 0; ok && i < channels; i++)
        ok = horusp_float32(PyTuple_GET_ITEM(all, i), what, &out[i]);
    Py_XDECREF(all);
    return ok;
}

/* ---- before the network */

/* Memory to write into: of a frame that is nobody else's yet, or of a writable array. */
typedef struct horusp_target {
    horus_tensor t;
    horusp_hold *hold;
    horusp_source source;
} horusp_target;
static void horusp_target_end(horusp_target *to)
{
    horusp_source_end(&to->source);
    if (to->hold)
        horusp_write_end(to->hold);
    to->hold = NULL;
}
static bool horusp_target_begin(horusp_target *to, PyObject *o)
{
    memset(to, 0, sizeof *to);
    if (horusp_is_frame(o)) {
        if (!(to->hold = horusp_write_begin((horusp_frame *)o)))
            return false;
        to->t = ((horusp_frame *)o)->t;
        return true;
    }
    int r = horusp_check_array(o);
    if (r == 0)
        r = horusp_source_buffer(&to->source, o, true);
    if (r == 0 && horusp_source_buffer(&to->source, o, false) > 0) {
        horusp_source_end(&to->source);
        PyErr_SetString(horusp.by_code[-HORUS_E_READONLY], "out is read-only");
        r = -1;
    }
    if (r == 0 && !PyErr_Occurred())
        horusp_refuse(HORUSP_TYPE_ERROR,
                      "out must be a horus.Tensor or a writable array of float32, float16 or uint8 "
                      "(of torch: its numpy()), not %.100s",
                      Py_TYPE(o)->tp_name);
    to->t = to->source.t;
    return r > 0;
}

/* The image that an argument is. */
static bool horusp_picture(horusp_input *in, PyObject *o, PyObject *encoding, horus_image *m)
{
    horusp_frame *f = horusp_is_frame(o) ? (horusp_frame *)o : NULL;
    horus_encoding e = HORUS_RGB8, wanted;
    bool ok = true;
    if (f && f->kind == HORUS_KIND_CLOUD) {
        PyErr_SetString(HORUSP_TYPE_ERROR, "a PointCloud is no image");
        return false;
    }
    if (!horusp_input_begin(in, o))
        return false;
    if (!f || f->kind == HORUS_KIND_TENSOR) {
        ok = horusp_image_fits(&in->t, encoding, &e);
    } else {
        e = f->kind == HORUS_KIND_IMAGE ? (horus_encoding)f->encoding
            : in->t.dtype == HORUS_U16  ? HORUS_DEPTH16
                                        : HORUS_MONO32F;
        ok = !horusp_is_given(encoding) || horusp_encoding(encoding, &wanted);
        if (ok && horusp_is_given(encoding) && wanted != e) {
            PyErr_Format(HORUSP_VALUE_ERROR, "encoding is for arrays; this %s has %s",
                         horusp_kind_name(f), horus_encoding_name(e));
            ok = false;
        }
    }
    uint64_t elem = horus_dtype_bytes((horus_dtype)in->t.dtype);
    uint64_t channels = horus_encoding_channels(e), row = 0;
    if (ok && (in->t.shape[0] > HORUSP_SIDE || in->t.shape[1] > HORUSP_SIDE)) {
        PyErr_Format(horusp.by_code[-HORUS_E_SIZE], "an image of %lld x %lld px: at most %d a side",
                     (long long)in->t.shape[1], (long long)in->t.shape[0], (int)HORUSP_SIDE);
        ok = false;
    }
    if (ok) {
        const int64_t *strides = in->t.strides_bytes;
        row = (uint64_t)in->t.shape[1] * channels * elem;
        bool rows = (in->t.shape[1] == 1 || strides[1] == (int64_t)(channels * elem)) &&
                    (channels == 1 || strides[2] == (int64_t)elem) &&
                    (in->t.shape[0] == 1 ||
                     (strides[0] >= (int64_t)row && strides[0] <= (int64_t)UINT32_MAX));
        ok = rows || horusp_input_copy(in);
    }
    if (!ok) {
        horusp_input_end(in);
        return false;
    }
    memset(m, 0, sizeof *m);
    m->frame = in->t.frame;
    m->data = in->t.data;
    m->height_px = (uint32_t)in->t.shape[0];
    m->width_px = (uint32_t)in->t.shape[1];
    m->stride_bytes = (uint32_t)(m->height_px == 1 ? row : (uint64_t)in->t.strides_bytes[0]);
    m->encoding = (uint8_t)e;
    m->channels = (uint8_t)channels;
    m->elem_bytes = (uint8_t)elem;
    m->readonly = true;
    return true;
}
/* An int, or (height, width). */
static bool horusp_size(PyObject *o, horus_preprocess_desc *d)
{
    int64_t side[2] = {0, 0};
    bool one = horusp_is_number(o), ok;
    PyObject *all = one ? NULL : horusp_tuple(o, "size must be an int or (height, width)");
    if (one)
        ok = horusp_int(o, "size", 1, HORUSP_SIDE, &side[0]);
    else if ((ok = all != NULL) && PyTuple_GET_SIZE(all) != 2)
        ok = horusp_refuse(HORUSP_VALUE_ERROR, "size must be an int or (height, width), not %R",
                           o) != NULL;
    for (int i = 0; ok && !one && i < 2; i++)
        ok = horusp_int(PyTuple_GET_ITEM(all, i), i ? "width" : "height", 1, HORUSP_SIDE, &side[i]);
    Py_XDECREF(all);
    d->height_px = (uint32_t)side[0];
    d->width_px = (uint32_t)(one ? side[0] : side[1]);
    return ok;
}
/* What was asked for, of a tensor that is there. `d` gets its channels and dtype. */
static bool horusp_agrees(const horus_tensor *t, horus_preprocess_desc *d, bool typed)
{
    if (t->ndim < 3) /* C refuses it */
        return true;
    const int64_t *shape = t->shape + t->ndim - 3;
    bool last = d->flags & HORUS_LAYOUT_NHWC;
    int64_t channels = shape[last ? 2 : 0], height = shape[last ? 0 : 1],
            width = shape[last ? 1 : 2];
    if (d->width_px && (d->width_px != width || d->height_px != height))
        PyErr_Format(horusp.by_code[-HORUS_E_SIZE],
                     "size is (%u, %u), but out has %lld x %lld px: leave size out",
                     (unsigned)d->height_px, (unsigned)d->width_px, (long long)height,
                     (long long)width);
    else if (d->channels && d->channels != channels)
        PyErr_Format(horusp.by_code[-HORUS_E_SIZE], "channels is %u, but out has %lld",
                     (unsigned)d->channels, (long long)channels);
    else if (typed && d->dtype != t->dtype)
        PyErr_Format(horusp.dtype_error, "dtype is %s, but out has %s", horus_dtype_name(d->dtype),
                     horus_dtype_name((horus_dtype)t->dtype));
    else {
        d->channels = channels == 1 ? 1 : 3;
        d->dtype = (horus_dtype)t->dtype;
        return true;
    }
    return false;
}
static PyObject *horusp_map_object(const horus_pixel_map *m)
{
    return PyObject_CallFunction(horusp.pixel_map, "ffffII", m->scale_x, m->scale_y, m->offset_x,
                                 m->offset_y, (unsigned)m->width_px, (unsigned)m->height_px);
}
enum {
    HORUSP_PRE_IMAGE,
    HORUSP_PRE_SIZE,
    HORUSP_PRE_FIT,
    HORUSP_PRE_LAYOUT,
    HORUSP_PRE_ORDER,
    HORUSP_PRE_CHANNELS,
    HORUSP_PRE_DTYPE,
    HORUSP_PRE_SCALE,
    HORUSP_PRE_MEAN,
    HORUSP_PRE_STD,
    HORUSP_PRE_PAD,
    HORUSP_PRE_ENCODING,
    HORUSP_PRE_OUT,
    HORUSP_PRE_MAP,
    HORUSP_PRE_COUNT
};
static horusp_sig horusp_sig_preprocess = {"preprocess",
                                           HORUSP_PRE_COUNT,
                                           1,
                                           2,
                                           {{"image", 0},
                                            {"size", 0},
                                            {"fit", 0},
                                            {"layout", 0},
                                            {"order", 0},
                                            {"channels", 0},
                                            {"dtype", 0},
                                            {"scale", 0},
                                            {"mean", 0},
                                            {"std", 0},
                                            {"pad", 0},
                                            {"encoding", 0},
                                            {"out", 0},
                                            {"return_map", 0}}};
/* All arguments but the image, mean, std and out. A number that C takes for "the default" is said
 * otherwise, or refused. */
static bool horusp_preprocess_desc(PyObject **v, horus_preprocess_desc *d)
{
    static const char *const fits[] = {"letterbox", "stretch", "center_crop"};
    static const char *const layouts[] = {"nchw", "nhwc"}, *const orders[] = {"rgb", "bgr"};
    uint32_t fit = HORUS_LETTERBOX, last = 0, bgr = 0;
    int64_t channels = 0;
    memset(d, 0, sizeof *d);
    for (int i = 1; i < HORUSP_PRE_COUNT; i++)
        if (v[i] == Py_None)
            v[i] = NULL;
    if ((v[HORUSP_PRE_SIZE] && !horusp_size(v[HORUSP_PRE_SIZE], d)) ||
        (v[HORUSP_PRE_FIT] &&
         !horusp_word_of(v[HORUSP_PRE_FIT], "fit", fits, 3,
                         "\"letterbox\", \"stretch\" or \"center_crop\"", &fit)) ||
        (v[HORUSP_PRE_LAYOUT] && !horusp_word_of(v[HORUSP_PRE_LAYOUT], "layout", layouts, 2,
                                                 "\"NCHW\" or \"NHWC\"", &last)) ||
        (v[HORUSP_PRE_ORDER] &&
         !horusp_word_of(v[HORUSP_PRE_ORDER], "order", orders, 2, "\"rgb\" or \"bgr\"", &bgr)) ||
        (v[HORUSP_PRE_CHANNELS] &&
         !horusp_int(v[HORUSP_PRE_CHANNELS], "channels", 1, 3, &channels)) ||
        (v[HORUSP_PRE_DTYPE] && !horusp_dtype(v[HORUSP_PRE_DTYPE], &d->dtype)) ||
        (v[HORUSP_PRE_SCALE] && !horusp_float32(v[HORUSP_PRE_SCALE], "scale", &d->scale)) ||
        (v[HORUSP_PRE_PAD] && !horusp_float32(v[HORUSP_PRE_PAD], "pad", &d->pad)))
        return false;
    if (channels == 2)
        horusp_refuse(HORUSP_VALUE_ERROR, "channels must be 1 or 3, not 2");
    else if (v[HORUSP_PRE_SCALE] && !(d->scale < 0 || d->scale > 0))
        horusp_refuse(HORUSP_VALUE_ERROR, "scale must not be %R", v[HORUSP_PRE_SCALE]);
    else if (v[HORUSP_PRE_PAD] && !(d->pad >= 0))
        horusp_refuse(HORUSP_VALUE_ERROR, "pad must be 0 or more, not %R", v[HORUSP_PRE_PAD]);
    else {
        if (v[HORUSP_PRE_PAD] && !(d->pad > 0))
            d->pad = -1;
        d->channels = (uint32_t)channels;
        d->fit = (horus_fit)fit;
        d->flags = (last ? HORUS_LAYOUT_NHWC : 0) | (bgr ? HORUS_ORDER_BGR : 0);
        return true;
    }
    return false;
}
/* What depends on the image, and on the tensor if it is there. */
static bool horusp_preprocess_values(PyObject **v, const horus_image *m, horus_preprocess_desc *d)
{
    uint32_t channels = d->channels ? d->channels : m->channels == 1 ? 1 : 3;
    if (horusp_is_frame(v[HORUSP_PRE_IMAGE])) {
        const horusp_frame *f = (const horusp_frame *)v[HORUSP_PRE_IMAGE];
        if (f->kind == HORUS_KIND_DEPTH && !v[HORUSP_PRE_SCALE]) /* metres */
            d->scale = (float)f->scale * (d->dtype == HORUS_U8 ? 255 : 1);
        if (f->kind == HORUS_KIND_DEPTH && !v[HORUSP_PRE_PAD])
            d->pad = -1; /* nothing was measured */
    }
    if ((v[HORUSP_PRE_MEAN] &&
         !horusp_per_channel(v[HORUSP_PRE_MEAN], "mean", d->mean, channels)) ||
        (v[HORUSP_PRE_STD] && !horusp_per_channel(v[HORUSP_PRE_STD], "std", d->std, channels)))
        return false;
    for (uint32_t i = 0; v[HORUSP_PRE_STD] && i < channels; i++)
        if (!(d->std[i] < 0 || d->std[i] > 0)) {
            horusp_refuse(HORUSP_VALUE_ERROR, "std must not be %R", v[HORUSP_PRE_STD]);
            return false;
        }
    return true;
}
static PyObject *horusp_preprocess(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kw)
{
    PyObject *v[HORUSP_PRE_COUNT], *result = NULL;
    horus_preprocess_desc d;
    horusp_input in;
    horusp_target to;
    horus_image m;
    horus_tensor t;
    horus_pixel_map map;
    (void)module;
    if (!horusp_args(&horusp_sig_preprocess, args, nargs, kw, v) || !horusp_preprocess_desc(v, &d))
        return NULL;
    PyObject *out = v[HORUSP_PRE_OUT];
    int mapped = v[HORUSP_PRE_MAP] ? PyObject_IsTrue(v[HORUSP_PRE_MAP]) : 0;
    if (mapped < 0 || !horusp_picture(&in, v[HORUSP_PRE_IMAGE], v[HORUSP_PRE_ENCODING], &m))
        return NULL;
    memset(&to, 0, sizeof to);
    if ((!out || (horusp_target_begin(&to, out) &&
                  horusp_agrees(&to.t, &d, v[HORUSP_PRE_DTYPE] != NULL))) &&
        horusp_preprocess_values(v, &m, &d)) {
        uint64_t pixels = (uint64_t)d.width_px * d.height_px;
        PyThreadState *thread =
            horusp_let_go(horusp_bytes_of(&in.t) + horusp_bytes_of(&to.t) + pixels);
        horus_result r = out ? horus_image_preprocess_into(&to.t, &m, &d, &map)
                             : horus_image_preprocess(&t, &m, NULL, &d, &map);
        if (thread)
            PyEval_RestoreThread(thread);
        if (r != HORUS_OK)
            (void)horusp_error(r);
        else
            result = out ? horusp_ref(out) : horusp_frame_of(HORUS_KIND_TENSOR, &t, NULL);
    }
    horusp_target_end(&to);
    horusp_input_end(&in);
    PyObject *where = result && mapped ? horusp_map_object(&map) : NULL;
    if (result && mapped) {
        PyObject *both = where ? PyTuple_Pack(2, result, where) : NULL;
        Py_DECREF(result);
        Py_XDECREF(where);
        return both;
    }
    return result;
}

/* ---- behind it */

static PyObject *horusp_softmax(PyObject *module, PyObject *o)
{
    horusp_input in;
    horus_tensor t;
    (void)module;
    if (!horusp_input_dense(&in, o))
        return NULL;
    PyThreadState *thread = horusp_let_go(horusp_bytes_of(&in.t));
    horus_result r = horus_tensor_softmax(&t, &in.t, NULL);
    if (thread)
        PyEval_RestoreThread(thread);
    PyObject *result =
        r == HORUS_OK ? horusp_frame_of(HORUS_KIND_TENSOR, &t, NULL) : horusp_error(r);
    horusp_input_end(&in);
    return result;
}
HORUSP_ONE(horusp_softmax, "softmax", "logits")
/* The k largest of each row: indices, and values of which the last dimension is k. */
static bool horusp_largest(PyObject *o, uint32_t k, bool reduced, horusp_frame **index,
                           horusp_frame **value)
{
    horusp_input in;
    *index = *value = NULL;
    if (!horusp_input_dense(&in, o))
        return false;
    uint32_t ndim = in.t.ndim;
    int64_t shape[HORUS_MAX_DIMS], last = ndim ? in.t.shape[ndim - 1] : 0;
    memcpy(shape, in.t.shape, sizeof shape);
    bool ok = ndim > 0 && last > 0 && k <= last;
    if (ndim == 0 || last == 0)
        PyErr_SetString(HORUSP_VALUE_ERROR, "the last dimension has no elements");
    else if (!ok)
        PyErr_Format(HORUSP_VALUE_ERROR, "k must be 1 to %lld, not %u", (long long)last,
                     (unsigned)k);
    if (ok && reduced && ndim > 1)
        ndim--;
    else if (ok)
        shape[ndim - 1] = k;
    if (ok)
        *index = horusp_frame_new(HORUS_KIND_TENSOR, NULL, HORUS_I64, ndim, shape, HORUS_UNINIT);
    if (*index)
        *value = horusp_frame_new(HORUS_KIND_TENSOR, NULL, HORUS_F32, ndim, shape, HORUS_UNINIT);
    if (*value) {
        PyThreadState *thread = horusp_let_go(horusp_bytes_of(&in.t));
        horus_result r = horus_tensor_topk((*index)->t.data, (*value)->t.data,
                                           (size_t)horus_tensor_numel(&(*index)->t), &in.t, k);
        if (thread)
            PyEval_RestoreThread(thread);
        if (r != HORUS_OK) {
            (void)horusp_error(r);
            Py_CLEAR(*value);
        }
    }
    if (!*value)
        Py_CLEAR(*index);
    horusp_input_end(&in);
    return *value != NULL;
}
static PyObject *horusp_topk(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *kw)
{
    static horusp_sig sig = {"topk", 2, 2, 2, {{"scores", 0}, {"k", 0}}};
    PyObject *v[2];
    horusp_frame *index, *value;
    int64_t k;
    (void)module;
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_int(v[1], "k", 1, UINT32_MAX, &k) ||
        !horusp_largest(v[0], (uint32_t)k, false, &index, &value))
        return NULL;
    PyObject *both = PyTuple_Pack(2, value, index);
    Py_DECREF(value);
    Py_DECREF(index);
    return both;
}
static PyObject *horusp_argmax(PyObject *module, PyObject *o)
{
    horusp_frame *index, *value;
    (void)module;
    if (!horusp_largest(o, 1, true, &index, &value))
        return NULL;
    Py_DECREF(value);
    return (PyObject *)index;
}
HORUSP_ONE(horusp_argmax, "argmax", "scores")

/* A PixelMap, or six numbers in its order. */
static bool horusp_map_of(PyObject *o, horus_pixel_map *m)
{
    static const char *const names[] = {"scale_x", "scale_y", "offset_x", "offset_y"};
    float f[4];
    int64_t side[2];
    PyObject *all = horusp_tuple(o, "map must be a PixelMap");
    bool ok = all != NULL;
    if (ok && PyTuple_GET_SIZE(all) != 6)
        ok = horusp_refuse(HORUSP_VALUE_ERROR, "map must be a PixelMap, not %R", o) != NULL;
    for (int i = 0; ok && i < 4; i++)
        ok = horusp_float32(PyTuple_GET_ITEM(all, i), names[i], &f[i]);
    for (int i = 0; ok && i < 2; i++)
        ok = horusp_int(PyTuple_GET_ITEM(all, 4 + i), i ? "height" : "width", 1, UINT32_MAX,
                        &side[i]);
    if (ok)
        *m = (horus_pixel_map){f[0], f[1], f[2], f[3], (uint32_t)side[0], (uint32_t)side[1]};
    Py_XDECREF(all);
    return ok;
}
/* Names of classes: a sequence, or a dict by class. `keep` gets what their texts are part of. */
static bool horusp_class_names(PyObject *o, const char ***names, uint32_t *count, PyObject **keep)
{
    enum { MOST = 65536 };
    PyObject *key, *value;
    Py_ssize_t at = 0, bytes;
    int64_t n = 0, id = 0;
    bool dict = PyDict_Check(o), ok = true;
    *keep = dict ? PyDict_Copy(o)
            : PyUnicode_Check(o) || PyBytes_Check(o)
                ? NULL
                : horusp_tuple(o, "class_names must be a list or a dict of str");
    if (!*keep) {
        if (!PyErr_Occurred())
            horusp_refuse(HORUSP_TYPE_ERROR, "class_names must be a list or a dict of str, not %R",
                          o);
        return false;
    }
    while (ok && dict && PyDict_Next(*keep, &at, &key, &value)) {
        ok = horusp_int(key, "a class", 0, MOST - 1, &id);
        n = ok && id >= n ? id + 1 : n;
    }
    if (!dict)
        n = PyTuple_GET_SIZE(*keep);
    if (n > MOST) {
        PyErr_Format(HORUSP_VALUE_ERROR, "%lld class names; at most %d are possible", (long long)n,
                     (int)MOST);
        ok = false;
    }
    if (ok && !(*names = PyMem_Calloc((size_t)n + 1, sizeof **names))) {
        PyErr_NoMemory();
        ok = false;
    }
    for (at = 0, id = 0; ok && (dict ? PyDict_Next(*keep, &at, &key, &value) : id < n); id++) {
        int64_t place = id;
        if (!dict)
            value = PyTuple_GET_ITEM(*keep, id);
        ok = !dict || horusp_int(key, "a class", 0, n - 1, &place);
        if (ok && !PyUnicode_Check(value))
            ok = horusp_refuse(HORUSP_TYPE_ERROR, "a class name must be a str, not %R", value) !=
                 NULL;
        ok = ok && ((*names)[place] = horusp_utf8(value, &bytes)) != NULL;
        if (ok && strlen((*names)[place]) != (size_t)bytes)
            ok = horusp_refuse(HORUSP_VALUE_ERROR, "a class name has no NUL: %R", value) != NULL;
    }
    *count = (uint32_t)n;
    return ok;
}
/* 0 to 1. C takes 0 for the default. */
static bool horusp_threshold(PyObject *o, const char *what, float *out)
{
    if (!horusp_float32(o, what, out))
        return false;
    if (!(*out >= 0 && *out <= 1)) {
        horusp_refuse(HORUSP_VALUE_ERROR, "%s must be 0 to 1, not %R", what, o);
        return false;
    }
    *out = *out > 0 ? *out : 1e-37f;
    return true;
}
static PyObject *horusp_yolo(PyObject *output, horus_yolo_desc *d, bool counted)
{
    enum { MOST = 30000 }; /* candidates: what Ultralytics allows */
    horusp_input in;
    horus_yolo_stats stats;
    horus_detections *list = NULL;
    PyObject *found = NULL, *cls = horusp_message_class(horus_type_tag(&horus_detections_type));
    if (!horusp_input_dense(&in, output))
        return NULL;
    uint32_t ndim = in.t.ndim, back = d->layout == HORUS_YOLO_V5 ? 2 : 1;
    int64_t boxes = ndim >= back ? in.t.shape[ndim - back] : 0;
    d->candidate_count = boxes < 1 ? 1 : boxes < MOST ? (uint32_t)boxes : MOST;
    if (d->max_detections > d->candidate_count)
        d->max_detections = d->candidate_count;
    size_t bytes = sizeof *list, room = bytes + 8 + d->max_detections * sizeof(horus_detection);
    list = PyMem_Malloc(room + d->candidate_count * sizeof *d->candidates);
    if (!list) {
        PyErr_NoMemory();
    } else {
        memset(list, 0, sizeof *list);
        d->candidates = (horus_yolo_candidate *)(void *)((uint8_t *)list + room);
        PyThreadState *thread = horusp_let_go(horusp_bytes_of(&in.t));
        horus_result r = horus_yolo_decode_message(list, room, &bytes, &in.t, d, &stats);
        if (thread)
            PyEval_RestoreThread(thread);
        found = r == HORUS_OK ? horusp_message_new(cls, list, bytes) : horusp_error(r);
    }
    PyMem_Free(list);
    horusp_input_end(&in);
    if (!found || !counted)
        return found;
    return Py_BuildValue("N{sIsIsIsIsI}", found, "candidates", (unsigned)stats.candidates,
                         "invalid", (unsigned)stats.invalid, "outside", (unsigned)stats.outside,
                         "dropped", (unsigned)stats.dropped, "suppressed",
                         (unsigned)stats.suppressed);
}
static PyObject *horusp_yolo_decode(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                                    PyObject *kw)
{
    enum { OUTPUT, LAYOUT, CONFIDENCE, IOU, MOST, NAMES, AGNOSTIC, MAP, STATS, COUNT };
    static horusp_sig sig = {"yolo_decode",
                             COUNT,
                             1,
                             1,
                             {{"output", 0},
                              {"layout", 0},
                              {"confidence", 0},
                              {"iou", 0},
                              {"max_detections", 0},
                              {"class_names", 0},
                              {"agnostic", 0},
                              {"map", 0},
                              {"return_stats", 0}}};
    static const char *const layouts[] = {"v8", "v5"};
    PyObject *v[COUNT], *keep = NULL, *result = NULL;
    const char **names = NULL;
    uint32_t layout = 0;
    int64_t most = 300;
    horus_pixel_map map;
    horus_yolo_desc d;
    (void)module;
    if (!horusp_args(&sig, args, nargs, kw, v))
        return NULL;
    memset(&d, 0, sizeof d);
    for (int i = 1; i < COUNT; i++)
        if (v[i] == Py_None)
            v[i] = NULL;
    int agnostic = v[AGNOSTIC] ? PyObject_IsTrue(v[AGNOSTIC]) : 0;
    int counted = v[STATS] ? PyObject_IsTrue(v[STATS]) : 0;
    if (agnostic >= 0 && counted >= 0 &&
        (!v[LAYOUT] ||
         horusp_word_of(v[LAYOUT], "layout", layouts, 2, "\"v8\" or \"v5\"", &layout)) &&
        (!v[CONFIDENCE] || horusp_threshold(v[CONFIDENCE], "confidence", &d.confidence)) &&
        (!v[IOU] || horusp_threshold(v[IOU], "iou", &d.iou)) &&
        (!v[MOST] || horusp_int(v[MOST], "max_detections", 1, UINT32_MAX, &most)) &&
        (!v[MAP] || horusp_map_of(v[MAP], &map)) &&
        (!v[NAMES] || horusp_class_names(v[NAMES], &names, &d.class_name_count, &keep))) {
        d.layout = (horus_yolo_layout)layout;
        d.flags = agnostic ? HORUS_NMS_AGNOSTIC : 0;
        d.max_detections = (uint32_t)most;
        d.map = v[MAP] ? &map : NULL;
        d.class_names = names;
        result = horusp_yolo(v[OUTPUT], &d, counted);
    }
    PyMem_Free((void *)names);
    Py_XDECREF(keep);
    return result;
}
/* clang-format off */
static const char horusp_preprocess_doc[] =
    "preprocess(image, size=None, *, fit=\"letterbox\", layout=\"NCHW\", order=\"rgb\", "
    "channels=None, dtype=\"float32\", scale=None, mean=None, std=None, pad=None, "
    "encoding=None, out=None, return_map=False)\n--\n\n"
    "An image, depth image or array becomes the input of a network in one pass: a Tensor (1, "
    "channels, height, width), or with layout=\"NHWC\" (1, height, width, channels). element "
    "= (value * scale - mean) / std.\n\n"
    "size: an int, or (height, width) as Image() has it; None: the image's. fit: "
    "\"letterbox\" shows all of it, the rest is pad; \"stretch\" loses the aspect; "
    "\"center_crop\" cuts. Pixels are mixed bilinearly, as by cv2.INTER_LINEAR. order: of the "
    "channels, \"rgb\" or \"bgr\". channels: 1 or 3; None: 1 for mono and depth, else 3. "
    "dtype: float32, float16 or uint8. scale: None is 1/255 for 8 bits, 1/65535 for 16, "
    "metres for depth, 1 for floats; for uint8 255 times that. mean, std: a number, or one "
    "for each channel of the tensor. pad: a value as in the image; None: 114/255 of white, 0 "
    "for depth. encoding: of an array, as for Image.from_numpy(): \"bgr8\" for what OpenCV "
    "reads.\n\n"
    "out: a Tensor, or a writable array, (channels, height, width) with or without a leading "
    "1, that is written into and returned; its shape and dtype count. It must not overlap the "
    "image. return_map=True: (tensor, PixelMap), for yolo_decode().";
static const char horusp_softmax_doc[] =
    "softmax(logits)\n--\n\n"
    "Softmax over the last dimension, a Tensor of float32. A row with NaN is NaN.";
static const char horusp_topk_doc[] =
    "topk(scores, k)\n--\n\n"
    "The k largest of each row of the last dimension, largest first: (values, indices), "
    "Tensors of float32 and int64. Of equals the lower index; NaN is never among them: where "
    "a row has too few others, the index is -1.";
static const char horusp_argmax_doc[] =
    "argmax(scores)\n--\n\n"
    "The index of the largest of each row of the last dimension: a Tensor of int64 without "
    "that dimension, of one row of shape [1]. Of equals the lower; -1 where all are NaN.";
static const char horusp_yolo_doc[] =
    "yolo_decode(output, *, layout=\"v8\", confidence=0.25, iou=0.45, max_detections=300, "
    "class_names=None, agnostic=False, map=None, return_stats=False)\n--\n\n"
    "The boxes that a YOLO network found, as a DetectionList: those whose best class is above "
    "confidence, without those that overlap a better one of their class (agnostic: of any) by "
    "more than iou, best first.\n\n"
    "output: floats, (1, 4 + classes, boxes) for \"v8\" and later, (1, boxes, 5 + classes) "
    "for \"v5\" and v7; the 1 may be absent. class_names: a list of str, or a dict by class. "
    "map: what preprocess(..., return_map=True) gave: boxes are in px of the image, cut to "
    "it; None: px of the input. timestamp_ns and frame_id are the output's, if it is a Tensor "
    "of a frame. At most 30000 boxes above confidence are looked at, the best. "
    "return_stats=True: (list, dict) with candidates, invalid, outside, dropped, suppressed.";
/* clang-format on */
static int horusp_vision_init(PyObject *module)
{
    static const char doc[] = "Where the pixels of an image went: x in the tensor = x in the image "
                              "* scale_x + offset_x, y "
                              "alike. width and height are the image's.";
    PyObject *collections = PyImport_ImportModule("collections");
    PyObject *make = collections ? PyObject_GetAttrString(collections, "namedtuple") : NULL;
    PyObject *args =
        Py_BuildValue("ss", "PixelMap", "scale_x scale_y offset_x offset_y width height");
    PyObject *kw = Py_BuildValue("{ss}", "module", "horus");
    PyObject *type = make && args && kw ? PyObject_Call(make, args, kw) : NULL;
    PyObject *text = type ? PyUnicode_FromString(doc) : NULL;
    int bad = text ? PyObject_SetAttrString(type, "__doc__", text) : -1;
    Py_XDECREF(collections);
    Py_XDECREF(make);
    Py_XDECREF(args);
    Py_XDECREF(kw);
    Py_XDECREF(text);
    horusp.pixel_map = type;
    return bad < 0 ? -1 : PyModule_AddObject(module, "PixelMap", horusp_ref(type));
}

/* ------------------------------------------------------------------------------------ >>node
 *
 * A Node is a Python object whose arguments are its attributes. Scheduler.add() reads them; from then on
 * the C scheduler calls it back. A thread of the scheduler's takes the interpreter's lock for a callback
 * with a thread state that it keeps. */
#if PY_VERSION_HEX >= 0x030d0000
#define horusp_is_finalizing Py_IsFinalizing
#else
#define horusp_is_finalizing _Py_IsFinalizing
#endif

typedef struct horusp_scheduler horusp_scheduler;
typedef struct horusp_node {
    PyObject_HEAD PyObject *weak, *dict;
    PyObject *topics;                        /* dict: what it was called -> Topic */
    PyObject *pubs, *subs;                   /* lists of names */
    PyObject *data;                          /* dict of NodeInfo's data, or NULL */
    PyObject *tick, *init, *shutdown, *safe; /* what is called while it is added; or NULL */
    PyObject *on_error;
    PyObject *on;                /* the Topic that wakes it, or NULL */
    bool taken;                  /* a thread of the scheduler's uses that one, and holds no lock */
    uint8_t takes, is_async;     /* a bit for each of those */
    bool ignores;                /* failure_policy "ignore" */
    horusp_scheduler *scheduler; /* that it was added to; borrowed */
    uint32_t index;
    char name[HORUS_NAME_BYTES]; /* as it was read last */
    const horus_tick *now;       /* while it ticks */
    uint32_t inside;             /* callbacks that run */
    uint64_t ticks, failed, sent, got;
    uint64_t last_ns, min_ns, warned_ns, unsaid;
    uint64_t added_ns; /* when it was added */
} horusp_node;
static PyTypeObject horusp_node_type, horusp_info_type;
enum { HORUSP_TICK = 1, HORUSP_INIT = 2, HORUSP_SHUTDOWN = 4, HORUSP_SAFE = 8 };

/* What is better said in Python. */
static const char horusp_helpers_source[] =
    "import asyncio, concurrent.futures, contextvars, inspect, logging, threading\n"
    "current = contextvars.ContextVar('horus_tick', default=None)\n"
    "log = logging.getLogger('horus')\n"
    "def look(f):\n" /* (takes an argument, is async) */
    "    try:\n"
    "        takes = any(p.kind < 3 for p in inspect.signature(f).parameters.values())\n"
    "    except (TypeError, ValueError):\n"
    "        takes = True\n"
    "    return takes, inspect.iscoroutinefunction(f) or inspect.iscoroutinefunction(\n"
    "        getattr(f, '__call__', None))\n"
    "def say(level, node, text, exc=None):\n"
    "    if not log.handlers and not logging.getLogger().handlers:\n" /* nobody has set up logging */
    "        h = logging.StreamHandler()\n"
    "        h.setFormatter(logging.Formatter('[%(levelname)s] %(name)s: %(message)s'))\n"
    "        log.addHandler(h)\n"
    "        log.propagate = False\n"
    "        if log.level == logging.NOTSET:\n"
    "            log.setLevel(logging.INFO)\n"
    "    log.getChild(node).log(level, '%s', text, exc_info=exc)\n"
    "async def guard(coro, tick):\n" /* SystemExit would end the loop, not the run */
    "    current.set(tick)\n"
    "    try:\n"
    "        return None, await coro\n"
    "    except (Exception, asyncio.CancelledError):\n"
    "        raise\n"
    "    except BaseException as e:\n"
    "        return e, None\n"
    "class Loop:\n" /* one event loop for all async nodes of a scheduler */
    "    def __init__(self):\n"
    "        self.loop = asyncio.new_event_loop()\n"
    "        self.thread = threading.Thread(target=self.loop.run_forever, name='horus-async',\n"
    "                                       daemon=True)\n"
    "        self.thread.start()\n"
    "    def call(self, coro, stops, tick):\n"
    "        f = asyncio.run_coroutine_threadsafe(guard(coro, tick), self.loop)\n"
    "        while True:\n"
    "            try:\n"
    "                raised, result = f.result() if f.done() else f.result(0.02)\n"
    "                break\n"
    "            except concurrent.futures.CancelledError:\n"
    "                if stops():\n"
    "                    return None\n"
    "                raise\n"
    "            except concurrent.futures.TimeoutError:\n"
    "                if f.done():\n" /* its own, or it has just ended */
    "                    raised, result = f.result()\n"
    "                    break\n"
    "                if stops():\n"
    "                    f.cancel()\n"
    "        if raised is not None:\n"
    "            raise raised\n"
    "        return result\n"
    "    def close(self):\n"
    "        async def end():\n"
    "            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]\n"
    "            for t in tasks:\n"
    "                t.cancel()\n"
    "            await asyncio.gather(*tasks, return_exceptions=True)\n"
    "        try:\n"
    "            asyncio.run_coroutine_threadsafe(end(), self.loop).result(1)\n"
    "        except concurrent.futures.TimeoutError:\n"
    "            pass\n"
    "        self.loop.call_soon_threadsafe(self.loop.stop)\n"
    "        self.thread.join(1)\n"
    "        if not self.thread.is_alive():\n"
    "            self.loop.close()\n";

/* One of those; a borrowed reference. */
static PyObject *horusp_helper(const char *name)
{
    static PyObject *helpers;
    if (!helpers) {
        PyObject *names = PyDict_New(), *done = NULL;
        if (names && PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) == 0)
            done = PyRun_String(horusp_helpers_source, Py_file_input, names, names);
        if (!done) {
            Py_XDECREF(names);
            return NULL;
        }
        Py_DECREF(done);
        if (helpers) /* another thread was faster */
            Py_DECREF(names);
        else
            helpers = names;
    }
    PyObject *key = PyUnicode_InternFromString(name);
    PyObject *o = key ? PyDict_GetItemWithError(helpers, key) : NULL; /* they are all there */
    Py_XDECREF(key);
    return o;
}
/* A line for the log; levels are logging's. Errors of it are told and dropped. */
static void horusp_say(int level, const char *node, const char *text, PyObject *exception)
{
    PyObject *f = horusp_helper("say");
    PyObject *r =
        f ? PyObject_CallFunction(f, "issO", level, node, text, exception ? exception : Py_None)
          : NULL;
    if (!r)
        PyErr_WriteUnraisable(f);
    Py_XDECREF(r);
}

/* ---- threads */

/* This thread's state while a scheduler runs on it and does not hold the interpreter's lock. */
static _Thread_local PyThreadState *horusp_thread;
static _Thread_local const horus_tick *horusp_tick; /* the one that runs on this thread */
static _Thread_local bool horusp_stoppable; /* what it awaits is cancelled when the run ends */
static PyInterpreterState *horusp_interpreter;
/* A thread of the scheduler's ends: so does its state. */
static void horusp_thread_ends(void)
{
    PyThreadState *state = horusp_thread;
    if (!state || horusp_is_finalizing())
        return;
    PyEval_RestoreThread(state);
    PyThreadState_Clear(state);
    PyThreadState_DeleteCurrent();
    horusp_thread = NULL;
}
/* Takes the lock. False: the interpreter ends, and nothing of Python's may be called. */
static bool horusp_take_lock(void)
{
    if (horusp_is_finalizing())
        return false;
    if (!horusp_thread) {
        horusp_thread = PyThreadState_New(horusp_interpreter);
        if (!horusp_thread)
            return false;
    }
    PyEval_RestoreThread(horusp_thread);
    return true;
}
static void horusp_give_lock(void) { (void)PyEval_SaveThread(); }

/* ---- topics */

/* Opens what a spec names, under its own name and under `key`. A borrowed reference. */
static PyObject *horusp_node_open(horusp_node *n, PyObject *key, PyObject *what, PyObject *named,
                                  PyObject *capacity, PyObject *policy, PyObject *history)
{
    PyObject *cls, *name, *topic = NULL, *args = NULL, *kw = NULL, *usual = NULL;
    const horus_type *type;
    if (!horusp_topic_of(what, &cls, &type, &name))
        return NULL;
    if (named && named != Py_None) {
        Py_INCREF(named);
        Py_DECREF(name);
        name = named;
    }
    topic = PyDict_GetItemWithError(n->topics, name);
    if (!topic && !PyErr_Occurred()) {
        bool frames = type && type->kind != HORUS_KIND_MESSAGE;
        usual = PyObject_GetAttrString((PyObject *)n, "default_capacity");
        if (usual && !(capacity && capacity != Py_None) && !frames &&
            !(PyLong_Check(usual) && PyLong_AsLong(usual) == 1024))
            capacity = usual;
        PyErr_Clear();
        args = PyTuple_Pack(1, cls ? cls : what);
        kw = PyDict_New();
        if (args && kw && PyDict_SetItemString(kw, "name", name) == 0 &&
            (!capacity || PyDict_SetItemString(kw, "capacity", capacity) == 0) &&
            (!policy || PyDict_SetItemString(kw, "policy", policy) == 0) &&
            (!history || PyDict_SetItemString(kw, "history", history) == 0))
            topic = PyObject_Call((PyObject *)&horusp_topic_type, args, kw);
        if (topic && PyDict_SetItem(n->topics, name, topic) < 0)
            Py_CLEAR(topic);
        Py_XDECREF(topic); /* the dict has it */
        Py_XDECREF(args);
        Py_XDECREF(kw);
        Py_XDECREF(usual);
    }
    if (topic && key && PyDict_SetItem(n->topics, key, topic) < 0)
        topic = NULL;
    Py_DECREF(name);
    return topic;
}
/* Notes the topic's name in a list of names, once. */
static bool horusp_node_note(PyObject *list, PyObject *topic)
{
    PyObject *name = PyUnicode_FromString(((horusp_topic *)topic)->name);
    int there = name ? PySequence_Contains(list, name) : -1;
    bool ok = there > 0 || (there == 0 && PyList_Append(list, name) == 0);
    Py_XDECREF(name);
    return ok;
}
/* A Topic of the node, made at first use. Borrowed. */
static horusp_topic *horusp_node_topic(horusp_node *n, PyObject *key, PyObject *list)
{
    PyObject *t = PyDict_GetItemWithError(n->topics, key);
    if (!t && !PyErr_Occurred()) {
        t = horusp_node_open(n, key, key, NULL, NULL, NULL, NULL);
        if (t && !horusp_node_note(list, t))
            t = NULL;
    }
    if (t && n->taken && t == n->on) {
        PyErr_Format(horusp.by_code[-HORUS_E_BUSY],
                     "topic %s wakes this node: while it runs, only its tick may use it",
                     ((horusp_topic *)t)->name);
        t = NULL;
    }
    return (horusp_topic *)t;
}

/* Pub and Sub: a topic with its type and its wishes. */
typedef struct horusp_end {
    PyObject_HEAD PyObject *topic, *msg_type, *capacity, *policy, *history;
} horusp_end;
static PyTypeObject horusp_pub_type, horusp_sub_type;
static bool horusp_is_end(PyObject *o)
{
    return Py_TYPE(o) == &horusp_pub_type || Py_TYPE(o) == &horusp_sub_type;
}
static PyObject *horusp_end_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static horusp_sig sig = {
        "Pub",
        5,
        1,
        3,
        {{"topic", 0}, {"msg_type", 0}, {"capacity", 0}, {"policy", 0}, {"history", 0}}};
    PyObject *v[5], *cls, *name;
    const horus_type *ctype;
    int64_t n;
    horus_policy policy;
    if (!horusp_args_tuple(&sig, args, kw, v) || !horusp_topic_of(v[0], &cls, &ctype, &name))
        return NULL;
    Py_DECREF(name);
    if ((v[2] && v[2] != Py_None && !horusp_int(v[2], "capacity", 1, 1 << 20, &n)) ||
        (v[3] && v[3] != Py_None && !horusp_policy(v[3], &policy)) ||
        (v[4] && v[4] != Py_None && !horusp_int(v[4], "history", 0, 1 << 20, &n)))
        return NULL;
    horusp_end *e = (horusp_end *)type->tp_alloc(type, 0);
    if (e) {
        PyObject **to[5] = {&e->topic, &e->msg_type, &e->capacity, &e->policy, &e->history};
        for (int i = 0; i < 5; i++)
            *to[i] = horusp_ref(v[i] ? v[i] : Py_None);
    }
    return (PyObject *)e;
}
/* Nothing is changed in one: whoever closes a cycle around it can be cleared. */
static int horusp_end_traverse(PyObject *self, visitproc visit, void *arg)
{
    horusp_end *e = (horusp_end *)self;
    Py_VISIT(e->topic);
    Py_VISIT(e->msg_type);
    Py_VISIT(e->capacity);
    Py_VISIT(e->policy);
    Py_VISIT(e->history);
    return 0;
}
static void horusp_end_dealloc(PyObject *self)
{
    horusp_end *e = (horusp_end *)self;
    PyObject_GC_UnTrack(self);
    Py_CLEAR(e->topic);
    Py_CLEAR(e->msg_type);
    Py_CLEAR(e->capacity);
    Py_CLEAR(e->policy);
    Py_CLEAR(e->history);
    Py_TYPE(self)->tp_free(self);
}
#define HORUSP_END_MEMBER(name, doc)                                                               \
    {                                                                                              \
#name, T_OBJECT, offsetof(horusp_end, name), READONLY, doc                                 \
    }
static PyMemberDef horusp_end_members[] = {
    HORUSP_END_MEMBER(topic, "Its name, or a message class."),
    HORUSP_END_MEMBER(msg_type, "The class that it carries, or None."),
    HORUSP_END_MEMBER(capacity, "Messages kept, or None."),
    HORUSP_END_MEMBER(policy, "\"overwrite\", \"reliable\", \"queue\" or None."),
    HORUSP_END_MEMBER(history, "Older messages wanted, or None."),
    {NULL, 0, 0, 0, NULL}};
static PyTypeObject horusp_pub_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus.Pub",
    .tp_basicsize = sizeof(horusp_end),
    .tp_dealloc = horusp_end_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = horusp_end_traverse,
    .tp_doc = "Pub(topic, msg_type=None, capacity=None, *, policy=None, history=None)\n--\n\n"
              "A topic that a Node publishes: arguments as Topic()'s.",
    .tp_new = horusp_end_new,
    .tp_members = horusp_end_members,
};
static PyTypeObject horusp_sub_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus.Sub",
    .tp_basicsize = sizeof(horusp_end),
    .tp_dealloc = horusp_end_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = horusp_end_traverse,
    .tp_doc = "Sub(topic, msg_type=None, capacity=None, *, policy=None, history=None)\n--\n\n"
              "A topic that a Node subscribes to: arguments as Topic()'s.",
    .tp_new = horusp_end_new,
    .tp_members = horusp_end_members,
};

/* One item of pubs or subs: a name, a class, Pub or Sub; or a name with one of these. Borrowed. */
static PyObject *horusp_node_declare(horusp_node *n, PyObject *name, PyObject *item, PyObject *list)
{
    PyObject *t;
    if (horusp_is_end(item)) {
        horusp_end *e = (horusp_end *)item;
        bool typed = e->msg_type != Py_None;
        t = horusp_node_open(n, e->topic, typed ? e->msg_type : e->topic,
                             name    ? name
                             : typed ? e->topic
                                     : NULL,
                             e->capacity, e->policy, e->history);
    } else if (!name && item == Py_None) {
        t = PyErr_Format(HORUSP_TYPE_ERROR,
                         "a topic is a name, a message class, horus.Pub or horus.Sub, not None");
    } else {
        t = horusp_node_open(n, name ? name : item, item == Py_None ? name : item, name, NULL, NULL,
                             NULL);
    }
    return t && horusp_node_note(list, t) ? t : NULL;
}
static bool horusp_node_parse(horusp_node *n, PyObject *spec, PyObject *list)
{
    bool ok = true;
    if (spec == Py_None)
        return true;
    if (PyUnicode_Check(spec) || PyType_Check(spec) || horusp_is_end(spec))
        return horusp_node_declare(n, NULL, spec, list) != NULL;
    if (!PyDict_Check(spec) && !PyList_Check(spec) && !PyTuple_Check(spec)) {
        PyErr_Format(HORUSP_TYPE_ERROR,
                     "pubs and subs are a name, a message class, horus.Pub, horus.Sub, a list of "
                     "these or a dict, not %.100s",
                     Py_TYPE(spec)->tp_name);
        return false;
    }
    /* of its own: a class that is looked at may run code that changes theirs */
    PyObject *pairs = PyDict_Check(spec) ? PyDict_Items(spec) : NULL;
    PyObject *items = PyErr_Occurred() ? NULL : PySequence_Tuple(pairs ? pairs : spec);
    for (Py_ssize_t i = 0; items && ok && i < PyTuple_GET_SIZE(items); i++) {
        PyObject *item = PyTuple_GET_ITEM(items, i);
        ok = horusp_node_declare(n, pairs ? PyTuple_GET_ITEM(item, 0) : NULL,
                                 pairs ? PyTuple_GET_ITEM(item, 1) : item, list) != NULL;
    }
    Py_XDECREF(items);
    Py_XDECREF(pairs);
    return items && ok;
}

/* ---- arguments */

static const char *const horusp_misses[] = {"warn", "skip", "safe_mode", "stop", NULL};
static const char *const horusp_failures[] = {"", "fatal", "restart", "skip", "ignore", NULL};
/* An attribute that names one of a list; None is the first. */
static bool horusp_node_choice(PyObject *o, const char *what, const char *const *list, int *out)
{
    *out = 0;
    if (o == Py_None)
        return true;
    for (int i = 0; PyUnicode_Check(o) && list[i]; i++)
        if (list[i][0] && PyUnicode_CompareWithASCIIString(o, list[i]) == 0) {
            *out = i;
            return true;
        }
    if (list == horusp_misses)
        horusp_refuse(HORUSP_VALUE_ERROR,
                      "%s must be \"warn\", \"skip\", \"safe_mode\" or \"stop\", not %R", what, o);
    else
        horusp_refuse(HORUSP_VALUE_ERROR,
                      "%s must be None, \"fatal\", \"restart\", \"skip\" or \"ignore\", not %R",
                      what, o);
    return false;
}
/* Seconds above 0, at most `most`; None is 0. */
static bool horusp_node_seconds(PyObject *o, const char *what, double most, int64_t *ns)
{
    double s;
    *ns = 0;
    if (o == Py_None)
        return true;
    if (PyBool_Check(o)) {
        PyErr_Format(HORUSP_TYPE_ERROR, "%s must be a number of seconds, not %R", what, o);
        return false;
    }
    if (!horusp_double(o, what, &s))
        return false;
    if (!(s >= 1e-9 && s <= most)) {
        horusp_refuse(HORUSP_VALUE_ERROR,
                      "%s is in seconds, above 0 and at most %d, not %R (write 50 * horus.ms)",
                      what, (int)most, o);
        return false;
    }
    *ns = (int64_t)(s * 1e9 + 0.5);
    return true;
}
static const char *const horusp_node_names[] = {"name",
                                                "tick",
                                                "rate",
                                                "pubs",
                                                "subs",
                                                "init",
                                                "shutdown",
                                                "on_error",
                                                "order",
                                                "budget",
                                                "deadline",
                                                "on_miss",
                                                "failure_policy",
                                                "compute",
                                                "on",
                                                "priority",
                                                "core",
                                                "watchdog",
                                                "default_capacity"};
enum {
    HORUSP_N_NAME,
    HORUSP_N_TICK,
    HORUSP_N_RATE,
    HORUSP_N_PUBS,
    HORUSP_N_SUBS,
    HORUSP_N_INIT,
    HORUSP_N_SHUTDOWN,
    HORUSP_N_ON_ERROR,
    HORUSP_N_ORDER,
    HORUSP_N_BUDGET,
    HORUSP_N_DEADLINE,
    HORUSP_N_ON_MISS,
    HORUSP_N_FAILURE,
    HORUSP_N_COMPUTE,
    HORUSP_N_ON,
    HORUSP_N_PRIORITY,
    HORUSP_N_CORE,
    HORUSP_N_WATCHDOG,
    HORUSP_N_CAPACITY,
    HORUSP_N_COUNT
};
/* What a dict has under a name, borrowed: false with MemoryError, which PyDict_GetItemString() hides. */
static bool horusp_dict_has(PyObject *dict, const char *name, PyObject **out)
{
    PyObject *key = dict ? PyUnicode_FromString(name) : NULL;
    *out = key ? PyDict_GetItemWithError(dict, key) : NULL;
    Py_XDECREF(key);
    return !dict || (key && !PyErr_Occurred());
}
/* A callback as it is to be called: NULL without an exception if there is none. New reference. */
static PyObject *horusp_node_callback(horusp_node *n, const char *name, uint8_t bit)
{
    PyObject *base, *own, *of_type;
    if (!horusp_dict_has(horusp_node_type.tp_dict, name, &base) ||
        !horusp_dict_has(n->dict, name, &own))
        return NULL;
    of_type = PyObject_GetAttrString((PyObject *)Py_TYPE(n), name);
    if (!of_type && PyErr_ExceptionMatches(PyExc_MemoryError))
        return NULL;
    PyErr_Clear();
    PyObject *f = own == Py_None ? NULL
                  : own || (of_type && of_type != base)
                      ? PyObject_GetAttrString((PyObject *)n, name)
                      : NULL;
    Py_XDECREF(of_type);
    if (!f && PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_AttributeError))
        return NULL; /* a property that fails */
    PyErr_Clear();
    if (!f || f == Py_None) {
        Py_XDECREF(f);
        return NULL;
    }
    if (!PyCallable_Check(f)) {
        PyErr_Format(HORUSP_TYPE_ERROR, "%s must be callable, not %.100s", name,
                     Py_TYPE(f)->tp_name);
        Py_DECREF(f);
        return NULL;
    }
    int takes = 0, is_async = 0;
    if (!PyCFunction_Check(f) ||
        PyCFunction_GET_SELF(f) != (PyObject *)n) { /* else one of C, of ours */
        PyObject *look = horusp_helper("look");
        PyObject *r = look ? PyObject_CallFunctionObjArgs(look, f, NULL) : NULL;
        if (!r || !PyArg_ParseTuple(r, "pp", &takes, &is_async))
            Py_CLEAR(f);
        Py_XDECREF(r);
    }
    n->takes = (uint8_t)((n->takes & ~bit) | (takes ? bit : 0) | (own ? bit << 4 : 0));
    n->is_async = (uint8_t)((n->is_async & ~bit) | (is_async ? bit : 0));
    return f;
}
/* Reads the attributes: into a description, of which user and callbacks are left. */
static bool horusp_node_read(horusp_node *n, horus_node_desc *d, int64_t *watchdog_ns)
{
    PyObject *v[HORUSP_N_COUNT];
    int64_t order = 0, priority = 0, core = 0, capacity;
    int on_miss, failure, compute = 0;
    bool ok = true;
    memset(d, 0, sizeof *d);
    memset(v, 0, sizeof v);
    for (int i = 0; ok && i < HORUSP_N_COUNT; i++)
        ok = (v[i] = PyObject_GetAttrString((PyObject *)n, horusp_node_names[i])) != NULL;
    if (ok && !PyUnicode_Check(v[HORUSP_N_NAME])) {
        PyErr_Format(HORUSP_TYPE_ERROR, "a node's name must be a str, not %.100s",
                     Py_TYPE(v[HORUSP_N_NAME])->tp_name);
        ok = false;
    }
    Py_ssize_t bytes = 0;
    const char *name = ok ? horusp_utf8(v[HORUSP_N_NAME], &bytes) : NULL;
    ok = ok && name;
    bool controls = false;
    for (Py_ssize_t i = 0; ok && i < bytes; i++)
        controls = controls || (unsigned char)name[i] < 0x20 || name[i] == 0x7f;
    if (ok && (bytes == 0 || bytes >= HORUS_NAME_BYTES || controls)) {
        horusp_refuse(horusp.by_code[-HORUS_E_NAME],
                      "a node's name has 1 to 96 bytes and no control characters, not %R",
                      v[HORUSP_N_NAME]);
        ok = false;
    }
    ok = ok && horusp_hertz(v[HORUSP_N_RATE], "rate", &d->rate_hz);
    if (ok && !(d->rate_hz >= 1e-6 && d->rate_hz <= 1e6)) {
        horusp_refuse(HORUSP_VALUE_ERROR, "rate must be above 0 (0.000001 to 1000000 Hz), not %R",
                      v[HORUSP_N_RATE]);
        ok = false;
    }
    ok = ok && horusp_int(v[HORUSP_N_ORDER], "order", INT32_MIN, INT32_MAX, &order) &&
         horusp_node_seconds(v[HORUSP_N_BUDGET], "budget", 1, &d->budget_ns) &&
         horusp_node_seconds(v[HORUSP_N_DEADLINE], "deadline", 5, &d->deadline_ns) &&
         horusp_node_seconds(v[HORUSP_N_WATCHDOG], "watchdog", 3600, watchdog_ns) &&
         horusp_node_choice(v[HORUSP_N_ON_MISS], "on_miss", horusp_misses, &on_miss) &&
         horusp_node_choice(v[HORUSP_N_FAILURE], "failure_policy", horusp_failures, &failure) &&
         (v[HORUSP_N_PRIORITY] == Py_None ||
          horusp_int(v[HORUSP_N_PRIORITY], "priority", 0, 99, &priority)) &&
         (v[HORUSP_N_CORE] == Py_None || horusp_int(v[HORUSP_N_CORE], "core", 0, 1023, &core)) &&
         horusp_int(v[HORUSP_N_CAPACITY], "default_capacity", 1, 1 << 20, &capacity) &&
         (compute = PyObject_IsTrue(v[HORUSP_N_COMPUTE])) >= 0;
    if (ok && v[HORUSP_N_ON_ERROR] != Py_None && !PyCallable_Check(v[HORUSP_N_ON_ERROR])) {
        PyErr_Format(HORUSP_TYPE_ERROR, "on_error must be callable, not %.100s",
                     Py_TYPE(v[HORUSP_N_ON_ERROR])->tp_name);
        ok = false;
    }
    PyObject **call[4] = {&n->tick, &n->init, &n->shutdown, &n->safe};
    static const char *const names[4] = {"tick", "init", "shutdown", "enter_safe_state"};
    for (int i = 0; ok && i < 4; i++) {
        PyObject *old = *call[i];
        *call[i] = horusp_node_callback(n, names[i], (uint8_t)(1u << i));
        Py_XDECREF(old);
        ok = !PyErr_Occurred();
    }
    bool on = ok && v[HORUSP_N_ON] != Py_None;
    if (ok && (compute != 0) + on + ((n->is_async & HORUSP_TICK) != 0) > 1) {
        PyErr_SetString(HORUSP_VALUE_ERROR,
                        "compute=True, on= and an async tick exclude one another");
        ok = false;
    }
    if (ok && on) {
        horusp_topic *t = horusp_node_topic(n, v[HORUSP_N_ON], n->subs);
        ok = t && horusp_topic_live(t);
        d->on_topic = ok ? t->handle : NULL;
        d->rate_hz = 0;
        if (ok && !n->on)
            n->on = horusp_ref((PyObject *)t);
    }
    if (ok) {
        PyObject *old = n->on_error;
        n->on_error = v[HORUSP_N_ON_ERROR] == Py_None ? NULL : horusp_ref(v[HORUSP_N_ON_ERROR]);
        Py_XDECREF(old);
        memcpy(n->name, name, (size_t)bytes + 1);
        d->name = n->name;
        d->order = (int32_t)order;
        d->priority = (int32_t)priority;
        d->core = v[HORUSP_N_CORE] == Py_None ? 0 : (int32_t)core + 1;
        d->compute = compute || (n->is_async & HORUSP_TICK);
        d->on_miss = (horus_on_miss)on_miss;
        d->on_failure = (horus_on_failure)failure;
        n->ignores = d->on_failure == HORUS_FAILURE_IGNORE;
        if (*watchdog_ns && !d->budget_ns)
            d->budget_ns = *watchdog_ns;
    }
    for (int i = 0; i < HORUSP_N_COUNT; i++)
        Py_XDECREF(v[i]);
    return ok;
}
static PyObject *horusp_node_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    horusp_node *n = (horusp_node *)type->tp_alloc(type, 0);
    (void)args;
    (void)kw;
    if (n) {
        n->topics = PyDict_New();
        n->pubs = PyList_New(0);
        n->subs = PyList_New(0);
        if (!n->topics || !n->pubs || !n->subs)
            Py_CLEAR(n);
    }
    return (PyObject *)n;
}
static int horusp_node_init(PyObject *self, PyObject *args, PyObject *kw)
{
    static horusp_sig sig;
    horusp_node *n = (horusp_node *)self;
    PyObject *v[HORUSP_N_COUNT];
    horus_node_desc d;
    int64_t watchdog;
    if (!sig.count) {
        sig.function = "Node";
        sig.positional = sig.count = HORUSP_N_COUNT;
        for (int i = 0; i < HORUSP_N_COUNT; i++)
            sig.name[i].text = horusp_node_names[i];
    }
    if (!horusp_args_tuple(&sig, args, kw, v))
        return -1;
    if (n->scheduler) {
        PyErr_SetString(horusp.by_code[-HORUS_E_BUSY], "this node belongs to a scheduler");
        return -1;
    }
    for (int i = 0; i < HORUSP_N_COUNT; i++)
        if (v[i] && PyObject_SetAttrString(self, horusp_node_names[i], v[i]) < 0)
            return -1;
    PyObject *named = PyObject_GetAttrString(self, "name"); /* perhaps of the class */
    bool nameless = named == Py_None;
    Py_XDECREF(named);
    if (!named)
        return -1;
    if (nameless) { /* one that nobody else has */
        static unsigned long long count;
        PyObject *name = PyUnicode_FromFormat("node_%lu_%llu", (unsigned long)getpid(), ++count);
        int r = name ? PyObject_SetAttrString(self, "name", name) : -1;
        Py_XDECREF(name);
        if (r < 0)
            return -1;
    }
    static const char *const callbacks[] = {"tick", "init", "shutdown"};
    for (int i = 0; i < 3; i++) { /* what nobody defines reads as None, as it was given */
        PyObject *of_type = PyObject_GetAttrString((PyObject *)Py_TYPE(self), callbacks[i]);
        PyObject *of_node, *own;
        if (!of_type && PyErr_ExceptionMatches(PyExc_MemoryError))
            return -1;
        PyErr_Clear(); /* a property that fails */
        Py_XDECREF(of_type);
        if (!horusp_dict_has(horusp_node_type.tp_dict, callbacks[i], &of_node) ||
            !horusp_dict_has(n->dict, callbacks[i], &own))
            return -1;
        bool base = of_type == of_node;
        if (base && !own && PyObject_SetAttrString(self, callbacks[i], Py_None) < 0)
            return -1;
        if (!base && own == Py_None && PyDict_DelItemString(n->dict, callbacks[i]) < 0)
            return -1;
    }
    if (!horusp_node_parse(n, v[HORUSP_N_PUBS] ? v[HORUSP_N_PUBS] : Py_None, n->pubs) ||
        !horusp_node_parse(n, v[HORUSP_N_SUBS] ? v[HORUSP_N_SUBS] : Py_None, n->subs))
        return -1;
    return horusp_node_read(n, &d, &watchdog) ? 0 : -1;
}

/* ------------------------------------------------------------------------------------ >>callbacks
 *
 * What the C scheduler calls, and what a callback may use: its node's topics, and NodeInfo. */

static bool horusp_scheduler_raised(horusp_scheduler *s);
static PyObject *horusp_scheduler_await(horusp_scheduler *s, PyObject *coroutine);
static horus_scheduler *horusp_scheduler_handle(horusp_scheduler *s);

static PyObject *horusp_info_of(horusp_node *n);
/* Calls one of the node's callbacks, with what it takes: a function the node, a method NodeInfo. */
static PyObject *horusp_node_call(horusp_node *n, PyObject *f, uint8_t bit)
{
    PyObject *r;
    n->inside++;
    if (!(n->takes & bit)) {
        r = PyObject_CallNoArgs(f);
    } else if (n->takes & (bit << 4)) {
        r = PyObject_CallOneArg(f, (PyObject *)n);
    } else {
        PyObject *info = horusp_info_of(n);
        r = info ? PyObject_CallOneArg(f, info) : NULL;
        Py_XDECREF(info);
    }
    if (r && ((n->is_async & bit) || PyCoro_CheckExact(r))) {
        bool outer = horusp_stoppable;
        horusp_stoppable = bit == HORUSP_TICK || bit == HORUSP_INIT;
        PyObject *done = horusp_scheduler_await(n->scheduler, r);
        horusp_stoppable = outer;
        Py_DECREF(r);
        r = done;
    }
    n->inside -= n->inside > 0; /* none in a child that it has forked */
    return r;
}
/* Deals with the exception that a callback has raised. */
static horus_result horusp_node_failed(horusp_node *n, const char *what)
{
    PyObject *type, *value, *trace;
    if (!PyErr_ExceptionMatches(PyExc_Exception) && horusp_scheduler_raised(n->scheduler))
        return HORUS_E_CLOSED; /* KeyboardInterrupt, SystemExit: run() raises it */
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (value && trace)
        (void)PyException_SetTraceback(value, trace);
    PyObject *name = PyObject_GetAttrString((PyObject *)n, "name");
    const char *text = name && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
    PyErr_Clear();
    char line[80];
    (void)snprintf(line, sizeof line, "%.10s: %.60s", what,
                   value ? Py_TYPE(value)->tp_name : "no exception");
    horus_scheduler_log(horusp_scheduler_handle(n->scheduler), horusp_tick, line);
    n->failed++;
    if (n->on_error && value) {
        PyObject *f = horusp_ref(n->on_error);
        n->inside++; /* it is a callback as the others: it may log and stop */
        PyObject *r = PyObject_CallFunctionObjArgs(f, (PyObject *)n, value, NULL);
        Py_DECREF(f);
        if (r && PyCoro_CheckExact(r)) {
            PyObject *done = horusp_scheduler_await(n->scheduler, r);
            Py_DECREF(r);
            r = done;
        }
        if (!r) {
            if (PyErr_ExceptionMatches(PyExc_Exception) || !horusp_scheduler_raised(n->scheduler)) {
                PyObject *t2, *v2, *trace2;
                PyErr_Fetch(&t2, &v2, &trace2);
                PyErr_NormalizeException(&t2, &v2, &trace2);
                if (v2 && trace2)
                    (void)PyException_SetTraceback(v2, trace2);
                (void)snprintf(line, sizeof line, "%s failed", what);
                horusp_say(40, text ? text : "?", line, value);
                horusp_say(40, text ? text : "?", "on_error failed", v2);
                Py_XDECREF(t2);
                Py_XDECREF(v2);
                Py_XDECREF(trace2);
            }
        }
        Py_XDECREF(r);
        n->inside -= n->inside > 0;
    } else if (!n->ignores) {
        (void)snprintf(line, sizeof line, "%s failed", what);
        horusp_say(40, text ? text : "?", line, value);
    }
    Py_XDECREF(name);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return HORUS_E_SYSTEM;
}
static horus_result horusp_on_tick(void *user, horus_tick *t)
{
    horusp_node *n = (horusp_node *)user;
    horus_result result = HORUS_OK;
    if (!horusp_take_lock())
        return HORUS_E_DETACHED;
    horusi_tick_waited(t); /* for the GIL: that is no work of this node's */
    PyObject *f = n->tick ? horusp_ref(n->tick) : horusp_ref(Py_None);
    const horus_tick *outer = horusp_tick;
    uint64_t began = horusi_now();
    bool taken = n->taken;
    n->taken = false;
    horusp_tick = n->now = t;
    PyObject *r = f == Py_None ? horusp_ref(f) : horusp_node_call(n, f, HORUSP_TICK);
    Py_DECREF(f);
    n->ticks++;
    if (r)
        Py_DECREF(r);
    else
        result = horusp_node_failed(n, "tick");
    n->last_ns = horusi_now() - began;
    if (n->last_ns < n->min_ns || n->ticks == 1)
        n->min_ns = n->last_ns;
    n->now = NULL;
    n->taken = taken;
    horusp_tick = outer;
    horusp_give_lock();
    return result;
}
static horus_result horusp_on_call(horusp_node *n, PyObject **callback, uint8_t bit,
                                   const char *what)
{
    horus_result result = HORUS_OK;
    if (!horusp_take_lock())
        return HORUS_E_DETACHED;
    if (*callback) {
        PyObject *f = horusp_ref(*callback), *r = horusp_node_call(n, f, bit);
        Py_DECREF(f);
        if (r)
            Py_DECREF(r);
        else
            result = horusp_node_failed(n, what);
    }
    horusp_give_lock();
    return result;
}
static horus_result horusp_on_init(void *user)
{
    horusp_node *n = (horusp_node *)user;
    return horusp_on_call(n, &n->init, HORUSP_INIT, "init");
}
static horus_result horusp_on_shutdown(void *user)
{
    horusp_node *n = (horusp_node *)user;
    return horusp_on_call(n, &n->shutdown, HORUSP_SHUTDOWN, "shutdown");
}
static void horusp_on_safe(void *user)
{
    horusp_node *n = (horusp_node *)user;
    (void)horusp_on_call(n, &n->safe, HORUSP_SAFE, "enter_safe_state");
}

/* ---- what callbacks use */

static PyObject *horusp_node_send(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kw)
{
    static horusp_sig sig = {"send", 2, 2, 2, {{"topic", 0}, {"data", 0}}};
    horusp_node *n = (horusp_node *)self;
    PyObject *v[2];
    if (!horusp_args(&sig, args, nargs, kw, v))
        return NULL;
    horusp_topic *t = horusp_node_topic(n, v[0], n->pubs);
    if (!t)
        return NULL;
    Py_INCREF(t);
    int r = horusp_send(t, v[1], HORUS_NO_WAIT);
    n->sent += r > 0;
    Py_DECREF(t);
    return horusp_sent(r);
}
/* In a tick by real time: when the message was sent that is received next; else, or not known, 0. */
static uint64_t horusp_next_ns(const horusp_node *n, horusp_topic *t)
{
    horus_info info;
    horus_scheduler *s = n->now ? n->now->scheduler : NULL;
    if (!s || s->clock.now || !t->handle || horusi_taped() ||
        horus_topic_peek(t->handle, NULL, 0, &info) != HORUS_OK)
        return 0;
    return info.publish_ns;
}
/* And it was received: its age is of the tick's. */
/* The one that it is in, or NULL. */
static horus_tick *horusp_node_tick(const horusp_node *n)
{
    horus_tick *t;
    memcpy(&t, &n->now, sizeof t);
    return t;
}
static PyObject *horusp_node_recv(PyObject *self, PyObject *key)
{
    horusp_node *n = (horusp_node *)self;
    PyObject *message;
    horusp_topic *t = horusp_node_topic(n, key, n->subs);
    if (!t)
        return NULL;
    Py_INCREF(t);
    uint64_t sent_ns = horusp_next_ns(n, t);
    int r = horusp_recv(t, HORUS_NO_WAIT, false, &message);
    if (r > 0)
        horus_tick_used(horusp_node_tick(n), sent_ns);
    n->got += r > 0;
    Py_DECREF(t);
    return horusp_or_none(r, message);
}
static PyObject *horusp_node_recv_all(PyObject *self, PyObject *key)
{
    horusp_node *n = (horusp_node *)self;
    horusp_topic *t = horusp_node_topic(n, key, n->subs);
    if (!t)
        return NULL;
    Py_INCREF(t);
    uint64_t sent_ns = horusp_next_ns(n, t);
    PyObject *list = horusp_topic_recv_all((PyObject *)t, NULL);
    if (list && PyList_GET_SIZE(list) > 0)
        horus_tick_used(horusp_node_tick(n), sent_ns);
    n->got += list ? (uint64_t)PyList_GET_SIZE(list) : 0;
    Py_DECREF(t);
    return list;
}
static PyObject *horusp_node_has_msg(PyObject *self, PyObject *key)
{
    horusp_node *n = (horusp_node *)self;
    horusp_topic *t = horusp_node_topic(n, key, n->subs);
    if (!t)
        return NULL;
    Py_INCREF(t);
    PyObject *r = horusp_topic_has_msg((PyObject *)t, NULL);
    Py_DECREF(t);
    return r;
}
HORUSP_ONE(horusp_node_recv, "recv", "topic")
HORUSP_ONE(horusp_node_recv_all, "recv_all", "topic")
HORUSP_ONE(horusp_node_has_msg, "has_msg", "topic")

static PyObject *horusp_node_warn(const char *what)
{
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                         "%s() does nothing outside a callback of the node (init, tick, shutdown)",
                         what) < 0)
        return NULL;
    Py_RETURN_NONE;
}
static PyObject *horusp_node_log(horusp_node *n, int level, const char *what, PyObject *message)
{
    if (!n->inside)
        return horusp_node_warn(what);
    PyObject *text = PyObject_Str(message), *name = PyObject_GetAttrString((PyObject *)n, "name");
    const char *s = text ? horusp_utf8(text, NULL) : NULL;
    const char *who = name && PyUnicode_Check(name) ? horusp_utf8(name, NULL) : NULL;
    if (s && who) {
        horus_scheduler_log(horusp_scheduler_handle(n->scheduler), n->now, s);
        horusp_say(level, who, s, NULL);
    }
    Py_XDECREF(text);
    Py_XDECREF(name);
    if (!s || !who)
        return NULL;
    Py_RETURN_NONE;
}
#define HORUSP_NODE_LOG(what, level)                                                               \
    static PyObject *horusp_node_log_##what(PyObject *self, PyObject *message)                     \
    {                                                                                              \
        return horusp_node_log((horusp_node *)self, level, "log_" #what, message);                 \
    }                                                                                              \
    HORUSP_ONE(horusp_node_log_##what, "log_" #what, "message")
HORUSP_NODE_LOG(debug, 10)
HORUSP_NODE_LOG(info, 20)
HORUSP_NODE_LOG(warning, 30)
HORUSP_NODE_LOG(error, 40)

static PyObject *horusp_node_request_stop(PyObject *self, PyObject *none)
{
    horusp_node *n = (horusp_node *)self;
    (void)none;
    if (!n->inside)
        return horusp_node_warn("request_stop");
    horus_scheduler_stop(horusp_scheduler_handle(n->scheduler));
    Py_RETURN_NONE;
}
static PyObject *horusp_node_publishers(PyObject *self, PyObject *none)
{
    (void)none;
    return PyList_GetSlice(((horusp_node *)self)->pubs, 0, PY_SSIZE_T_MAX);
}
static PyObject *horusp_node_subscribers(PyObject *self, PyObject *none)
{
    (void)none;
    return PyList_GetSlice(((horusp_node *)self)->subs, 0, PY_SSIZE_T_MAX);
}
static PyObject *horusp_node_nothing(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    Py_RETURN_NONE;
}
static PyObject *horusp_node_info(PyObject *self, void *unused)
{
    (void)unused;
    if (!((horusp_node *)self)->inside)
        Py_RETURN_NONE;
    return horusp_info_of((horusp_node *)self);
}
static PyObject *horusp_node_repr(PyObject *self)
{
    PyObject *name = PyObject_GetAttrString(self, "name");
    PyObject *r = name ? PyUnicode_FromFormat("%s(name=%R)", Py_TYPE(self)->tp_name, name) : NULL;
    Py_XDECREF(name);
    return r;
}
static int horusp_node_clear(PyObject *self)
{
    horusp_node *n = (horusp_node *)self;
    Py_CLEAR(n->dict);
    Py_CLEAR(n->data);
    Py_CLEAR(n->tick);
    Py_CLEAR(n->init);
    Py_CLEAR(n->shutdown);
    Py_CLEAR(n->safe);
    Py_CLEAR(n->on_error);
    return 0;
}
static int horusp_node_traverse(PyObject *self, visitproc visit, void *arg)
{
    horusp_node *n = (horusp_node *)self;
    Py_VISIT(n->dict);
    Py_VISIT(n->topics); /* a dict and lists: the collector clears them themselves */
    Py_VISIT(n->pubs);
    Py_VISIT(n->subs);
    Py_VISIT(n->on);
    Py_VISIT(n->data);
    Py_VISIT(n->tick);
    Py_VISIT(n->init);
    Py_VISIT(n->shutdown);
    Py_VISIT(n->safe);
    Py_VISIT(n->on_error);
    return 0;
}
static void horusp_node_dealloc(PyObject *self)
{
    horusp_node *n = (horusp_node *)self;
    PyObject_GC_UnTrack(self);
    if (n->weak)
        PyObject_ClearWeakRefs(self);
    (void)horusp_node_clear(self);
    Py_CLEAR(n->on);
    Py_CLEAR(n->topics);
    Py_CLEAR(n->pubs);
    Py_CLEAR(n->subs);
    Py_TYPE(self)->tp_free(self);
}

#define HORUSP_METHOD(type, name, doc)                                                             \
    {                                                                                              \
#name, HORUSP_FN(horusp_##type##_##name##_), HORUSP_FAST, #name doc                        \
    }
static PyMethodDef horusp_node_methods[] = {
    {"send", HORUSP_FN(horusp_node_send), HORUSP_FAST,
     "send($self, topic, data)\n--\n\nSends as Topic.send(). topic: a name or a message class; "
     "made at "
     "first use. True, or False where a reliable or queue topic is full."},
    HORUSP_METHOD(node, recv, "($self, topic)\n--\n\nThe next message, or None."),
    HORUSP_METHOD(
        node, recv_all,
        "($self, topic)\n--\n\nAll messages that are pending, as a list, as Topic.recv_all()."),
    HORUSP_METHOD(node, has_msg,
                  "($self, topic)\n--\n\nTrue if recv() would return a message. Takes nothing."),
    HORUSP_METHOD(
        node, log_debug,
        "($self, message)\n--\n\nNotes a line in the log \"horus.NAME\" of Python's logging "
        "and in the scheduler's black box. Only in callbacks."),
    HORUSP_METHOD(node, log_info, "($self, message)\n--\n\nAs log_debug()."),
    HORUSP_METHOD(node, log_warning, "($self, message)\n--\n\nAs log_debug()."),
    HORUSP_METHOD(node, log_error, "($self, message)\n--\n\nAs log_debug()."),
    {"request_stop", horusp_node_request_stop, METH_NOARGS,
     "request_stop($self)\n--\n\nEnds the scheduler's run. Only in callbacks."},
    {"publishers", horusp_node_publishers, METH_NOARGS,
     "publishers($self)\n--\n\nNames of the topics that it publishes."},
    {"subscribers", horusp_node_subscribers, METH_NOARGS,
     "subscribers($self)\n--\n\nNames of the topics that it subscribes to."},
    {"tick", horusp_node_nothing, METH_VARARGS,
     "tick($self, info=None)\n--\n\nFor subclasses to define, with or without info."},
    {"init", horusp_node_nothing, METH_VARARGS,
     "init($self, info=None)\n--\n\nFor subclasses to define: called once before the first tick."},
    {"shutdown", horusp_node_nothing, METH_VARARGS,
     "shutdown($self, info=None)\n--\n\nFor subclasses to define: called once after the last "
     "tick."},
    {"enter_safe_state", horusp_node_nothing, METH_VARARGS,
     "enter_safe_state($self, info=None)\n--\n\nFor subclasses to define: called once when a miss "
     "begins an episode of on_miss=\"safe_mode\"; with a watchdog perhaps while the tick runs, "
     "from "
     "its thread, which looks at no other node meanwhile (those are judged when their ticks end)."},
    {NULL, NULL, 0, NULL}};
static PyGetSetDef horusp_node_getset[] = {
    {"info", horusp_node_info, NULL, "NodeInfo in a callback of the node, else None.", NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyTypeObject horusp_node_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus.Node",
    .tp_basicsize = sizeof(horusp_node),
    .tp_dealloc = horusp_node_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = horusp_node_traverse,
    .tp_clear = horusp_node_clear,
    .tp_weaklistoffset = offsetof(horusp_node, weak),
    .tp_dictoffset = offsetof(horusp_node, dict),
    .tp_doc =
        "Node(name=None, tick=None, rate=30, pubs=None, subs=None, init=None, shutdown=None, "
        "on_error=None, order=0, budget=None, deadline=None, on_miss=None, failure_policy=None, "
        "compute=False, on=None, priority=None, core=None, watchdog=None, default_capacity=1024)\n"
        "--\n\n"
        "What a Scheduler runs: tick(node), rate times a second. Arguments are attributes of the "
        "same "
        "names; the scheduler reads them when it is added.\n\n"
        "tick, init, shutdown: functions of the node, also async ones (which share an event loop). "
        "A "
        "subclass may define methods of these names, with or without an argument (NodeInfo).\n"
        "rate: Hz. order: low first, among nodes that are due together.\n"
        "pubs, subs: a name, a message class, Pub, Sub, a list of these, or a dict of name to "
        "class. "
        "Undeclared topics are made at first use.\n"
        "budget (at most 1), deadline (at most 5): seconds that a tick may take, from when it has "
        "the "
        "GIL (the wait for that is in \"wake_latency\"), and from when it was due "
        "to its end; on_miss: \"warn\", \"skip\" (leave out the next tick; on=: of the "
        "messages that wait all but the newest), \"safe_mode\" (call enter_safe_state once per "
        "episode) or \"stop\".\n"
        "failure_policy: after an exception: None (log it and go on), \"fatal\" (stop), "
        "\"restart\" "
        "(shutdown, 100 ms, init; 5 times in a row), \"skip\" (after 5 in a row pause for 30 s) or "
        "\"ignore\". on_error(node, exception) is told first, in place of the log.\n"
        "compute: tick on a thread of the pool, beside the ordered nodes. on: tick when this topic "
        "has a "
        "message, on a thread of its own. Neither goes with the other, or with an async tick. A "
        "process "
        "that such a tick starts has those signals blocked that this one has a handler for, but "
        "SIGINT "
        "and SIGTERM.\n"
        "priority (SCHED_FIFO 1 to 99, with rt=True), core (processor): of compute and on nodes.\n"
        "watchdog: seconds after which a tick that still runs is a miss, if no budget is given. "
        "What is "
        "seen while it runs is told once the tick lets other threads run.\n"
        "default_capacity: of topics that say nothing (frames keep 8).",
    .tp_new = horusp_node_new,
    .tp_init = horusp_node_init,
    .tp_repr = horusp_node_repr,
    .tp_getset = horusp_node_getset,
    .tp_methods = horusp_node_methods,
};

/* ---- NodeInfo */

typedef struct horusp_info {
    PyObject_HEAD horusp_node *node;
} horusp_info;
static PyObject *horusp_info_of(horusp_node *n)
{
    horusp_info *o = PyObject_GC_New(horusp_info, &horusp_info_type);
    if (o) {
        o->node = (horusp_node *)horusp_ref((PyObject *)n);
        PyObject_GC_Track(o);
    }
    return (PyObject *)o;
}
static void horusp_info_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_DECREF(((horusp_info *)self)->node);
    PyObject_GC_Del(self);
}
static int horusp_info_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((horusp_info *)self)->node);
    return 0;
}
static bool horusp_node_stats(horusp_node *n, horus_node_stats *out, horus_scheduler_stats *all);
#define HORUSP_INFO_COUNT(name, expression)                                                        \
    static PyObject *horusp_info_##name(PyObject *self, PyObject *none)                            \
    {                                                                                              \
        horusp_node *n = ((horusp_info *)self)->node;                                              \
        (void)none;                                                                                \
        return PyLong_FromUnsignedLongLong(expression);                                            \
    }
HORUSP_INFO_COUNT(tick_count, n->ticks)
HORUSP_INFO_COUNT(error_count, n->failed)
HORUSP_INFO_COUNT(failed_ticks, n->failed)
HORUSP_INFO_COUNT(successful_ticks, n->ticks > n->failed ? n->ticks - n->failed : 0)
static PyObject *horusp_info_avg(PyObject *self, PyObject *none)
{
    horus_node_stats s;
    horus_scheduler_stats all;
    (void)none;
    return horusp_node_stats(((horusp_info *)self)->node, &s, &all)
               ? PyFloat_FromDouble((double)s.spread[HORUS_SPREAD_RUN].mean_ns / 1e6)
               : NULL;
}
static double horusp_uptime(const horusp_node *n);
static PyObject *horusp_info_uptime(PyObject *self, PyObject *none)
{
    (void)none;
    return PyFloat_FromDouble(horusp_uptime(((horusp_info *)self)->node));
}
static PyObject *horusp_info_metrics(PyObject *self, PyObject *none)
{
    horusp_node *n = ((horusp_info *)self)->node;
    horus_node_stats s;
    horus_scheduler_stats all;
    (void)none;
    if (!horusp_node_stats(n, &s, &all))
        return NULL;
    return Py_BuildValue("{sd sd sd sd sd sd sd sd}", "total_ticks", (double)n->ticks,
                         "successful_ticks",
                         (double)(n->ticks > n->failed ? n->ticks - n->failed : 0), "failed_ticks",
                         (double)n->failed, "errors_count", (double)n->failed,
                         "avg_tick_duration_ms", (double)s.spread[HORUS_SPREAD_RUN].mean_ns / 1e6,
                         "min_tick_duration_ms", (double)n->min_ns / 1e6, "max_tick_duration_ms",
                         (double)s.spread[HORUS_SPREAD_RUN].max_ns / 1e6, "last_tick_duration_ms",
                         (double)n->last_ns / 1e6);
}
static PyObject *horusp_info_name(PyObject *self, void *unused)
{
    (void)unused;
    return PyObject_GetAttrString((PyObject *)((horusp_info *)self)->node, "name");
}
static PyObject *horusp_state(const char *name)
{
    PyObject *states = PyObject_GetAttrString(horusp.module, "NodeState");
    PyObject *r = states ? PyObject_GetAttrString(states, name) : NULL;
    Py_XDECREF(states);
    return r;
}
static PyObject *horusp_info_state(PyObject *self, void *unused)
{
    horus_node_stats s;
    horus_scheduler_stats all;
    (void)unused;
    if (!horusp_node_stats(((horusp_info *)self)->node, &s, &all))
        return NULL;
    return horusp_state(s.state == HORUS_NODE_RUNNING  ? "RUNNING"
                        : s.state == HORUS_NODE_FAILED ? "CRASHED"
                        : s.state == HORUS_NODE_IDLE   ? "INITIALIZING"
                                                       : "ERROR");
}
static PyObject *horusp_info_data(horusp_node *n)
{
    if (!n->data)
        n->data = PyDict_New();
    return n->data;
}
static PyObject *horusp_info_set(PyObject *self, PyObject *args)
{
    PyObject *key, *value, *d = horusp_info_data(((horusp_info *)self)->node);
    if (!d || !PyArg_ParseTuple(args, "OO:set_custom_data", &key, &value) ||
        PyDict_SetItem(d, key, value) < 0)
        return NULL;
    Py_RETURN_NONE;
}
static PyObject *horusp_info_get(PyObject *self, PyObject *key)
{
    PyObject *d = horusp_info_data(((horusp_info *)self)->node);
    PyObject *value = d ? PyDict_GetItemWithError(d, key) : NULL;
    return value ? horusp_ref(value) : PyErr_Occurred() ? NULL : horusp_ref(Py_None);
}
static PyObject *horusp_info_remove(PyObject *self, PyObject *key)
{
    PyObject *d = horusp_info_data(((horusp_info *)self)->node);
    int there = d ? PyDict_Contains(d, key) : -1;
    if (there < 0 || (there > 0 && PyDict_DelItem(d, key) < 0))
        return NULL;
    return PyBool_FromLong(there);
}
static PyObject *horusp_info_keys(PyObject *self, PyObject *none)
{
    PyObject *d = horusp_info_data(((horusp_info *)self)->node);
    (void)none;
    return d ? PyDict_Keys(d) : NULL;
}
#define HORUSP_INFO_PASS(name, to)                                                                 \
    static PyObject *horusp_info_##name(PyObject *self, PyObject *arg)                             \
    {                                                                                              \
        return to((PyObject *)((horusp_info *)self)->node, arg);                                   \
    }
HORUSP_INFO_PASS(log_debug, horusp_node_log_debug)
HORUSP_INFO_PASS(log_info, horusp_node_log_info)
HORUSP_INFO_PASS(log_warning, horusp_node_log_warning)
HORUSP_INFO_PASS(log_error, horusp_node_log_error)
HORUSP_INFO_PASS(request_stop, horusp_node_request_stop)
static PyObject *horusp_info_repr(PyObject *self)
{
    horusp_node *n = ((horusp_info *)self)->node;
    PyObject *name = horusp_info_name(self, NULL);
    PyObject *r =
        name ? PyUnicode_FromFormat("NodeInfo(name=%R, ticks=%llu, errors=%llu)", name,
                                    (unsigned long long)n->ticks, (unsigned long long)n->failed)
             : NULL;
    Py_XDECREF(name);
    return r;
}
static PyMethodDef horusp_info_methods[] = {
    {"tick_count", horusp_info_tick_count, METH_NOARGS,
     "tick_count($self)\n--\n\nTicks of the node before this one."},
    {"error_count", horusp_info_error_count, METH_NOARGS,
     "error_count($self)\n--\n\nExceptions of its callbacks."},
    {"failed_ticks", horusp_info_failed_ticks, METH_NOARGS,
     "failed_ticks($self)\n--\n\nAs error_count()."},
    {"successful_ticks", horusp_info_successful_ticks, METH_NOARGS,
     "successful_ticks($self)\n--\n\nTicks that raised nothing."},
    {"avg_tick_duration_ms", horusp_info_avg, METH_NOARGS,
     "avg_tick_duration_ms($self)\n--\n\nMean of all ticks, milliseconds."},
    {"get_metrics", horusp_info_metrics, METH_NOARGS,
     "get_metrics($self)\n--\n\nA dict of counts and durations (ms), all floats."},
    {"get_uptime", horusp_info_uptime, METH_NOARGS,
     "get_uptime($self)\n--\n\nSeconds since the node was added to its scheduler; with "
     "deterministic=True "
     "seconds of the scheduler's clock since the run began."},
    {"set_custom_data", horusp_info_set, METH_VARARGS,
     "set_custom_data($self, key, value)\n--\n\nKeeps a value with the node."},
    {"get_custom_data", horusp_info_get, METH_O,
     "get_custom_data($self, key)\n--\n\nA value that was kept, or None."},
    {"remove_custom_data", horusp_info_remove, METH_O,
     "remove_custom_data($self, key)\n--\n\nTrue if there was one."},
    {"custom_data_keys", horusp_info_keys, METH_NOARGS,
     "custom_data_keys($self)\n--\n\nKeys of what was kept."},
    {"log_debug", horusp_info_log_debug, METH_O, "log_debug($self, message)\n--\n\nAs Node's."},
    {"log_info", horusp_info_log_info, METH_O, "log_info($self, message)\n--\n\nAs Node's."},
    {"log_warning", horusp_info_log_warning, METH_O,
     "log_warning($self, message)\n--\n\nAs Node's."},
    {"log_error", horusp_info_log_error, METH_O, "log_error($self, message)\n--\n\nAs Node's."},
    {"request_stop", horusp_info_request_stop, METH_NOARGS,
     "request_stop($self)\n--\n\nAs Node's."},
    {NULL, NULL, 0, NULL}};
static PyGetSetDef horusp_info_getset[] = {
    {"name", horusp_info_name, NULL, "The node's name.", NULL},
    {"state", horusp_info_state, NULL, "Its NodeState.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyTypeObject horusp_info_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus.NodeInfo",
    .tp_basicsize = sizeof(horusp_info),
    .tp_dealloc = horusp_info_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = horusp_info_traverse,
    .tp_doc = "What a node's callback may ask of itself: node.info, or the argument of a method.",
    .tp_repr = horusp_info_repr,
    .tp_getset = horusp_info_getset,
    .tp_methods = horusp_info_methods,
};

/* ------------------------------------------------------------------------------------ >>scheduler
 *
 * A Scheduler is one of the C library's. It is opened when it is made and, in a forked child, anew. */
struct horusp_scheduler {
    PyObject_HEAD PyObject *weak;
    horus_scheduler *handle;
    horus_scheduler_desc desc;
    char name[HORUS_NAME_BYTES];
    PyObject *nodes;  /* list, in the order of addition */
    PyObject *raised; /* KeyboardInterrupt or SystemExit of a callback */
    PyObject *loop;   /* the event loop of async nodes, or NULL */
    PyObject *tape;   /* bytes: the path of the recording, or of what is replayed; or NULL */
    double tick_rate;
    uint64_t ticks; /* current_tick() when it does not run */
    bool running, ran, verbose;
    bool main;                     /* the thread that runs it is Python's main one */
    struct horusp_scheduler *next; /* of those that run */
};
static PyTypeObject horusp_scheduler_type;
static horusp_scheduler *horusp_running;
static bool horusp_async; /* there is, or was, an event loop */

static horus_scheduler *horusp_scheduler_handle(horusp_scheduler *s)
{
    return s ? s->handle : NULL;
}
/* Keeps the exception that is set for run() to raise, and stops. False: there was none to keep. */
static bool horusp_scheduler_raised(horusp_scheduler *s)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (value && trace)
        (void)PyException_SetTraceback(value, trace);
    if (value && !s->raised)
        s->raised = horusp_ref(value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    horus_scheduler_stop(s->handle);
    return true;
}
/* A tick, kept for what its coroutine starts: tasks may outlive it, and the scheduler. */
typedef struct horusp_kept {
    PyObject_HEAD horusp_scheduler *scheduler;
    horus_tick tick;
} horusp_kept;
static void horusp_kept_dealloc(PyObject *self)
{
    Py_DECREF(((horusp_kept *)self)->scheduler);
    Py_TYPE(self)->tp_free(self);
}
static PyTypeObject horusp_kept_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus._Tick",
    .tp_basicsize = sizeof(horusp_kept),
    .tp_dealloc = horusp_kept_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};
/* That of this thread, or None. */
static PyObject *horusp_kept_tick(horusp_scheduler *s)
{
    if (!horusp_tick)
        return horusp_ref(Py_None);
    horusp_kept *k = (horusp_kept *)horusp_kept_type.tp_alloc(&horusp_kept_type, 0);
    if (k) {
        k->scheduler = (horusp_scheduler *)horusp_ref((PyObject *)s);
        k->tick = *horusp_tick;
    }
    return (PyObject *)k;
}
/* The tick that asks: this thread's, or that of the coroutine that runs here. NULL: none. */
static horus_tick *horusp_ticking(void)
{
    horus_tick *t = NULL;
    PyObject *var, *o = NULL;
    if (horusp_tick) {
        memcpy(&t, &horusp_tick, sizeof t); /* its random numbers are its own */
        return t;
    }
    if (!horusp_async || !(var = horusp_helper("current")) || PyContextVar_Get(var, NULL, &o) < 0) {
        PyErr_Clear();
        return NULL;
    }
    horusp_kept *k = o && Py_TYPE(o) == &horusp_kept_type ? (horusp_kept *)o : NULL;
    if (k && k->scheduler->handle && k->scheduler->handle == k->tick.scheduler &&
        !horusi_is_detached(k->tick.scheduler->context))
        t = &k->tick; /* the context has it */
    Py_XDECREF(o);
    return t;
}
static PyObject *horusp_scheduler_stops(PyObject *self, PyObject *none)
{
    (void)none;
    horus_scheduler *h = ((horusp_scheduler *)self)->handle;
    bool signal = horusi_takes_signals(h) && horusi_ld32_rlx(own, &horusi_signals) != h->signals;
    return PyBool_FromLong(horusp_stoppable && (signal || horusi_stops(h) ||
                                                (horusp_tick && horusi_clock_of(h) >= h->end)));
}
static PyMethodDef horusp_stops_method = {"stops", horusp_scheduler_stops, METH_NOARGS, NULL};
static void horusp_scheduler_end_loop(PyObject **loop)
{
    PyObject *l = *loop;
    *loop = NULL;
    PyObject *r = l ? PyObject_CallMethod(l, "close", NULL) : NULL;
    if (l && !r)
        PyErr_WriteUnraisable(l);
    Py_XDECREF(r);
    Py_XDECREF(l);
}
/* The event loop, made at first use. */
static bool horusp_scheduler_loop(horusp_scheduler *s)
{
    PyObject *type = s->loop ? NULL : horusp_helper("Loop");
    PyObject *loop = type ? PyObject_CallNoArgs(type) : NULL;
    horusp_async = true;
    if (!s->loop && loop)
        s->loop = loop;
    else
        horusp_scheduler_end_loop(&loop); /* another thread was faster */
    return s->loop != NULL;
}
/* The result of a coroutine, run on the event loop; that of a tick is cancelled when the run ends. */
static PyObject *horusp_scheduler_await(horusp_scheduler *s, PyObject *coroutine)
{
    if (s->desc.flags & HORUS_DETERMINISTIC) { /* a function that gives one: add() could not know */
        PyObject *closed = PyObject_CallMethod(coroutine, "close", NULL);
        Py_XDECREF(closed);
        if (closed)
            PyErr_SetString(horusp.by_code[-HORUS_E_UNSUPPORTED],
                            "async callbacks do not go with deterministic=True");
        return NULL;
    }
    if (!horusp_scheduler_loop(s))
        return NULL;
    PyObject *stops = PyCFunction_New(&horusp_stops_method, (PyObject *)s);
    PyObject *tick = stops ? horusp_kept_tick(s) : NULL;
    PyObject *r = tick ? PyObject_CallMethod(s->loop, "call", "OOO", coroutine, stops, tick) : NULL;
    Py_XDECREF(stops);
    Py_XDECREF(tick);
    return r;
}

/* What the C scheduler tells. Lines for the log, a second apart for each node. */
static void horusp_on_event(void *user, const horus_event *e)
{
    horusp_scheduler *s = (horusp_scheduler *)user;
    char line[160];
    bool warn = e->kind == HORUS_EVENT_BUDGET || e->kind == HORUS_EVENT_DEADLINE;
    switch (e->kind) {
    case HORUS_EVENT_BUDGET:
        (void)snprintf(line, sizeof line, "a tick took %.3f ms, over its budget",
                       (double)e->ns / 1e6);
        break;
    case HORUS_EVENT_DEADLINE:
        (void)snprintf(line, sizeof line,
                       "a tick ended %.3f ms after it was due, over its deadline",
                       (double)e->ns / 1e6);
        break;
    case HORUS_EVENT_SAFE:
        (void)snprintf(line, sizeof line, "is in its safe state");
        break;
    case HORUS_EVENT_RECOVERED:
        (void)snprintf(line, sizeof line, "has recovered");
        break;
    case HORUS_EVENT_PAUSED:
        (void)snprintf(line, sizeof line, "is paused for %.1f s", (double)e->ns / 1e9);
        break;
    case HORUS_EVENT_RESTARTED:
        (void)snprintf(line, sizeof line, "was restarted");
        break;
    case HORUS_EVENT_FAILED:
        (void)snprintf(line, sizeof line, "is not ticked any more");
        break;
    case HORUS_EVENT_LOG: /* comes from those who hold the lock */
    case HORUS_EVENT_TICK:
    case HORUS_EVENT_START:
    case HORUS_EVENT_END:
    case HORUS_EVENT_SKIPPED:
    case HORUS_EVENT_FAILURE:
    default:
        return;
    }
    if (!e->node || !horusp_take_lock())
        return;
    horusp_node *n = (horusp_node *)PyList_GET_ITEM(s->nodes, (Py_ssize_t)e->index);
    if (warn && n->warned_ns && e->time_ns - n->warned_ns < 1000000000u) {
        n->unsaid++;
    } else {
        size_t used = strlen(line);
        if (warn && n->unsaid)
            (void)snprintf(line + used, sizeof line - used, " (and %llu more)",
                           (unsigned long long)n->unsaid);
        if (warn) {
            n->warned_ns = e->time_ns;
            n->unsaid = 0;
        }
        horusp_say(30, e->node, line, NULL);
    }
    horusp_give_lock();
}

/* The thread that called run(): handlers of Python's for signals run here if no tick lets them. */
static void horusp_look(void *user)
{
    horusp_scheduler *s = (horusp_scheduler *)user;
    if (!s->main || !horusp_take_lock())
        return;
    if (PyErr_CheckSignals() < 0)
        (void)horusp_scheduler_raised(s);
    horusp_give_lock();
}
static const char *const *horusp_infer_parts(horusp_node *n);
/* What the C scheduler is told besides a node's attributes. */
static void horusp_node_hand(horusp_node *n, horus_node_desc *d)
{
    d->user = n;
    d->tick = horusp_on_tick;
    d->init = horusp_on_init;
    d->shutdown = horusp_on_shutdown;
    d->safe_state = horusp_on_safe;
    d->parts = horusp_infer_parts(n);
}
/* Opens the C scheduler, and adds what nodes there are. */
static bool horusp_scheduler_open(horusp_scheduler *s)
{
    horus_result r = horus_scheduler_open(&s->handle, &s->desc);
    if (r == HORUS_OK)
        s->handle->thread_ends = horusp_thread_ends, s->handle->look = horusp_look,
        s->handle->waits = true;
    for (Py_ssize_t i = 0; r == HORUS_OK && i < PyList_GET_SIZE(s->nodes); i++) {
        horusp_node *n = (horusp_node *)PyList_GET_ITEM(s->nodes, i);
        horus_node_desc d;
        int64_t watchdog;
        if (!horusp_node_read(n, &d, &watchdog))
            return false;
        horusp_node_hand(n, &d);
        r = horus_scheduler_add(s->handle, &d);
    }
    if (r != HORUS_OK)
        (void)horusp_error(r);
    return r == HORUS_OK;
}
static bool horusp_scheduler_live(horusp_scheduler *s)
{
    if (!s->handle || !s->nodes) { /* the collector has taken it apart */
        (void)horusp_released("scheduler");
        return false;
    }
    if (!horusi_is_detached(s->handle->context))
        return true;
    s->running = false; /* what was inherited over fork() is the parent's */
    horus_scheduler *old = s->handle;
    s->desc.record = NULL; /* that file is the parent's */
    if (!horusp_scheduler_open(s)) {
        s->handle = old;
        return false;
    }
    return true;
}
static bool horusp_scheduler_idle(horusp_scheduler *s, const char *what)
{
    if (!horusp_scheduler_live(s))
        return false;
    if (!s->running)
        return true;
    PyErr_Format(horusp.by_code[-HORUS_E_BUSY], "%s: scheduler %s runs", what, s->handle->name);
    return false;
}
static PyObject *horusp_scheduler_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static horusp_sig sig = {"Scheduler",
                             0,
                             0,
                             0,
                             {{"tick_rate", 0},
                              {"rt", 0},
                              {"deterministic", 0},
                              {"blackbox_mb", 0},
                              {"watchdog_ms", 0},
                              {"name", 0},
                              {"cores", 0},
                              {"max_deadline_misses", 0},
                              {"verbose", 0},
                              {"recording", 0},
                              {"replay", 0}}};
    PyObject *v[11], *tape = NULL;
    double rate = 1000;
    int64_t box = 0, watchdog = 0, misses = 0;
    horus_scheduler_desc d;
    memset(&d, 0, sizeof d);
    sig.count = 11;
    if (!horusp_args_tuple(&sig, args, kw, v) || (v[0] && !horusp_hertz(v[0], "tick_rate", &rate)))
        return NULL;
    if (!(rate >= 1e-6 && rate <= 1e6)) {
        horusp_refuse(HORUSP_VALUE_ERROR,
                      "tick_rate must be above 0 (0.000001 to 1000000 Hz), not %R", v[0]);
        return NULL;
    }
    bool earliest =
        v[1] && PyUnicode_Check(v[1]) && PyUnicode_CompareWithASCIIString(v[1], "deadline") == 0;
    if (v[1] && PyUnicode_Check(v[1]) && !earliest) {
        horusp_refuse(HORUSP_VALUE_ERROR, "rt must be True, False or \"deadline\", not %R", v[1]);
        return NULL;
    }
    int rt = v[1] ? PyObject_IsTrue(v[1]) : 0, logical = v[2] ? PyObject_IsTrue(v[2]) : 0;
    int verbose = v[8] ? PyObject_IsTrue(v[8]) : 0;
    if (rt < 0 || logical < 0 || verbose < 0 ||
        (v[3] && !horusp_int(v[3], "blackbox_mb", 0, 1024, &box)) ||
        (v[4] && !horusp_int(v[4], "watchdog_ms", 0, 3600000, &watchdog)) ||
        (v[7] && v[7] != Py_None &&
         !horusp_int(v[7], "max_deadline_misses", 1, UINT32_MAX, &misses)))
        return NULL;
    bool replays = v[10] && v[10] != Py_None;
    int records = v[9] && v[9] != Py_None ? PyObject_IsTrue(v[9]) : 0;
    logical = logical || replays;
    if (records < 0)
        return NULL;
    if (records && (replays || !logical)) {
        PyErr_SetString(horusp.by_code[-HORUS_E_UNSUPPORTED],
                        replays ? "recording= does not go with replay="
                                : "recording= needs deterministic=True");
        return NULL;
    }
    if (v[6] && v[6] != Py_None) {
        PyObject *list = PySequence_Tuple(v[6]);
        int64_t core;
        if (!list && !Py_TYPE(v[6])->tp_iter && !PySequence_Check(v[6]) &&
            PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(HORUSP_TYPE_ERROR, "cores must be a sequence of ints, not %.100s",
                         Py_TYPE(v[6])->tp_name);
        for (Py_ssize_t i = 0; list && i < PyTuple_GET_SIZE(list); i++) {
            if (!horusp_int(PyTuple_GET_ITEM(list, i), "cores", 0, 63, &core))
                Py_CLEAR(list);
            else
                d.cores |= 1ull << core;
        }
        if (!list)
            return NULL;
        Py_DECREF(list);
    }
    const char *name = NULL;
    if (v[5] && v[5] != Py_None) {
        Py_ssize_t bytes = 0;
        if (!PyUnicode_Check(v[5])) {
            PyErr_Format(HORUSP_TYPE_ERROR, "name must be a str, not %.100s",
                         Py_TYPE(v[5])->tp_name);
            return NULL;
        }
        name = horusp_utf8(v[5], &bytes);
        if (!name)
            return NULL;
        if (strlen(name) != (size_t)bytes || bytes >= HORUS_NAME_BYTES) {
            horusp_refuse(horusp.by_code[-HORUS_E_NAME], "not a scheduler's name: %R", v[5]);
            return NULL;
        }
    }
    if (records && PyBool_Check(v[9])) { /* in the current directory, called as the scheduler */
        char usual[40], file[HORUS_NAME_BYTES + 16];
        (void)snprintf(usual, sizeof usual, "scheduler-%ld", (long)getpid());
        (void)snprintf(file, sizeof file, "%.96s.recording", name ? name : usual);
        for (char *at = file; *at; at++)
            *at = *at == '/' || *at == ':' ? '_' : *at;
        tape = PyBytes_FromString(file);
        if (!tape)
            return NULL;
    } else if ((records || replays) && !horusp_path_bytes(replays ? v[10] : v[9], &tape)) {
        return NULL;
    }
    horusp_scheduler *s = (horusp_scheduler *)type->tp_alloc(type, 0);
    if (!s) {
        Py_XDECREF(tape);
        return NULL;
    }
    s->tape = tape;
    *(replays ? &d.replay : &d.record) = tape ? PyBytes_AS_STRING(tape) : NULL;
    if (name) {
        memcpy(s->name, name, strlen(name));
        d.name = s->name;
    }
    s->nodes = PyList_New(0);
    s->tick_rate = rate;
    s->verbose = verbose > 0;
    d.flags = (rt ? (uint32_t)HORUS_REALTIME : 0) |
              (earliest ? (uint32_t)HORUS_REALTIME_DEADLINE : 0) |
              (logical ? (uint32_t)HORUS_DETERMINISTIC : 0);
    d.blackbox_bytes = (uint64_t)box << 20;
    d.watchdog_ns = logical ? 0 : watchdog * 1000000;
    d.max_deadline_misses = (uint32_t)misses;
    d.workers = 64;
    d.on_event = horusp_on_event;
    d.user = s;
    s->desc = d;
    if (s->nodes)
        PyObject_GC_UnTrack(s->nodes);
    if (!s->nodes || !horusp_scheduler_open(s))
        Py_CLEAR(s);
    return (PyObject *)s;
}
/* Ends what steps began, and the event loop: callbacks may use the scheduler still. */
static void horusp_scheduler_finalize(PyObject *self)
{
    horusp_scheduler *s = (horusp_scheduler *)self;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (s->handle && !horusi_is_detached(s->handle->context) && s->handle->stepped) {
        PyThreadState *outer = horusp_thread;
        horusp_thread = PyEval_SaveThread();
        (void)horus_scheduler_run(s->handle, 0);
        PyEval_RestoreThread(horusp_thread);
        horusp_thread = outer;
    }
    horusp_scheduler_end_loop(&s->loop);
    PyErr_Restore(type, value, trace);
}
/* Its nodes are no part of it any more. */
static int horusp_scheduler_clear(PyObject *self)
{
    horusp_scheduler *s = (horusp_scheduler *)self;
    horus_scheduler *h = s->handle;
    s->handle = NULL;
    if (h && !horusi_is_detached(h->context)) {
        for (uint32_t i = 0; i < h->count; i++)
            h->nodes[i]->live = false; /* the collector calls nothing of Python's a second time */
        (void)horus_scheduler_close(h);
    }
    for (Py_ssize_t i = 0; s->nodes && i < PyList_GET_SIZE(s->nodes); i++) {
        horusp_node *n = (horusp_node *)PyList_GET_ITEM(s->nodes, i);
        if (n->scheduler == s)
            n->scheduler = NULL;
    }
    if (s->nodes && PyList_SetSlice(s->nodes, 0, PY_SSIZE_T_MAX, NULL) < 0)
        PyErr_Clear();
    Py_CLEAR(s->raised);
    return 0;
}
static void horusp_scheduler_dealloc(PyObject *self)
{
    if (PyObject_CallFinalizerFromDealloc(self) < 0)
        return;
    PyObject_GC_UnTrack(self);
    if (((horusp_scheduler *)self)->weak)
        PyObject_ClearWeakRefs(self);
    horusp_scheduler_finalize(self); /* it may have been brought back to life, and used again */
    (void)horusp_scheduler_clear(self);
    Py_CLEAR(((horusp_scheduler *)self)->nodes);
    Py_CLEAR(((horusp_scheduler *)self)->tape);
    Py_TYPE(self)->tp_free(self);
}
static int horusp_scheduler_traverse(PyObject *self, visitproc visit, void *arg)
{
    horusp_scheduler *s = (horusp_scheduler *)self;
    for (Py_ssize_t i = 0; s->nodes && i < PyList_GET_SIZE(s->nodes); i++)
        Py_VISIT(PyList_GET_ITEM(s->nodes, i)); /* the list is not for the collector to clear */
    Py_VISIT(s->raised);
    return 0;
}

/* ---- nodes */

static horusp_node *horusp_scheduler_find(horusp_scheduler *s, PyObject *name)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(s->nodes); i++) {
        PyObject *its = PyObject_GetAttrString(PyList_GET_ITEM(s->nodes, i), "name");
        int same = its ? PyObject_RichCompareBool(its, name, Py_EQ) : -1;
        Py_XDECREF(its);
        if (same != 0)
            return same > 0 ? (horusp_node *)PyList_GET_ITEM(s->nodes, i) : NULL;
    }
    return NULL;
}
static horusp_node *horusp_scheduler_known(horusp_scheduler *s, PyObject *name)
{
    horusp_node *n = horusp_scheduler_live(s) ? horusp_scheduler_find(s, name) : NULL;
    if (!n && !PyErr_Occurred())
        horusp_refuse(horusp.by_code[-HORUS_E_NOT_FOUND], "scheduler %s has no node %R",
                      s->handle->name, name);
    return n;
}
static PyObject *horusp_scheduler_add(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *kw)
{
    static horusp_sig sig = {"add", 2, 1, 2, {{"node", 0}, {"order", 0}}};
    horusp_scheduler *s = (horusp_scheduler *)self;
    PyObject *v[2];
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_scheduler_idle(s, "add"))
        return NULL;
    if (!PyObject_TypeCheck(v[0], &horusp_node_type)) {
        PyErr_Format(HORUSP_TYPE_ERROR,
                     "add() takes a horus.Node, not %.100s: horus.Node(tick=f, rate=30)",
                     Py_TYPE(v[0])->tp_name);
        return NULL;
    }
    horusp_node *n = (horusp_node *)v[0];
    horus_node_desc d;
    int64_t watchdog;
    if (n->scheduler) {
        horusp_refuse(HORUSP_VALUE_ERROR, "node %R was added to a scheduler already", v[0]);
        return NULL;
    }
    if ((v[1] && v[1] != Py_None && PyObject_SetAttrString(v[0], "order", v[1]) < 0) ||
        !horusp_node_read(n, &d, &watchdog))
        return NULL;
    if (d.on_topic && (s->desc.flags & HORUS_DETERMINISTIC)) {
        PyErr_SetString(horusp.by_code[-HORUS_E_UNSUPPORTED],
                        "on= does not go with deterministic=True");
        return NULL;
    }
    if (n->is_async && (s->desc.flags & HORUS_DETERMINISTIC)) {
        PyErr_SetString(horusp.by_code[-HORUS_E_UNSUPPORTED],
                        "async callbacks do not go with deterministic=True: an event loop has real "
                        "time");
        return NULL;
    }
    horusp_node_hand(n, &d);
    horus_result r = horus_scheduler_add(s->handle, &d);
    if (r != HORUS_OK)
        return horusp_error(r);
    if (watchdog && !(s->desc.flags & HORUS_DETERMINISTIC)) { /* looks in time for each */
        int64_t every = watchdog / 4 < 100000 ? 100000 : watchdog / 4;
        if (!s->handle->d.watchdog_ns || every < s->handle->d.watchdog_ns)
            s->desc.watchdog_ns = s->handle->d.watchdog_ns = every;
    }
    n->index = (uint32_t)PyList_GET_SIZE(s->nodes);
    n->ticks = n->failed = n->sent = n->got = n->last_ns = n->min_ns = 0;
    n->added_ns = horusi_now();
    if (PyList_Append(s->nodes, v[0]) < 0)
        return NULL;
    n->scheduler = s;
    return horusp_ref(self);
}
static bool horusp_node_stats(horusp_node *n, horus_node_stats *out, horus_scheduler_stats *all)
{
    memset(out, 0, sizeof *out);
    memset(all, 0, sizeof *all);
    horus_scheduler *s = horusp_scheduler_handle(n->scheduler);
    if (!s || !s->block || n->index >= s->block_nodes)
        return true;                                                   /* has not run */
    horus_result r = horusi_get_stats(s, n->index, all, out, 1, NULL); /* its own alone */
    return r == HORUS_OK || horusp_error(r);
}

/* Seconds since it was added; by a clock of the scheduler's own, since the run began. */
static double horusp_uptime(const horusp_node *n)
{
    horus_scheduler *h = horusp_scheduler_handle(n->scheduler);
    if (!h)
        return 0;
    bool logical = n->scheduler->desc.flags & HORUS_DETERMINISTIC;
    uint64_t begin = logical ? h->start : n->added_ns;
    uint64_t now = logical ? horusi_clock_of(h) : horusi_now();
    return now > begin ? (double)(now - begin) / 1e9 : 0;
}

/* ------------------------------------------------------------------------------------ >>runs
 *
 * run(), step() and stop(): signals, the event loop of async nodes, what a callback raised. */

static uint64_t horusp_ticks_of(const horusp_scheduler *s, uint64_t now)
{
    const horus_scheduler *h = s->handle;
    uint64_t until = now < h->end ? now : h->end;
    double ticks = until > h->start ? (double)(until - h->start) * s->tick_rate / 1e9 : 0;
    return (uint64_t)(ticks + 1e-6);
}
static bool horusp_in_main_thread(void)
{
    PyObject *threading = PyImport_ImportModule("threading");
    PyObject *a = threading ? PyObject_CallMethod(threading, "current_thread", NULL) : NULL;
    PyObject *b = threading ? PyObject_CallMethod(threading, "main_thread", NULL) : NULL;
    bool same = a && a == b;
    Py_XDECREF(threading);
    Py_XDECREF(a);
    Py_XDECREF(b);
    PyErr_Clear();
    return same;
}
/* True if SIGINT and SIGTERM are as Python sets them: handlers of the program's own stay its own. */
static bool horusp_signals_are_ours(void)
{
    static const char *const names[2] = {"SIGINT", "SIGTERM"};
    PyObject *module = PyImport_ImportModule("signal");
    PyObject *usual = module ? PyObject_GetAttrString(module, "default_int_handler") : NULL;
    bool ours = usual != NULL;
    for (int i = 0; ours && i < 2; i++) {
        PyObject *number = PyObject_GetAttrString(module, names[i]);
        PyObject *now = number ? PyObject_CallMethod(module, "getsignal", "O", number) : NULL;
        ours = now && (now == usual || !PyCallable_Check(now));
        Py_XDECREF(number);
        Py_XDECREF(now);
    }
    Py_XDECREF(usual);
    Py_XDECREF(module);
    PyErr_Clear();
    return ours;
}
/* Which nodes take part, and that those which topics wake have them. */
static bool horusp_scheduler_choose(horusp_scheduler *s, PyObject *only)
{
    Py_ssize_t count = only && only != Py_None ? PySequence_Size(only) : -1;
    bool one = count >= 0 && PyUnicode_Check(only), any_async = false;
    if (only && only != Py_None && count < 0)
        return false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(s->nodes); i++) {
        horusp_node *n = (horusp_node *)PyList_GET_ITEM(s->nodes, i);
        s->handle->nodes[i]->muted = count >= 0;
        any_async = any_async || n->is_async;
        if (s->handle->nodes[i]->d.on_topic != (n->on ? ((horusp_topic *)n->on)->handle : NULL)) {
            PyErr_SetString(horusp.by_code[-HORUS_E_CLOSED], "the topic of an on= node was closed");
            return false;
        }
    }
    for (Py_ssize_t i = 0; i < (one ? 1 : count); i++) {
        PyObject *name = one ? horusp_ref(only) : PySequence_GetItem(only, i);
        horusp_node *n = name ? horusp_scheduler_known(s, name) : NULL;
        Py_XDECREF(name);
        if (!n)
            return false;
        s->handle->nodes[n->index]->muted = false;
    }
    return !any_async || horusp_scheduler_loop(s);
}
static PyObject *horusp_scheduler_go_on(horusp_scheduler *s, int64_t ns, bool step, PyObject *only)
{
    horus_scheduler *h = s->handle;
    double load;
    s->main = horusp_in_main_thread() && !step;
    h->d.flags &= ~(uint32_t)HORUS_SIGNALS;
    if (s->main && horusp_signals_are_ours())
        h->d.flags |= HORUS_SIGNALS;
    if (!horusp_scheduler_choose(s, only))
        return NULL;
    if (!s->ran && horus_scheduler_admit(h, &load) == HORUS_E_LIMIT)
        horusp_say(30, h->name, horus_last_error(), NULL);
    horus_result r = horusi_sched_share(h); /* so that it does not move while others read it */
    if (r != HORUS_OK)
        return horusp_error(r);
    s->ran = true;
    s->next = horusp_running;
    horusp_running = s;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(s->nodes); i++) {
        horusp_node *n = (horusp_node *)PyList_GET_ITEM(s->nodes, i);
        n->taken = n->on && !step;
    }
    PyThreadState *outer = horusp_thread;
    horusp_thread = PyEval_SaveThread();
    r = step ? horus_scheduler_step(h, ns) : horus_scheduler_run(h, ns);
    PyEval_RestoreThread(horusp_thread);
    horusp_thread = outer;
    char text[300];
    (void)snprintf(text, sizeof text, "%s", horus_last_error());
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(s->nodes); i++)
        ((horusp_node *)PyList_GET_ITEM(s->nodes, i))->taken = false;
    s->ticks = horusp_ticks_of(s, h->end_kind == HORUS_END_DURATION ? h->end : horusi_clock_of(h));
    for (horusp_scheduler **p = &horusp_running; *p; p = &(*p)->next)
        if (*p == s) {
            *p = s->next;
            break;
        }
    if (!step)
        horusp_scheduler_end_loop(&s->loop);
    PyObject *result = NULL;
    if (s->raised) {
        PyObject *raised = s->raised;
        s->raised = NULL;
        PyErr_SetObject((PyObject *)Py_TYPE(raised), raised);
        Py_DECREF(raised);
    } else if (r == HORUS_OK || r == HORUS_INTERRUPTED) {
        result = horusp_ref(Py_None);
    } else if (h->end_kind == HORUS_END_MISS) { /* as policies wanted */
        horusp_say(40, h->name, text, NULL);
        result = horusp_ref(Py_None);
    } else if (h->end_kind == HORUS_END_FAILURE && r == HORUS_E_SYSTEM &&
               horusi_ld32_acq(Q2, &h->ending) != 0 && !(h->tape && h->tape->result < 0)) {
        horusp_say(40, h->name, "stopped: a node failed whose failure_policy is \"fatal\"", NULL);
        result = horusp_ref(Py_None);
    } else {
        (void)horusp_error(r);
    }
    return result;
}
/* Runs or steps, with nodes of these names alone if any are given. */
static PyObject *horusp_scheduler_go(horusp_scheduler *s, int64_t ns, bool step, PyObject *only)
{
    if (!horusp_scheduler_idle(s, step ? "tick_once" : "run"))
        return NULL;
    s->running = true; /* before anything of Python's may let another thread in */
    Py_INCREF(s);
    PyObject *result = horusp_scheduler_go_on(s, ns, step, only);
    s->running = false;
    Py_DECREF(s);
    return result;
}
static bool horusp_duration(PyObject *o, int64_t *ns)
{
    double seconds;
    *ns = HORUS_FOREVER;
    if (!o || o == Py_None)
        return true;
    if (!horusp_double(o, "duration", &seconds))
        return false;
    if (!(seconds >= 0)) {
        horusp_refuse(HORUSP_VALUE_ERROR, "duration must be 0 or more seconds, or None, not %R", o);
        return false;
    }
    *ns = seconds < 9e9 ? (int64_t)(seconds * 1e9 + 0.5) : HORUS_FOREVER;
    return true;
}
static PyObject *horusp_scheduler_report(horusp_scheduler *s);
static PyObject *horusp_scheduler_run(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *kw)
{
    static horusp_sig sig = {"run", 1, 0, 1, {{"duration", 0}}};
    PyObject *v[1];
    int64_t ns;
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_duration(v[0], &ns))
        return NULL;
    PyObject *r = horusp_scheduler_go((horusp_scheduler *)self, ns, false, NULL);
    if (r && ((horusp_scheduler *)self)->verbose) {
        Py_DECREF(r);
        r = horusp_scheduler_report((horusp_scheduler *)self);
    }
    return r;
}
static PyObject *horusp_scheduler_tick_once(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                            PyObject *kw)
{
    static horusp_sig sig = {"tick_once", 1, 0, 1, {{"node_names", 0}}};
    horusp_scheduler *s = (horusp_scheduler *)self;
    PyObject *v[1];
    if (!horusp_args(&sig, args, nargs, kw, v))
        return NULL;
    return horusp_scheduler_go(s, (int64_t)(1e9 / s->tick_rate + 0.5), true, v[0]);
}
static PyObject *horusp_scheduler_tick_for(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                           PyObject *kw)
{
    static horusp_sig sig = {"tick_for", 2, 1, 2, {{"duration", 0}, {"node_names", 0}}};
    PyObject *v[2];
    int64_t ns;
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_duration(v[0], &ns))
        return NULL;
    return horusp_scheduler_go((horusp_scheduler *)self, ns, false, v[1]);
}
static PyObject *horusp_scheduler_stop(PyObject *self, PyObject *none)
{
    horusp_scheduler *s = (horusp_scheduler *)self;
    (void)none;
    if (!horusp_scheduler_live(s))
        return NULL;
    if (s->running)
        horus_scheduler_stop(s->handle);
    else if (s->handle->stepped) /* ends what steps began */
        return horusp_scheduler_go(s, 0, false, NULL);
    Py_RETURN_NONE;
}
static PyObject *horusp_scheduler_exit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)args;
    (void)nargs;
    return horusp_scheduler_stop(self, NULL);
}
static PyObject *horusp_scheduler_enter(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_ref(self);
}
/* A child that a callback has forked is in no tick, whatever its parent's thread does. */
static void horusp_in_child(void)
{
    horusp_tick = NULL;
    for (horusp_scheduler *s = horusp_running; s; s = s->next)
        for (Py_ssize_t i = 0; s->nodes && i < PyList_GET_SIZE(s->nodes); i++) {
            horusp_node *n = (horusp_node *)PyList_GET_ITEM(s->nodes, i);
            n->inside = 0;
            n->now = NULL;
        }
}
/* At the interpreter's end: stops what still runs in threads that nobody waits for. */
static PyObject *horusp_stop_all(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    for (int tries = 0; tries < 100; tries++) {
        bool wait = false;
        for (horusp_scheduler *s = horusp_running; s; s = s->next)
            if (!horusi_is_detached(s->handle->context)) { /* else it is the parent's */
                horus_scheduler_stop(s->handle);
                wait = true;
            }
        if (!wait)
            break;
        Py_BEGIN_ALLOW_THREADS horusi_sleep_until(horusi_now() + 10000000u);
        Py_END_ALLOW_THREADS
    }
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------------------------ >>reports
 *
 * What a scheduler says of itself: state, statistics, its black box, its recording. */

static PyObject *horusp_scheduler_status(PyObject *self, PyObject *none)
{
    horusp_scheduler *s = (horusp_scheduler *)self;
    (void)none;
    return PyUnicode_FromString(s->running ? "running" : s->ran ? "stopped" : "idle");
}
static PyObject *horusp_scheduler_is_running(PyObject *self, PyObject *none)
{
    (void)none;
    return PyBool_FromLong(((horusp_scheduler *)self)->running);
}
static PyObject *horusp_scheduler_current_tick(PyObject *self, PyObject *none)
{
    horusp_scheduler *s = (horusp_scheduler *)self;
    (void)none;
    bool real = s->running && s->handle && !s->handle->clock.now;
    return PyLong_FromUnsignedLongLong(real ? horusp_ticks_of(s, horusi_now()) : s->ticks);
}
static PyObject *horusp_scheduler_name_(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_scheduler_live((horusp_scheduler *)self)
               ? PyUnicode_FromString(((horusp_scheduler *)self)->handle->name)
               : NULL;
}
static PyObject *horusp_scheduler_has_node(PyObject *self, PyObject *name)
{
    horusp_node *n = horusp_scheduler_find((horusp_scheduler *)self, name);
    return n || !PyErr_Occurred() ? PyBool_FromLong(n != NULL) : NULL;
}
static PyObject *horusp_scheduler_names(PyObject *self, PyObject *none)
{
    horusp_scheduler *s = (horusp_scheduler *)self;
    PyObject *list = PyList_New(0);
    (void)none;
    for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(s->nodes); i++) {
        PyObject *name = PyObject_GetAttrString(PyList_GET_ITEM(s->nodes, i), "name");
        if (!name || PyList_Append(list, name) < 0)
            Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}
static PyObject *horusp_scheduler_count(PyObject *self, PyObject *none)
{
    (void)none;
    return PyLong_FromSsize_t(PyList_GET_SIZE(((horusp_scheduler *)self)->nodes));
}
static PyObject *horusp_spread_dict(const horus_spread *p)
{
    return Py_BuildValue("{sK sK sK sK sK sK}", "count", (unsigned long long)p->count, "mean_ns",
                         (unsigned long long)p->mean_ns, "p50_ns", (unsigned long long)p->p50_ns,
                         "p99_ns", (unsigned long long)p->p99_ns, "p99_9_ns",
                         (unsigned long long)p->p99_9_ns, "max_ns", (unsigned long long)p->max_ns);
}
static bool horusp_infer_figures(horusp_node *n, PyObject *figures);
static PyObject *horusp_node_figures(horusp_node *n)
{
    static const char *const states[] = {"idle", "running", "safe", "paused", "failed"};
    horus_node_stats t;
    horus_scheduler_stats all;
    if (!horusp_node_stats(n, &t, &all))
        return NULL;
    PyObject *name = PyObject_GetAttrString((PyObject *)n, "name");
    PyObject *order = PyObject_GetAttrString((PyObject *)n, "order");
    horusi_node *c = n->scheduler->handle->nodes[n->index];
    uint64_t wanted = horusi_ld64_rlx(own, &c->wanted); /* the rate that was set last */
    double hz = wanted   ? (double)horusi_high(wanted) / (double)horusi_low(wanted)
                : c->num ? (double)c->num / (double)c->den
                         : 0;
    double run_ms = (double)t.spread[HORUS_SPREAD_RUN].mean_ns / 1e6;
    PyObject *d =
        name && order
            ? Py_BuildValue(
                  "{sO sO sd sK sK sK sK sd sd sd sd sd sK sK ss sK sK sK sK sK sK sK sK sN sN sN}",
                  "name", name, "order", order, "rate_hz", hz, "total_ticks",
                  (unsigned long long)n->ticks, "successful_ticks",
                  (unsigned long long)(n->ticks > n->failed ? n->ticks - n->failed : 0),
                  "failed_ticks", (unsigned long long)n->failed, "errors_count",
                  (unsigned long long)n->failed, "avg_tick_duration_ms", run_ms,
                  "min_tick_duration_ms", (double)n->min_ns / 1e6, "max_tick_duration_ms",
                  (double)t.spread[HORUS_SPREAD_RUN].max_ns / 1e6, "last_tick_duration_ms",
                  (double)n->last_ns / 1e6, "uptime_seconds", horusp_uptime(n), "messages_sent",
                  (unsigned long long)n->sent, "messages_received", (unsigned long long)n->got,
                  "state", states[t.state], "skipped", (unsigned long long)t.skipped, "overruns",
                  (unsigned long long)t.overruns, "budget_misses",
                  (unsigned long long)t.budget_misses, "deadline_misses",
                  (unsigned long long)t.deadline_misses, "watchdog_misses",
                  (unsigned long long)t.watchdog_misses, "restarts", (unsigned long long)t.restarts,
                  "safe_entries", (unsigned long long)t.safe_entries, "recoveries",
                  (unsigned long long)t.recoveries, "wake_latency",
                  horusp_spread_dict(&t.spread[HORUS_SPREAD_WAKE]), "execution",
                  horusp_spread_dict(&t.spread[HORUS_SPREAD_RUN]), "age",
                  horusp_spread_dict(&t.spread[HORUS_SPREAD_AGE]))
            : NULL;
    if (d && !horusp_infer_figures(n, d))
        Py_CLEAR(d);
    Py_XDECREF(name);
    Py_XDECREF(order);
    return d;
}
static PyObject *horusp_scheduler_all(PyObject *self, PyObject *none)
{
    horusp_scheduler *s = (horusp_scheduler *)self;
    PyObject *list = PyList_New(0);
    (void)none;
    for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(s->nodes); i++) {
        PyObject *d = horusp_node_figures((horusp_node *)PyList_GET_ITEM(s->nodes, i));
        if (!d || PyList_Append(list, d) < 0)
            Py_CLEAR(list);
        Py_XDECREF(d);
    }
    return list;
}
static PyObject *horusp_scheduler_node_stats(PyObject *self, PyObject *name)
{
    horusp_node *n = horusp_scheduler_known((horusp_scheduler *)self, name);
    return n ? horusp_node_figures(n) : NULL;
}
static PyObject *horusp_scheduler_node_info(PyObject *self, PyObject *name)
{
    horusp_node *n = horusp_scheduler_find((horusp_scheduler *)self, name);
    if (!n)
        return PyErr_Occurred() ? NULL : horusp_ref(Py_None);
    return PyObject_GetAttrString((PyObject *)n, "order");
}
HORUSP_ONE(horusp_scheduler_has_node, "has_node", "node_name")
HORUSP_ONE(horusp_scheduler_node_stats, "get_node_stats", "node_name")
HORUSP_ONE(horusp_scheduler_node_info, "get_node_info", "node_name")

static PyObject *horusp_scheduler_set_rate(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                           PyObject *kw)
{
    static horusp_sig sig = {"set_node_rate", 2, 2, 2, {{"node_name", 0}, {"rate", 0}}};
    horusp_scheduler *s = (horusp_scheduler *)self;
    PyObject *v[2];
    double rate;
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_scheduler_live(s))
        return NULL;
    horusp_node *n = horusp_scheduler_known(s, v[0]);
    if (!n || !horusp_hertz(v[1], "rate", &rate))
        return NULL;
    horus_result r = horus_scheduler_set_rate(s->handle, s->handle->nodes[n->index]->name, rate);
    if (r != HORUS_OK)
        return horusp_error(r);
    if (PyObject_SetAttrString((PyObject *)n, "rate", v[1]) < 0)
        return NULL;
    Py_RETURN_NONE;
}
static PyObject *horusp_scheduler_set_budget(PyObject *self, PyObject *const *args,
                                             Py_ssize_t nargs, PyObject *kw)
{
    static horusp_sig sig = {"set_tick_budget", 2, 2, 2, {{"node_name", 0}, {"budget_us", 0}}};
    horusp_scheduler *s = (horusp_scheduler *)self;
    PyObject *v[2];
    int64_t us;
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_scheduler_live(s))
        return NULL;
    horusp_node *n = horusp_scheduler_known(s, v[0]);
    if (!n || !horusp_int(v[1], "budget_us", 1, 1000000, &us))
        return NULL;
    horus_result r =
        horus_scheduler_set_budget(s->handle, s->handle->nodes[n->index]->name, us * 1000);
    if (r != HORUS_OK)
        return horusp_error(r);
    PyObject *seconds = PyFloat_FromDouble((double)us / 1e6);
    int done = seconds ? PyObject_SetAttrString((PyObject *)n, "budget", seconds) : -1;
    Py_XDECREF(seconds);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}
static PyObject *horusp_scheduler_safety(PyObject *self, PyObject *none)
{
    horusp_scheduler *s = (horusp_scheduler *)self;
    horus_scheduler_stats all;
    unsigned long long budget = 0, deadline = 0, watchdog = 0, safe = 0, skipped = 0;
    bool now_safe = false, failed = false;
    (void)none;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(s->nodes); i++) {
        horus_node_stats t;
        if (!horusp_node_stats((horusp_node *)PyList_GET_ITEM(s->nodes, i), &t, &all))
            return NULL;
        budget += t.budget_misses;
        deadline += t.deadline_misses;
        watchdog += t.watchdog_misses;
        safe += t.safe_entries;
        skipped += t.skipped;
        now_safe = now_safe || t.state == HORUS_NODE_SAFE;
        failed = failed || t.state == HORUS_NODE_FAILED;
    }
    return Py_BuildValue("{ss sK sK sK sK sK}", "state",
                         now_safe ? "SafeMode"
                         : failed ? "Degraded"
                                  : "Normal",
                         "budget_overruns", budget, "deadline_misses", deadline,
                         "watchdog_expirations", watchdog, "degrade_activations", safe,
                         "skipped_ticks", skipped);
}
static PyObject *horusp_scheduler_degradations(PyObject *self, PyObject *none)
{
    horus_capabilities c;
    (void)none;
    if (horus_scheduler_get_capabilities(((horusp_scheduler *)self)->handle, &c) != HORUS_OK ||
        !c.degradations[0])
        return PyList_New(0);
    PyObject *text = PyUnicode_FromString(c.degradations);
    PyObject *list = text ? PyUnicode_Splitlines(text, 0) : NULL;
    Py_XDECREF(text);
    return list;
}
static PyObject *horusp_rights_list(uint32_t bits)
{
    static const char *const names[HORUSI_RIGHTS] = {"fifo",  "locked_memory",  "timers",
                                                     "cores", "shared_figures", "deadline"};
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i < HORUSI_RIGHTS; i++) {
        PyObject *name = bits >> i & 1 ? PyUnicode_FromString(names[i]) : NULL;
        if (name && PyList_Append(list, name) < 0)
            Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}
static PyObject *horusp_scheduler_capabilities(PyObject *self, PyObject *none)
{
    horus_capabilities c;
    char word[4] = "";
    (void)none;
    memset(&c, 0, sizeof c);
    (void)horus_scheduler_get_capabilities(((horusp_scheduler *)self)->handle, &c);
    FILE *f = fopen("/sys/kernel/realtime", "re");
    if (f) {
        if (!fgets(word, sizeof word, f))
            word[0] = 0;
        (void)fclose(f);
    }
    struct rlimit limit = {0, 0};
    (void)getrlimit(RLIMIT_RTPRIO, &limit);
    bool may = geteuid() == 0 || limit.rlim_cur > 0;
    return Py_BuildValue("{sO sO si si sN sN}", "preempt_rt", word[0] == '1' ? Py_True : Py_False,
                         "rt_priority_available", may ? Py_True : Py_False, "max_rt_priority",
                         sched_get_priority_max(SCHED_FIFO), "min_rt_priority",
                         sched_get_priority_min(SCHED_FIFO), "wanted", horusp_rights_list(c.wanted),
                         "obtained", horusp_rights_list(c.got & c.wanted));
}
static PyObject *horusp_scheduler_recording(PyObject *self, PyObject *none)
{
    horusp_scheduler *s = (horusp_scheduler *)self;
    horus_recording t;
    (void)none;
    if (!horusp_scheduler_live(s))
        return NULL;
    if (horus_scheduler_get_recording(s->handle, &t) != HORUS_OK)
        Py_RETURN_NONE;
    PyObject *path = PyUnicode_DecodeFSDefault(PyBytes_AS_STRING(s->tape));
    PyObject *where = t.diverged
                          ? Py_BuildValue("(Kss)", (unsigned long long)t.tick, t.node, t.topic)
                          : horusp_ref(Py_None);
    if (!path || !where) {
        Py_XDECREF(path);
        Py_XDECREF(where);
        return NULL;
    }
    return Py_BuildValue(
        "{sN sO sK sK sK sK sN}", "path", path, "replay", s->desc.replay ? Py_True : Py_False,
        "calls", (unsigned long long)t.calls, "inputs", (unsigned long long)t.inputs, "outputs",
        (unsigned long long)t.outputs, "hash", (unsigned long long)t.hash, "divergence", where);
}
static PyObject *horusp_scheduler_full_rt(PyObject *self, PyObject *none)
{
    horus_capabilities c;
    (void)none;
    bool had = horus_scheduler_get_capabilities(((horusp_scheduler *)self)->handle, &c) == HORUS_OK;
    return PyBool_FromLong(!had || (c.wanted & ~c.got) == 0);
}
/* verbose=True: a line for each node, on the log. */
static PyObject *horusp_scheduler_report(horusp_scheduler *s)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(s->nodes); i++) {
        horusp_node *n = (horusp_node *)PyList_GET_ITEM(s->nodes, i);
        horus_node_stats t;
        horus_scheduler_stats all;
        char line[300];
        if (!horusp_node_stats(n, &t, &all))
            return NULL;
        const horus_spread *run = &t.spread[HORUS_SPREAD_RUN], *wake = &t.spread[HORUS_SPREAD_WAKE];
        (void)snprintf(
            line, sizeof line,
            "%llu ticks, %llu skipped, %llu misses, %llu failures; execution p50 %.3f p99 %.3f max "
            "%.3f ms; wake latency p50 %.3f p99 %.3f max %.3f ms",
            (unsigned long long)t.ticks, (unsigned long long)t.skipped,
            (unsigned long long)(t.budget_misses + t.deadline_misses),
            (unsigned long long)t.failures, (double)run->p50_ns / 1e6, (double)run->p99_ns / 1e6,
            (double)run->max_ns / 1e6, (double)wake->p50_ns / 1e6, (double)wake->p99_ns / 1e6,
            (double)wake->max_ns / 1e6);
        horusp_say(20, t.name, line, NULL);
    }
    Py_RETURN_NONE;
}
static PyObject *horusp_scheduler_repr(PyObject *self)
{
    horusp_scheduler *s = (horusp_scheduler *)self;
    return PyUnicode_FromFormat("Scheduler(name='%s', nodes=%zd, %s)",
                                s->handle ? s->handle->name : "",
                                s->nodes ? PyList_GET_SIZE(s->nodes) : 0,
                                s->running ? "running"
                                : s->ran   ? "stopped"
                                           : "idle");
}
static PyMethodDef horusp_scheduler_methods[] = {
    {"add", HORUSP_FN(horusp_scheduler_add), HORUSP_FAST,
     "add($self, node, order=None)\n--\n\nAdds a Node, and returns the scheduler. order replaces "
     "the "
     "node's. ValueError: the name is taken, the node belongs to a scheduler, or an attribute is "
     "out of "
     "range; TypeError: no Node."},
    {"run", HORUSP_FN(horusp_scheduler_run), HORUSP_FAST,
     "run($self, duration=None)\n--\n\nCalls every init, ticks until duration seconds are over, "
     "stop(), "
     "Ctrl-C, SIGTERM or a policy ends it, and calls every shutdown in the reverse order. Signals "
     "end it in Python's main thread alone: of a run in another thread SIGTERM ends the whole "
     "process, with no shutdown, unless a handler of yours calls stop(). With no "
     "nodes "
     "it waits. RuntimeError if it runs. SystemExit and KeyboardInterrupt of a callback end it and "
     "are "
     "raised here. Another exception that a signal handler raises in a tick is a failure of that "
     "tick. A "
     "thread in run() that is no daemon keeps the interpreter from ending; a callback that blocks "
     "keeps "
     "run() from ending. In a child that a callback forks, run() raises DetachedError once the "
     "callback returns, and calls nothing more."},
    {"tick_for", HORUSP_FN(horusp_scheduler_tick_for), HORUSP_FAST,
     "tick_for($self, duration, node_names=None)\n--\n\nrun(), of these nodes alone."},
    {"tick_once", HORUSP_FN(horusp_scheduler_tick_once), HORUSP_FAST,
     "tick_once($self, node_names=None)\n--\n\nTicks what falls due in one step of 1 / tick_rate "
     "seconds, "
     "without waiting for it. The first step calls init; stop(), run() or the end of a with block "
     "calls "
     "shutdown."},
    {"stop", horusp_scheduler_stop, METH_NOARGS,
     "stop($self)\n--\n\nEnds run() once the ticks that run have ended. From any thread or "
     "callback."},
    {"status", horusp_scheduler_status, METH_NOARGS,
     "status($self)\n--\n\n\"idle\", \"running\" or \"stopped\"."},
    {"is_running", horusp_scheduler_is_running, METH_NOARGS,
     "is_running($self)\n--\n\nTrue within run()."},
    {"current_tick", horusp_scheduler_current_tick, METH_NOARGS,
     "current_tick($self)\n--\n\nSteps of 1 / tick_rate seconds since the run began."},
    {"scheduler_name", horusp_scheduler_name_, METH_NOARGS,
     "scheduler_name($self)\n--\n\nThe name under which others find its figures."},
    {"has_node", HORUSP_FN(horusp_scheduler_has_node_), HORUSP_FAST,
     "has_node($self, node_name)\n--\n\nTrue if a node is called so."},
    {"get_node_names", horusp_scheduler_names, METH_NOARGS,
     "get_node_names($self)\n--\n\nAll names, in the order of addition."},
    {"get_node_count", horusp_scheduler_count, METH_NOARGS,
     "get_node_count($self)\n--\n\nHow many nodes there are."},
    {"get_all_nodes", horusp_scheduler_all, METH_NOARGS,
     "get_all_nodes($self)\n--\n\nget_node_stats() of each."},
    {"get_node_info", HORUSP_FN(horusp_scheduler_node_info_), HORUSP_FAST,
     "get_node_info($self, node_name)\n--\n\nThe node's order, or None if there is none."},
    {"get_node_stats", HORUSP_FN(horusp_scheduler_node_stats_), HORUSP_FAST,
     "get_node_stats($self, node_name)\n--\n\nA dict of counts, durations (ms) and the histograms "
     "wake_latency, execution and age (ns); of an InferenceOp also models, its stats(). "
     "HorusNotFoundError if there is no such node."},
    {"set_node_rate", HORUSP_FN(horusp_scheduler_set_rate), HORUSP_FAST,
     "set_node_rate($self, node_name, rate)\n--\n\nAnother rate, Hz; while it runs within 0.1 s: "
     "the next "
     "tick is due a period of it after the last one. HorusNotFoundError: no such node; ValueError: "
     "a "
     "rate "
     "that is not 0.000001 to 1000000, or the node has on=; TypeError: no number."},
    {"set_tick_budget", HORUSP_FN(horusp_scheduler_set_budget), HORUSP_FAST,
     "set_tick_budget($self, node_name, budget_us)\n--\n\nAnother budget, microseconds, from the "
     "next tick "
     "on."},
    {"safety_stats", horusp_scheduler_safety, METH_NOARGS,
     "safety_stats($self)\n--\n\nA dict of sums over all nodes: misses, skipped ticks, safe "
     "states."},
    {"capabilities", horusp_scheduler_capabilities, METH_NOARGS,
     "capabilities($self)\n--\n\nA dict: what this machine can, what the last run wanted and "
     "obtained."},
    {"degradations", horusp_scheduler_degradations, METH_NOARGS,
     "degradations($self)\n--\n\nA line for each thing that the last run was refused."},
    {"get_recording", horusp_scheduler_recording, METH_NOARGS,
     "get_recording($self)\n--\n\nOf recording= or replay= so far, else None: a dict of path, "
     "replay "
     "(bool), calls (callbacks), inputs, outputs, hash (of all outputs: equal runs have equal "
     "ones) "
     "and divergence: None, or the first as (tick, node, topic)."},
    {"has_full_rt", horusp_scheduler_full_rt, METH_NOARGS,
     "has_full_rt($self)\n--\n\nFalse if the last run was refused anything."},
    {"__enter__", horusp_scheduler_enter, METH_NOARGS, NULL},
    {"__exit__", HORUSP_FN(horusp_scheduler_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL}};
static PyTypeObject horusp_scheduler_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus.Scheduler",
    .tp_basicsize = sizeof(horusp_scheduler),
    .tp_dealloc = horusp_scheduler_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = horusp_scheduler_traverse,
    .tp_clear = horusp_scheduler_clear,
    .tp_finalize = horusp_scheduler_finalize,
    .tp_weaklistoffset = offsetof(horusp_scheduler, weak),
    .tp_doc =
        "Scheduler(*, tick_rate=1000.0, rt=False, deterministic=False, blackbox_mb=0, "
        "watchdog_ms=0, "
        "recording=False, replay=None, name=None, cores=None, max_deadline_misses=None, "
        "verbose=False)\n--\n\n"
        "Runs nodes at their rates, in order, within their budgets.\n\n"
        "tick_rate: Hz of current_tick() and of the step of tick_once(); nodes keep their own.\n"
        "rt: ask for SCHED_FIFO, locked memory and exact timers; degradations() says what was "
        "refused. "
        "\"deadline\": SCHED_DEADLINE for threads whose nodes all have a budget (and no on=), and "
        "no cores; "
        "else SCHED_FIFO.\n"
        "deterministic: a clock that jumps from due time to due time, one thread, seeded random "
        "numbers: "
        "each run is the same, as fast as it goes. UnsupportedError at add() for on= and async "
        "nodes.\n"
        "recording: with deterministic=True: a path, or True (NAME.recording in the current "
        "directory, "
        "anew): what the nodes' callbacks receive is kept there, and hashes of what they send. "
        "OSError if it cannot "
        "be written, also from run(). UnsupportedError without deterministic=True.\n"
        "replay: the path of a recording (deterministic follows): the same nodes, run in the same "
        "way, "
        "receive what they received then and send to nobody; run() ends where the recording does. "
        "DivergedError at the first difference, which names tick, node and topic; CorruptError "
        "where the "
        "file is cut off (by a kill) or damaged; FileNotFoundError. See get_recording().\n"
        "blackbox_mb: the newest ticks, misses, failures and log lines, readable after a crash by "
        "other processes that had joined the namespace before it.\n"
        "watchdog_ms: how often running ticks are looked at; 0: misses are seen when a tick has "
        "ended.\n"
        "cores: processors of the ordered nodes. max_deadline_misses: in a row, end the run.\n"
        "verbose: a line for each node after run(), in the log \"horus\".",
    .tp_new = horusp_scheduler_new,
    .tp_repr = horusp_scheduler_repr,
    .tp_methods = horusp_scheduler_methods,
};

/* horus.run(*nodes, duration=None, **scheduler) */
static PyObject *horusp_run(PyObject *module, PyObject *args, PyObject *kw)
{
    PyObject *rest = kw ? PyDict_Copy(kw) : PyDict_New(), *none = PyTuple_New(0), *r = NULL;
    PyObject *duration = rest ? PyDict_GetItemString(rest, "duration") : NULL;
    horusp_scheduler *s = NULL;
    int64_t ns;
    (void)module;
    Py_XINCREF(duration);
    if (rest && none && horusp_duration(duration, &ns) &&
        (!duration || PyDict_DelItemString(rest, "duration") == 0))
        s = (horusp_scheduler *)PyObject_Call((PyObject *)&horusp_scheduler_type, none, rest);
    bool ok = s != NULL;
    for (Py_ssize_t i = 0; ok && i < PyTuple_GET_SIZE(args); i++) {
        PyObject *node = PyTuple_GET_ITEM(args, i);
        PyObject *added = horusp_scheduler_add((PyObject *)s, &node, 1, NULL);
        ok = added != NULL;
        Py_XDECREF(added);
    }
    if (ok) {
        r = horusp_scheduler_go(s, ns, false, NULL);
        if (r && s->verbose) {
            Py_DECREF(r);
            r = horusp_scheduler_report(s);
        }
    }
    Py_XDECREF(s);
    Py_XDECREF(duration);
    Py_XDECREF(rest);
    Py_XDECREF(none);
    return r;
}

/* ------------------------------------------------------------------------------------ >>clock
 *
 * The time of the tick that runs on this thread, and Rate, for loops without a scheduler. */
static PyObject *horusp_clock_now(PyObject *module, PyObject *none)
{
    static uint64_t since;
    (void)module;
    (void)none;
    const horus_tick *t = horusp_ticking();
    if (t && t->scheduler->clock.now)
        return PyFloat_FromDouble((double)horusi_clock_of(t->scheduler) / 1e9);
    uint64_t now = horusi_now();
    if (!since)
        since = now;
    return PyFloat_FromDouble((double)(now - since) / 1e9);
}
static PyObject *horusp_clock_dt(PyObject *module, PyObject *none)
{
    const horus_tick *t = horusp_ticking();
    (void)module;
    (void)none;
    return PyFloat_FromDouble(t ? (double)t->dt_ns / 1e9 : 0);
}
static PyObject *horusp_clock_elapsed(PyObject *module, PyObject *none)
{
    const horus_tick *t = horusp_ticking();
    (void)module;
    (void)none;
    return PyFloat_FromDouble(t ? (double)(horusi_clock_of(t->scheduler) - t->start_ns) / 1e9 : 0);
}
static PyObject *horusp_clock_tick(PyObject *module, PyObject *none)
{
    const horus_tick *t = horusp_ticking();
    (void)module;
    (void)none;
    return PyLong_FromUnsignedLongLong(t ? t->count : 0);
}
static PyObject *horusp_clock_budget(PyObject *module, PyObject *none)
{
    const horus_tick *t = horusp_ticking();
    (void)module;
    (void)none;
    if (!t || !t->budget_ns)
        return PyFloat_FromDouble((double)INFINITY);
    uint64_t spent = horusi_clock_of(t->scheduler) - t->now_ns;
    return PyFloat_FromDouble(((double)t->budget_ns - (double)spent) / 1e9);
}
static PyObject *horusp_clock_rng(PyObject *module, PyObject *none)
{
    static uint64_t state;
    uint64_t x;
    (void)module;
    (void)none;
    horus_tick *t = horusp_ticking();
    if (t) {
        x = horus_tick_random(t);
    } else {
        if (!state)
            state = horusi_mix(horusi_now() ^ (uint64_t)getpid() << 40);
        x = horusi_mix(state += 0x9e3779b97f4a7c15u);
    }
    return PyFloat_FromDouble((double)(x >> 11) * 0x1p-53);
}

typedef struct horusp_rate {
    PyObject_HEAD double hz, actual;
    uint64_t begin, k, slept; /* the k-th period ends at begin + floor(k * 10^9 / hz) */
} horusp_rate;
static uint64_t horusp_rate_due(const horusp_rate *r, uint64_t k)
{
    uint64_t whole = (uint64_t)((double)k / r->hz);
    double rest = (double)k - (double)whole * r->hz; /* of a second's periods */
    return r->begin + whole * 1000000000u + (uint64_t)(rest * 1e9 / r->hz);
}
static void horusp_rate_restart(horusp_rate *r)
{
    r->begin = r->slept = horusi_now();
    r->k = 0;
}
static PyObject *horusp_rate_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static horusp_sig sig = {"Rate", 1, 1, 1, {{"hz", 0}}};
    PyObject *v[1];
    double hz;
    if (!horusp_args_tuple(&sig, args, kw, v) || !horusp_hertz(v[0], "hz", &hz))
        return NULL;
    if (!(hz >= 1e-6 && hz <= 1e6)) {
        horusp_refuse(HORUSP_VALUE_ERROR, "hz must be above 0 (0.000001 to 1000000), not %R", v[0]);
        return NULL;
    }
    horusp_rate *r = (horusp_rate *)type->tp_alloc(type, 0);
    if (r) {
        r->hz = r->actual = hz;
        horusp_rate_restart(r);
    }
    return (PyObject *)r;
}
static PyObject *horusp_rate_sleep(PyObject *self, PyObject *none)
{
    horusp_rate *r = (horusp_rate *)self;
    uint64_t due = horusp_rate_due(r, r->k + 1), now = horusi_now();
    (void)none;
    if (now >= horusp_rate_due(r, r->k + 2)) { /* late by a period: to the newest phase */
        r->k = (uint64_t)((double)(now - r->begin) * r->hz / 1e9);
        due = horusp_rate_due(r, r->k);
    } else {
        r->k++;
    }
    while (now < due) {
        uint64_t until = due - now > 100000000u ? now + 100000000u : due;
        Py_BEGIN_ALLOW_THREADS horusi_sleep_until(until);
        Py_END_ALLOW_THREADS if (PyErr_CheckSignals() < 0) return NULL;
        now = horusi_now();
    }
    if (now > r->slept)
        r->actual += 0.1 * (1e9 / (double)(now - r->slept) - r->actual);
    r->slept = now;
    Py_RETURN_NONE;
}
static PyObject *horusp_rate_late(PyObject *self, PyObject *none)
{
    horusp_rate *r = (horusp_rate *)self;
    (void)none;
    return PyBool_FromLong(horusi_now() > horusp_rate_due(r, r->k + 1));
}
static PyObject *horusp_rate_reset(PyObject *self, PyObject *none)
{
    (void)none;
    horusp_rate_restart((horusp_rate *)self);
    Py_RETURN_NONE;
}
static PyObject *horusp_rate_actual(PyObject *self, PyObject *none)
{
    (void)none;
    return PyFloat_FromDouble(((horusp_rate *)self)->actual);
}
static PyObject *horusp_rate_target(PyObject *self, PyObject *none)
{
    (void)none;
    return PyFloat_FromDouble(((horusp_rate *)self)->hz);
}
static PyObject *horusp_rate_period(PyObject *self, PyObject *none)
{
    (void)none;
    return PyFloat_FromDouble(1 / ((horusp_rate *)self)->hz);
}
static PyMethodDef horusp_rate_methods[] = {
    {"sleep", horusp_rate_sleep, METH_NOARGS,
     "sleep($self)\n--\n\nSleeps until the period ends. Periods keep their phase for ever; one "
     "that comes "
     "late by more than a period is left out."},
    {"actual_hz", horusp_rate_actual, METH_NOARGS,
     "actual_hz($self)\n--\n\nThe rate of the last periods, smoothed."},
    {"target_hz", horusp_rate_target, METH_NOARGS, "target_hz($self)\n--\n\nThe rate asked for."},
    {"period", horusp_rate_period, METH_NOARGS, "period($self)\n--\n\nSeconds."},
    {"is_late", horusp_rate_late, METH_NOARGS,
     "is_late($self)\n--\n\nTrue if this period is over already."},
    {"reset", horusp_rate_reset, METH_NOARGS,
     "reset($self)\n--\n\nBegins anew now, after a long pause."},
    {NULL, NULL, 0, NULL}};
static PyTypeObject horusp_rate_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus.Rate",
    .tp_basicsize = sizeof(horusp_rate),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Rate(hz)\n--\n\nKeeps a loop at a rate: rate.sleep() once in each turn.",
    .tp_new = horusp_rate_new,
    .tp_methods = horusp_rate_methods,
};

/* Defaults of a node's attributes, Miss, NodeState, and what must be done at the end. */
static int horusp_scheduler_init(PyObject *module)
{
    static const char source[] =
        "import enum\n"
        "class Miss:\n"
        "    'What a Node does after a miss: on_miss='\n"
        "    WARN, SKIP, SAFE_MODE, STOP = 'warn', 'skip', 'safe_mode', 'stop'\n"
        "class NodeState(str, enum.Enum):\n"
        "    'Of a node: NodeInfo.state'\n"
        "    UNINITIALIZED, INITIALIZING, RUNNING = 'uninitialized', 'initializing', 'running'\n"
        "    STOPPING, STOPPED, ERROR, CRASHED = 'stopping', 'stopped', 'error', 'crashed'\n"
        "    __str__ = str.__str__\n"
        "Miss.__module__ = NodeState.__module__ = 'horus'\n";
    horusp_interpreter = PyInterpreterState_Get();
    if (PyType_Ready(&horusp_kept_type) < 0)
        return -1;
    if (pthread_atfork(NULL, NULL, horusp_in_child) != 0) {
        PyErr_NoMemory();
        return -1;
    }
    PyObject *names = PyDict_New(), *done = NULL, *stop = NULL, *atexit = NULL, *r = NULL;
    if (names && PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) == 0)
        done = PyRun_String(source, Py_file_input, names, names);
    if (done)
        stop = PyObject_GetAttrString(module, "_stop_all");
    if (stop && (atexit = PyImport_ImportModule("atexit")))
        r = PyObject_CallMethod(atexit, "register", "O", stop);
    static const char *const types[] = {"Miss", "NodeState"};
    bool ok = r != NULL;
    for (int i = 0; ok && i < 2; i++) {
        PyObject *type = horusp_ref(PyDict_GetItemString(names, types[i]));
        ok = type && PyModule_AddObject(module, types[i], type) == 0;
    }
    for (int i = 0; ok && i < HORUSP_N_COUNT; i++) {
        PyObject *value = i == HORUSP_N_RATE       ? PyLong_FromLong(30)
                          : i == HORUSP_N_ORDER    ? PyLong_FromLong(0)
                          : i == HORUSP_N_CAPACITY ? PyLong_FromLong(1024)
                          : i == HORUSP_N_COMPUTE  ? horusp_ref(Py_False)
                                                   : horusp_ref(Py_None);
        bool method = i == HORUSP_N_TICK || i == HORUSP_N_INIT || i == HORUSP_N_SHUTDOWN;
        ok = value && (method || PyDict_SetItemString(horusp_node_type.tp_dict,
                                                      horusp_node_names[i], value) == 0);
        Py_XDECREF(value);
    }
    PyType_Modified(&horusp_node_type);
    Py_XDECREF(names);
    Py_XDECREF(done);
    Py_XDECREF(stop);
    Py_XDECREF(atexit);
    Py_XDECREF(r);
    return ok ? 0 : -1;
}

/* ------------------------------------------------------------------------------------ >>backends
 *
 * What runs models: a table of the C library's for each back end, whose calls take the interpreter's lock
 * and call an object. ONNX Runtime and PyTorch are such objects, better said in Python, and so is what
 * reads the parameters of >>inference. */
/* In pieces: a compiler need not take a string of more than 4095 bytes. */
static const char *const horusp_infer_source[] = {
    "import collections.abc, functools, numbers, os, reprlib, types, warnings\n"
    "def nothing(text):\n"
    "    pass\n"
    "def how(on_load, **given):\n" /* it knows no operator, and may be kept */
    "    announce = functools.partial(on_load, given['model']) if on_load else nothing\n"
    "    return types.SimpleNamespace(announce=announce, **given)\n"
    /* ---- parameters: any value may be a str, a number or a bool */
    "brief = reprlib.Repr()\n"
    "brief.maxlevel = 2\n" /* lists of aliases of lists of aliases take for ever otherwise */
    "def show(v):\n"
    "    try:\n"
    "        return brief.repr(v)\n"
    "    except Exception:\n" /* an int of thousands of digits */
    "        return f'<{type(v).__name__}>'\n"
    "def read(path, bad):\n"
    "    try:\n"
    "        import yaml\n"
    "    except ImportError:\n"
    "        raise ImportError('horus: a parameter file needs PyYAML, which is not installed: pip "
    "'\n"
    "                          'install pyyaml (a dict needs nothing)') from None\n"
    "    try:\n"
    "        with open(path, 'rb') as file:\n"
    "            return yaml.safe_load(file)\n"
    "    except OSError as e:\n"
    "        bad(f'params: {os.fsdecode(path)!r} cannot be read: {e.strerror}')\n"
    "    except Exception as e:\n" /* yaml.YAMLError, ValueError of a date, RecursionError */
    "        bad(f'params: {os.fsdecode(path)!r} is no YAML: {\" \".join(str(e).split())[:300]}')\n"
    "    return {}\n"
    "def plain(v):\n" /* numpy.bool_ is no bool */
    "    return v.item() if type(v).__module__ == 'numpy' and getattr(v, 'ndim', 1) == 0 else v\n"
    /* methods, not functions within one: from 3.12 on the interpreter dies if memory for such a one is
     * missing */
    "class Reader:\n"
    "    def __init__(self):\n"
    "        self.problems, self.bare = [], []\n"
    "        self.bad = self.problems.append\n"
    "    def text(self, where, v):\n"
    "        v = plain(v)\n"
    "        if isinstance(v, os.PathLike):\n"
    "            v = os.fspath(v)\n"
    "        if isinstance(v, bool):\n"
    "            v = int(v)\n"
    "        try:\n"
    "            if v is None:\n"
    "                return ''\n"
    "            if isinstance(v, numbers.Integral):\n"
    "                v = str(int(v))\n"
    "            elif isinstance(v, numbers.Real):\n"
    "                v = str(int(v) if v == int(v) else float(v))\n"
    "            if isinstance(v, str) and '\\0' not in v:\n"
    "                v.encode()\n"
    "                return str(v)\n"
    "        except (ValueError, OverflowError):\n"
    "            pass\n"
    "        self.bad(f'{where}: {show(v)} is no text or number')\n"
    "    def flag(self, name, v):\n"
    "        v = plain(v)\n"
    "        if isinstance(v, str):\n"
    "            v = {'true': True, 'yes': True, 'on': True, '1': True, 'false': False, 'no': "
    "False,\n"
    "                 'off': False, '0': False}.get(v.lower(), v)\n"
    "        if isinstance(v, (bool, numbers.Real)) and v in (0, 1):\n"
    "            return bool(v)\n"
    "        self.bad(f'{name}: {show(v)} is neither true nor false')\n"
    "    def names(self, where, v):\n"
    "        if isinstance(v, (str, numbers.Real)):\n"
    "            self.bare.append(f'{where}: {show(v)} is taken as a list of one name')\n"
    "            v = [v]\n"
    "        if not isinstance(v, collections.abc.Sequence) or isinstance(v, (bytes, bytearray)):\n"
    "            self.bad(f'{where}: {show(v)} is no list of names')\n"
    "            return []\n"
    "        found = []\n"
    "        for n in v:\n"
    "            n = self.text(where, n)\n"
    "            if n is not None:\n"
    "                found.append(n)\n"
    "        return found\n"
    "    def mapping(self, name, v, value):\n"
    "        if not isinstance(v, collections.abc.Mapping):\n"
    "            self.bad(f'{name}: {show(v)} is no map from models to values')\n"
    "            return []\n"
    "        pairs = []\n"
    "        for k, x in v.items():\n"
    "            key = self.text(name, k)\n"
    "            x = None if key is None else value(f'{name}: model {key}', x)\n"
    "            if x is not None:\n"
    "                pairs.append((key, x))\n"
    "        return pairs\n",
    "    def value(self, name, kind, v):\n"
    "        if kind is None:\n"
    "            self.bad(f'{show(name)} is no parameter: did you mean {nearest(name)!r}?')\n"
    "        elif v is None:\n" /* as if it were not there */
    "            pass\n"
    "        elif kind == 's':\n"
    "            return self.text(name, v)\n"
    "        elif kind == 'm':\n"
    "            return self.mapping(name, v, self.text)\n"
    "        elif kind == 'l':\n"
    "            return self.mapping(name, v, self.names)\n"
    "        elif kind == 'n':\n"
    "            return self.names(name, v)\n"
    "        else:\n"
    "            return self.flag(name, v)\n"
    "    def all(self, given, more):\n"
    "        if isinstance(given, (str, bytes, os.PathLike)):\n"
    "            given = read(given, self.bad)\n"
    "        if not isinstance(given, collections.abc.Mapping):\n"
    "            if given is not None or not more:\n"
    "                self.bad(f'params: {show(given)} is no dict of parameters, nor the path of a "
    "'\n"
    "                         'YAML file of them')\n"
    "            given = {}\n"
    "        inner = given.get('inference')\n"
    "        if isinstance(inner, collections.abc.Mapping):\n" /* the page's block around it */
    "            given = inner\n"
    "        block, out = {}, {}\n"
    "        for k, v in given.items():\n"
    "            block[k if isinstance(k, str) else show(k)] = v\n"
    "        block.update(more)\n"
    "        for name, v in block.items():\n"
    "            v = self.value(name, self.kinds.get(name, 'b' if name == 'transmit_on_host' else "
    "None), v)\n"
    "            if v is not None:\n"
    "                out[name] = v\n"
    "        host = out.pop('transmit_on_host', None)\n"
    "        if host is not None and out.get('transmit_on_cuda') is host:\n"
    "            self.bad(f'transmit_on_host and transmit_on_cuda are both {host}: leave one of "
    "them out')\n"
    "        elif host is not None:\n"
    "            out['transmit_on_cuda'] = not host\n"
    "        return out\n"
    "def parameters(given, more, kinds):\n" /* ({name: what C takes}, problems) */
    "    reader = Reader()\n"
    "    reader.kinds = kinds\n"
    "    out = reader.all(given, more)\n"
    "    for line in reader.bare:\n"
    "        warnings.warn(line, UserWarning, 2)\n"
    "    return out, reader.problems\n",
    /* ---- ONNX Runtime: the installed package, whose library is linked into it. What is bound is
     * addresses in the pool; its own objects below io_binding() are used, for the wrappers around them
     * take longer than a small model. */
    "class Onnx:\n"
    "    raw = True\n"
    "    types = {'float': 'float32', 'double': 'float64'}\n"
    "    def __init__(self, how, trt=False):\n"
    "        import numpy, onnxruntime as ort\n"
    "        options = ort.SessionOptions()\n"
    "        if how.threads:\n"
    "            options.intra_op_num_threads = how.threads\n"
    "        if how.models > 1:\n" /* threads that spin take the others' processors */
    "            options.add_session_config_entry('session.intra_op.allow_spinning', '0')\n"
    "        there = ort.get_available_providers()\n"
    "        name = 'TensorrtExecutionProvider' if trt else 'CUDAExecutionProvider'\n"
    "        wanted = [] if how.infer_on_cpu or name not in there else [(name, "
    "self.gpu_options(how, trt))]\n"
    "        if wanted and trt and 'CUDAExecutionProvider' in there:\n"
    "            wanted.append(('CUDAExecutionProvider', self.gpu_options(how, False)))\n"
    "        if not wanted and how.device is not None:\n"
    "            raise Refused(f'device_map: no GPU can be used: {name} is not in onnxruntime '\n"
    "                          f'{ort.__version__}. Leave it out')\n"
    "        self.session = ort.InferenceSession(how.path, options,\n"
    "                                            providers=wanted + ['CPUExecutionProvider'])\n"
    "        self.gpu = name in self.session.get_providers()\n"
    "        if not self.gpu and (trt or how.device is not None):\n"
    "            raise Refused(('backend: trt needs a GPU and TensorRT: \"onnxrt\" works' if trt "
    "else\n"
    "                           'device_map: no GPU can be used: leave it out') +\n"
    "                          f' ({name} is listed, but not there)')\n"
    "        self.inputs = [self.describe(x) for x in self.session.get_inputs()]\n"
    "        self.outputs = [self.describe(x) for x in self.session.get_outputs()]\n"
    "        self.cpu = ort.OrtDevice.make('cpu', 0)._get_c_device()\n"
    "        self.binding = self.session.io_binding()._iobinding\n"
    "        self.options = ort.RunOptions()\n"
    "        self.bound = [None] * (len(self.inputs) + len(self.outputs))\n"
    "        self.dtypes = [16 if d == 'bfloat16' else\n" /* ONNX's number of it */
    "                       getattr(numpy, 'bool_' if d == 'bool' else d, None)\n"
    "                       for _, d, _ in self.inputs + self.outputs]\n"
    "    def gpu_options(self, how, trt):\n"
    "        device = {'device_id': str(how.device or 0)}\n"
    "        if not trt:\n"
    "            return device\n"
    "        said = f'an engine for GPU {how.device or 0} is '\n"
    "        try:\n" /* of the model its name says only how its tensors are called */
    "            place, made = engines(how.path)\n"
    "            device.update(trt_engine_cache_enable='1', trt_engine_cache_path=place)\n"
    "            said += (f'built (minutes), and kept in {place}' if made else\n"
    "                     f'taken from {place}, or built there: minutes')\n"
    "        except Failed as e:\n"
    "            device.update(trt_engine_cache_enable='0')\n"
    "            said += f'built (minutes), and cannot be kept: {e}'\n"
    "        device.update(trt_fp16_enable=str(int(how.enable_fp16)))\n"
    "        if how.dla_core is not None:\n"
    "            device.update(trt_dla_enable='1', trt_dla_core=str(how.dla_core))\n"
    "        if how.profile:\n"
    "            device.update(zip(('trt_profile_min_shapes', 'trt_profile_opt_shapes',\n"
    "                               'trt_profile_max_shapes'), how.profile))\n"
    "        how.announce(said)\n"
    "        return device\n",
    "    def describe(self, x):\n"
    "        kind = x.type[7:-1] if x.type.startswith('tensor(') else x.type\n"
    "        shape = [n if isinstance(n, int) and n >= 0 else None for n in x.shape or []]\n"
    "        return x.name, self.types.get(kind, kind), shape\n"
    "    def run(self, inputs, outputs):\n" /* each: address, shape; None: the runtime makes it */
    "        bound, count, made = self.bound, len(inputs), False\n"
    "        for i, x in enumerate(inputs):\n"
    "            if bound[i] != x:\n"
    "                bound[i] = None\n"
    "                self.binding.bind_input(self.inputs[i][0], self.cpu, self.dtypes[i], x[1], "
    "x[0])\n"
    "                bound[i] = None if self.gpu else x\n" /* which copies it when it is bound */
    "        for i, x in enumerate(outputs):\n"
    "            if x is None:\n"
    "                self.binding.bind_output(self.outputs[i][0], self.cpu)\n"
    "                made = True\n"
    "            elif bound[count + i] != x:\n"
    "                bound[count + i] = None\n"
    "                self.binding.bind_output(self.outputs[i][0], self.cpu, self.dtypes[count + "
    "i],\n"
    "                                         x[1], x[0])\n"
    "                bound[count + i] = x\n"
    "        self.session._sess.run_with_iobinding(self.binding, self.options)\n"
    "        if made:\n"
    "            got = self.binding.get_outputs()\n"
    "            return [got[i].numpy() if x is None else None for i, x in enumerate(outputs)]\n"
    "    def abort(self, now):\n"
    "        self.options.terminate = now\n"
    "def onnx_probe(how):\n"
    "    try:\n"
    "        import onnxruntime\n"
    "    except ImportError:\n"
    "        raise Refused('onnxruntime is not installed: pip install onnxruntime') from None\n"
    "def trt_probe(how):\n"
    "    onnx_probe(how)\n"
    "    import onnxruntime as ort\n"
    "    if 'TensorrtExecutionProvider' not in ort.get_available_providers():\n"
    "        raise Refused('trt needs a GPU and TensorRT: TensorrtExecutionProvider is not in '\n"
    "                      f'onnxruntime {ort.__version__}. \"onnxrt\" works')\n"
    "def trt_load(how):\n"
    "    return Onnx(how, True)\n",
    /* ---- OpenVINO: the C library of the installed package, unless one is named */
    "def openvino():\n"
    "    import glob, importlib.util\n"
    "    spec = importlib.util.find_spec('openvino')\n"
    "    for place in spec and spec.submodule_search_locations or ():\n"
    "        for path in glob.glob(os.path.join(glob.escape(place), 'libs', "
    "'libopenvino_c.so*')):\n"
    "            return None if os.environ.get('OPENVINO_DYLIB_PATH') else path\n",
    /* ---- PyTorch: TorchScript (.pt, .pth) and archives of torch.export (.pt2) */
    "class Torch:\n"
    "    def __init__(self, how):\n"
    "        import torch\n"
    "        self.torch = torch\n"
    "        self.gpu = torch.cuda.is_available() and not how.infer_on_cpu\n"
    "        self.device = f'cuda:{how.device or 0}' if self.gpu else 'cpu'\n"
    "        if how.path.endswith('.pt2'):\n"
    "            program = torch.export.load(how.path)\n"
    "            self.module, sign = program.module().to(self.device), program.graph_signature\n"
    "            known = {n.name: n.meta.get('val') for n in program.graph.nodes}\n"
    "            output = [n for n in program.graph.nodes if n.op == 'output'][0]\n"
    "            values = {a.name: a.meta.get('val') for a in output.args[0] if hasattr(a, "
    "'meta')}\n"
    "            self.inputs = [self.describe(n, known.get(n)) for n in sign.user_inputs]\n"
    "            self.outputs = [self.describe(n, values.get(n)) for n in sign.user_outputs]\n"
    "            return\n"
    "        with warnings.catch_warnings():\n"
    "            warnings.simplefilter('ignore', DeprecationWarning)\n"
    "            self.module = torch.jit.load(how.path, map_location=self.device).eval()\n"
    "        arguments = self.module.forward.schema.arguments[1:]\n"
    "        needed = sum(not a.has_default_value() for a in arguments)\n"
    "        count = min(max(how.inputs, needed), len(arguments))\n"
    "        self.inputs = [(a.name, None, None) for a in arguments[:count]]\n"
    "        result = [r.type for r in self.module.forward.schema.returns]\n"
    "        if len(result) == 1 and result[0].kind() == 'TupleType':\n"
    "            result = result[0].elements()\n"
    "        elif len(result) == 1 and result[0].kind() != 'TensorType':\n"
    "            result = [None] * how.outputs\n" /* a list or dict: as many as it will give */
    "        self.outputs = [(f'output {i}', None, None) for i in range(len(result))]\n",
    "    def describe(self, name, value):\n"
    "        if not isinstance(value, self.torch.Tensor):\n"
    "            return name, None, None\n"
    "        return (name, str(value.dtype)[6:],\n"
    "                [n if isinstance(n, int) else None for n in value.shape])\n"
    "    def run(self, inputs, outputs):\n"
    "        with self.torch.inference_mode():\n"
    "            given = [t.to_torch() for t in inputs]\n"
    "            if self.gpu:\n"
    "                given = [t.to(self.device) for t in given]\n"
    "            made = self.module(*given)\n"
    "            if isinstance(made, self.torch.Tensor):\n"
    "                made = [made]\n"
    "            elif isinstance(made, dict):\n"
    "                made = list(made.values())\n"
    "            return [t.detach().cpu().contiguous() for t in made]\n"
    "def torch_probe(how):\n"
    "    try:\n"
    "        import torch\n"
    "    except ImportError:\n"
    "        raise Refused('torch is not installed: pip install torch') from None\n"
    "    asked = [name for name in ('input_on_cuda', 'output_on_cuda') if getattr(how, name)]\n"
    "    count = torch.cuda.device_count() if torch.cuda.is_available() else 0\n"
    "    if asked and not count:\n"
    "        raise Refused(f'{\", \".join(asked)}: torch finds no GPU: false works, or leave it "
    "out')\n"
    "    if how.device is not None and how.device >= count:\n"
    "        raise Refused(f'device_map: torch finds {count} GPUs: leave it out')\n"};

static PyObject *horusp_infer_compile(PyObject *names)
{
    PyObject *text = PyUnicode_FromString(""), *code = NULL, *done = NULL;
    for (size_t i = 0; text && i < sizeof horusp_infer_source / sizeof *horusp_infer_source; i++) {
        PyObject *more = PyUnicode_FromString(horusp_infer_source[i]);
        PyUnicode_Append(&text, more);
        Py_XDECREF(more);
    }
    const char *source = text ? PyUnicode_AsUTF8(text) : NULL;
    if (source)
        code = Py_CompileString(source, "<horus inference>", Py_file_input);
    if (code)
        done = PyEval_EvalCode(code, names, names);
    Py_XDECREF(code);
    Py_XDECREF(text);
    return done;
}
/* Kinds: s text, m a map to text, l to lists, n a list of names, b a bool, c one that may adapt. */
static const struct {
    const char *name;
    char kind;
    size_t offset;
} horusp_infer_fields[] = {
#define HORUSP_X(name, kind)                                                                       \
    {                                                                                              \
#name, kind, offsetof(horus_infer_desc, name)                                              \
    }
    HORUSP_X(backend, 's'),
    HORUSP_X(backend_map, 'm'),
    HORUSP_X(model_path_map, 'm'),
    HORUSP_X(pre_processor_map, 'l'),
    HORUSP_X(inference_map, 'l'),
    HORUSP_X(in_tensor_names, 'n'),
    HORUSP_X(out_tensor_names, 'n'),
    HORUSP_X(temporal_map, 'm'),
    HORUSP_X(activation_map, 'm'),
    HORUSP_X(device_map, 'm'),
    HORUSP_X(dla_core_map, 'm'),
    HORUSP_X(trt_opt_profile, 'l'),
    HORUSP_X(infer_on_cpu, 'b'),
    HORUSP_X(enable_fp16, 'b'),
    HORUSP_X(is_engine_path, 'b'),
    HORUSP_X(dynamic_input_dims, 'b'),
    HORUSP_X(input_on_cuda, 'c'),
    HORUSP_X(output_on_cuda, 'c'),
    HORUSP_X(transmit_on_cuda, 'c'),
    HORUSP_X(parallel_inference, 'c'),
    HORUSP_X(enable_cuda_graphs, 'c'),
    HORUSP_X(dla_gpu_fallback, 'c'),
#undef HORUSP_X
};
enum { HORUSP_INFER_FIELDS = sizeof horusp_infer_fields / sizeof *horusp_infer_fields };

/* The parameter whose name is nearest. */
static PyObject *horusp_infer_nearest(PyObject *self, PyObject *name)
{
    const char *text = PyUnicode_AsUTF8(name);
    (void)self;
    if (!text) { /* no UTF-8: near to none */
        if (PyErr_ExceptionMatches(PyExc_MemoryError))
            return NULL;
        PyErr_Clear();
        text = "";
    }
    horusi_nearest n = {text, NULL, 0};
    horusi_is_it(&n, "transmit_on_host");
    for (int k = 0; k < HORUSP_INFER_FIELDS; k++)
        horusi_is_it(&n, horusp_infer_fields[k].name);
    return PyUnicode_FromString(n.best);
}
/* The folder for engines of a model, and whether it is new. */
static PyObject *horusp_infer_engines(PyObject *self, PyObject *path)
{
    char out[600];
    bool made = false;
    horus_result r;
    const char *text = PyUnicode_AsUTF8(path);
    (void)self;
    if (!text)
        return NULL;
    PyThreadState *state = PyEval_SaveThread();
    r = horusi_folder_of(text, out, sizeof out, &made);
    PyEval_RestoreThread(state);
    if (r != HORUS_OK)
        return horusp_error(r);
    return Py_BuildValue("(sO)", out, made ? Py_True : Py_False);
}
static PyMethodDef horusp_infer_ours[] = {{"nearest", horusp_infer_nearest, METH_O, NULL},
                                          {"engines", horusp_infer_engines, METH_O, NULL}};
static bool horusp_infer_add_ours(PyObject *names)
{
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof horusp_infer_ours / sizeof *horusp_infer_ours; i++) {
        PyObject *f = PyCFunction_New(&horusp_infer_ours[i], NULL);
        ok = f && PyDict_SetItemString(names, horusp_infer_ours[i].ml_name, f) == 0;
        Py_XDECREF(f);
    }
    return ok;
}
/* One of those; a borrowed reference. */
static PyObject *horusp_infer_helper(const char *name)
{
    static PyObject *helpers;
    if (!helpers) {
        PyObject *names = PyDict_New(), *done = NULL;
        if (names && PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) == 0 &&
            PyDict_SetItemString(names, "Refused", horusp.by_code[-HORUS_E_UNSUPPORTED]) == 0 &&
            PyDict_SetItemString(names, "Failed", horusp.error) == 0 &&
            horusp_infer_add_ours(names))
            done = horusp_infer_compile(names);
        if (!done) {
            Py_XDECREF(names);
            return NULL;
        }
        Py_DECREF(done);
        if (helpers) /* another thread was faster */
            Py_DECREF(names);
        else
            helpers = names;
    }
    PyObject *o = NULL;
    (void)horusp_dict_has(helpers, name, &o);
    return o;
}

typedef struct horusp_infer {
    horusp_node node; /* it is one */
    horus_infer *op;  /* NULL: closed, or not made */
    horus_infer_desc d;
    PyObject *kept;     /* a list of what `d` points into */
    const char **parts; /* names of the models, then NULL: for a scheduler's figures */
    PyObject *on_load;  /* or NULL */
    PyObject *given;    /* arrays whose memory the present frame is in, or NULL */
    PyObject *cause;    /* the first exception of a back end in the present call, or NULL */
    bool busy;          /* a call goes on, without the lock */
} horusp_infer;
static PyTypeObject horusp_infer_type;
static PyObject *horusp_infer_error; /* horus.InferenceError */

/* Runs a call of the C operator: nobody holds the lock, and back ends take it for theirs. */
#define HORUSP_UNLOCKED(call)                                                                      \
    do {                                                                                           \
        PyThreadState *outer_ = horusp_thread;                                                     \
        horusp_thread = PyEval_SaveThread();                                                       \
        call;                                                                                      \
        PyEval_RestoreThread(horusp_thread);                                                       \
        horusp_thread = outer_;                                                                    \
    } while (0)

/* ---- errors: each is an InferenceError, thus a ValueError, and of its code's class */

static PyObject *horusp_infer_raise(horusp_infer *o, horus_result r, const char *text)
{
    static PyObject *types[32]; /* made when one is needed */
    if (o && o->cause && !PyObject_TypeCheck(o->cause, (PyTypeObject *)PyExc_Exception)) {
        PyErr_SetObject((PyObject *)Py_TYPE(o->cause),
                        o->cause); /* KeyboardInterrupt, SystemExit */
        Py_CLEAR(o->cause);
        return NULL;
    }
    int k = r < 0 && -(int)r < 32 ? -(int)r : -(int)HORUS_E_ARG;
    if (r == HORUS_E_ARG) {
        types[k] = horusp_infer_error;
    } else if (!types[k] && horusp.by_code[k]) {
        char full[64];
        const char *base = ((PyTypeObject *)horusp.by_code[k])->tp_name, *dot = strrchr(base, '.');
        (void)snprintf(full, sizeof full, "horus.Inference%.40s", dot ? dot + 1 : base);
        PyObject *bases = PyTuple_Pack(2, horusp_infer_error, horusp.by_code[k]);
        PyObject *made = bases ? PyErr_NewException(full, bases, NULL) : NULL;
        Py_XDECREF(bases);
        if (!made)
            return NULL;
        types[k] = made;
    }
    PyObject *words = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    PyObject *type = types[k] ? types[k] : horusp_infer_error;
    PyObject *made = words ? PyObject_CallOneArg(type, words) : NULL;
    if (made) {
        if (o && o->cause) {
            PyException_SetCause(made, o->cause);
            o->cause = NULL;
        }
        PyErr_SetObject(type, made);
    }
    Py_XDECREF(made);
    Py_XDECREF(words);
    return NULL;
}
/* What horus_last_error() says, unless it is of the operator's use, not of its work. */
static PyObject *horusp_infer_failed(horusp_infer *o, horus_result r)
{
    if (r == HORUS_E_BUSY || r == HORUS_E_CLOSED || r == HORUS_E_DETACHED || r == HORUS_INTERRUPTED)
        return horusp_error(r);
    return horusp_infer_raise(o, r, horus_last_error());
}

/* ---- back ends */

/* A back end: lives as long as the process. */
typedef struct horusp_backend {
    horus_infer_backend table;
    PyObject *load, *probe; /* probe may be NULL */
    char name[32];
    PyObject *extensions;
} horusp_backend;
/* A model of one. */
typedef struct horusp_model {
    PyObject *object, *run, *abort; /* abort may be NULL */
    horusp_infer *op;
    uint32_t takes, gives; /* as the maps say, of what the object does not say itself */
    bool raw, gpu;         /* raw: takes addresses, not tensors */
} horusp_model;

/* The exception that is set, as words and as a result; it is kept as the cause. */
static horus_result horusp_infer_caught(horusp_infer *op, char *why, size_t room,
                                        horus_result otherwise)
{
    horus_result r = PyErr_ExceptionMatches(horusp.by_code[-HORUS_E_UNSUPPORTED]) ||
                             PyErr_ExceptionMatches(PyExc_ImportError)
                         ? HORUS_E_UNSUPPORTED
                     : PyErr_ExceptionMatches(PyExc_MemoryError) ? HORUS_E_MEMORY
                                                                 : otherwise;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (value && trace)
        (void)PyException_SetTraceback(value, trace);
    PyObject *text = value ? PyObject_Str(value) : NULL;
    const char *s = text ? PyUnicode_AsUTF8(text) : NULL;
    if (type && PyErr_GivenExceptionMatches(type, horusp.error))
        (void)snprintf(why, room, "%s", s ? s : "");
    else
        (void)snprintf(why, room, "%s: %s", type ? ((PyTypeObject *)type)->tp_name : "?",
                       s ? s : "");
    for (char *c = why; *c; c++) /* reports have a line for each problem */
        if (*c == '\n')
            *c = ' ';
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    if (value && !op->cause)
        op->cause = value;
    else
        Py_XDECREF(value);
    return r;
}
static PyObject *horusp_choice_object(horus_choice c)
{
    return horusp_ref(c == HORUS_AUTO ? Py_None : c == HORUS_YES ? Py_True : Py_False);
}
/* What load() is told. */
static PyObject *horusp_infer_how(const horus_infer_load *how)
{
    const horus_infer_desc *d = how->desc;
    PyObject *make = horusp_infer_helper("how"), *none = PyTuple_New(0), *r = NULL;
    PyObject *profile = how->profile ? PyList_New(0) : horusp_ref(Py_None), *kw = NULL;
    PyObject *say = ((const horusp_infer *)d->user)->on_load;
    unsigned models = 0;
    for (const horus_infer_entry *e = d->model_path_map; e->model; e++)
        models++;
    for (const char *const *p = how->profile; p && *p && profile; p++) {
        PyObject *item = PyUnicode_FromString(*p);
        if (!item || PyList_Append(profile, item) < 0)
            Py_CLEAR(profile);
        Py_XDECREF(item);
    }
    if (profile)
        kw = Py_BuildValue(
            "{ss ss sI sI sI sN sN sO sO sI sO sO sO sO sN sN sN sN sN}", "model", how->model,
            "path", how->path, "inputs", how->inputs, "outputs", how->outputs, "models", models,
            "device", how->device < 0 ? horusp_ref(Py_None) : PyLong_FromLong(how->device),
            "dla_core", how->dla_core < 0 ? horusp_ref(Py_None) : PyLong_FromLong(how->dla_core),
            "profile", profile, "on_load", say ? say : Py_None, "threads", d->threads,
            "infer_on_cpu", d->infer_on_cpu ? Py_True : Py_False, "enable_fp16",
            d->enable_fp16 ? Py_True : Py_False, "is_engine_path",
            d->is_engine_path ? Py_True : Py_False, "dynamic_input_dims",
            d->dynamic_input_dims ? Py_True : Py_False, "input_on_cuda",
            horusp_choice_object(d->input_on_cuda), "output_on_cuda",
            horusp_choice_object(d->output_on_cuda), "transmit_on_cuda",
            horusp_choice_object(d->transmit_on_cuda), "enable_cuda_graphs",
            horusp_choice_object(d->enable_cuda_graphs), "dla_gpu_fallback",
            horusp_choice_object(d->dla_gpu_fallback));
    if (kw && make && none)
        r = PyObject_Call(make, none, kw);
    Py_XDECREF(kw);
    Py_XDECREF(none);
    Py_XDECREF(profile);
    return r;
}
static horus_result horusp_infer_locked(char *why, size_t room)
{
    if (horusp_take_lock())
        return HORUS_OK;
    (void)snprintf(why, room, "the interpreter ends");
    return HORUS_E_DETACHED;
}
static horus_result horusp_on_probe(void *user, const horus_infer_load *how, char *why, size_t room)
{
    horusp_backend *b = (horusp_backend *)user;
    horus_result r = b->probe ? horusp_infer_locked(why, room) : HORUS_OK;
    if (r != HORUS_OK || !b->probe)
        return r;
    PyObject *given = horusp_infer_how(how);
    PyObject *done = given ? PyObject_CallOneArg(b->probe, given) : NULL;
    if (!done)
        r = horusp_infer_caught((horusp_infer *)how->desc->user, why, room, HORUS_E_UNSUPPORTED);
    Py_XDECREF(done);
    Py_XDECREF(given);
    horusp_give_lock();
    return r;
}
/* An attribute that may be missing: false with another exception. */
static bool horusp_may_have(PyObject *o, const char *name, PyObject **out)
{
    *out = PyObject_GetAttrString(o, name);
    if (!*out && !PyErr_ExceptionMatches(PyExc_AttributeError))
        return false;
    PyErr_Clear();
    if (*out == Py_None)
        Py_CLEAR(*out);
    return true;
}
static void horusp_model_free(horusp_model *m)
{
    Py_XDECREF(m->object);
    Py_XDECREF(m->run);
    Py_XDECREF(m->abort);
    PyMem_Free(m);
}
static horusp_model *horusp_model_new(horusp_backend *b, const horus_infer_load *how)
{
    horusp_model *m = (horusp_model *)PyMem_Calloc(1, sizeof *m);
    PyObject *given = m ? horusp_infer_how(how) : NULL, *raw = NULL, *gpu = NULL;
    if (!m) {
        PyErr_NoMemory();
        return NULL;
    }
    m->op = (horusp_infer *)how->desc->user;
    m->takes = how->inputs;
    m->gives = how->outputs;
    m->object = given ? PyObject_CallOneArg(b->load, given) : NULL;
    m->run = m->object ? PyObject_GetAttrString(m->object, "run") : NULL;
    bool ok = m->run && horusp_may_have(m->object, "abort", &m->abort) &&
              horusp_may_have(m->object, "raw", &raw) && horusp_may_have(m->object, "gpu", &gpu);
    m->raw = raw == Py_True;
    m->gpu = gpu == Py_True;
    Py_XDECREF(raw);
    Py_XDECREF(gpu);
    Py_XDECREF(given);
    if (ok)
        return m;
    horusp_model_free(m);
    return NULL;
}
static horus_result horusp_on_load(void *user, const horus_infer_load *how, void **model, char *why,
                                   size_t room)
{
    horus_result r = horusp_infer_locked(why, room);
    if (r != HORUS_OK)
        return r;
    *model = horusp_model_new((horusp_backend *)user, how);
    if (!*model)
        r = horusp_infer_caught((horusp_infer *)how->desc->user, why, room, HORUS_E_CORRUPT);
    horusp_give_lock();
    return r;
}
/* (name, dtype or None, shape or None) as the C operator has it. */
static bool horusp_infer_io(PyObject *item, horus_infer_io *out)
{
    PyObject *name, *dtype, *shape;
    horus_dtype d;
    PyObject *pair = PySequence_Tuple(item);
    bool ok = pair && PyArg_ParseTuple(pair, "UOO", &name, &dtype, &shape);
    const char *text = ok ? horusp_utf8(name, NULL) : NULL;
    ok = ok && text;
    if (ok)
        horusi_text(out->name, sizeof out->name, text);
    out->dtype = out->ndim = HORUS_INFER_ANY;
    if (ok && dtype != Py_None) {
        ok = horusp_dtype(dtype, &d);
        out->dtype = ok ? (int32_t)d : out->dtype;
    }
    if (ok && shape != Py_None) {
        PyObject *list = horusp_items(shape, "a shape must be a sequence of ints, or of None");
        Py_ssize_t n = list ? PySequence_Fast_GET_SIZE(list) : 0;
        ok = list != NULL;
        if (n > HORUS_MAX_DIMS)
            ok = horusp_refuse(HORUSP_VALUE_ERROR, "it has %zd dimensions, tensors have 8 at most",
                               n) != NULL;
        out->ndim = (int32_t)n;
        for (Py_ssize_t i = 0; ok && i < n; i++) {
            PyObject *side = PySequence_Fast_GET_ITEM(list, i);
            out->shape[i] = -1;
            ok = side == Py_None || horusp_int(side, "a dimension", -1, INT64_MAX, &out->shape[i]);
        }
        Py_XDECREF(list);
    }
    Py_XDECREF(pair);
    return ok;
}
static horus_result horusp_on_io(void *model, bool output, uint32_t number, horus_infer_io *out,
                                 char *why, size_t room)
{
    horusp_model *m = (horusp_model *)model;
    const uint32_t named = output ? m->gives : m->takes;
    PyObject *list = NULL, *item = NULL;
    horus_result r = horusp_infer_locked(why, room);
    if (r != HORUS_OK)
        return HORUS_E_NOT_FOUND;
    bool ok = horusp_may_have(m->object, output ? "outputs" : "inputs", &list);
    if (ok && !list) {
        (void)snprintf(out->name, sizeof out->name, "%s%u", output ? "y" : "x", (unsigned)number);
        out->dtype = out->ndim = HORUS_INFER_ANY;
        r = number < named ? HORUS_OK : HORUS_E_NOT_FOUND;
    } else if (ok && !(item = PySequence_GetItem(list, (Py_ssize_t)number)) &&
               PyErr_ExceptionMatches(PyExc_IndexError)) {
        PyErr_Clear();
        r = HORUS_E_NOT_FOUND;
    } else if (!item ||
               !horusp_infer_io(item, out)) { /* the operator asks until it is told the end */
        r = horusp_infer_caught(m->op, why, room, HORUS_E_TYPE);
        r = item || number < named ? r : HORUS_E_NOT_FOUND;
    }
    Py_XDECREF(item);
    Py_XDECREF(list);
    horusp_give_lock();
    return r;
}
/* A tensor of the C operator's as an object with a hold of its own. */
static PyObject *horusp_infer_view(const horusp_infer *op, const horus_tensor *t, bool input)
{
    horus_tensor own = *t;
    own.readonly = input || t->readonly;
    horus_result r = horusi_second(&t->frame);
    if (r != HORUS_OK)
        return horusp_error(r);
    horusp_frame *f = (horusp_frame *)horusp_frame_of(HORUS_KIND_TENSOR, &own, NULL);
    if (f && !own.frame.pool) /* an array's memory: it lives as long as the view */
        f->hold->owner = op->given ? horusp_ref(op->given) : NULL;
    return (PyObject *)f;
}
static PyObject *horusp_infer_argument(const horusp_model *m, const horus_tensor *t, bool input)
{
    if (!t->data)
        return horusp_ref(Py_None);
    if (!m->raw)
        return horusp_infer_view(m->op, t, input);
    PyObject *shape = PyTuple_New((Py_ssize_t)t->ndim);
    for (uint32_t i = 0; shape && i < t->ndim; i++) {
        PyObject *n = PyLong_FromLongLong(t->shape[i]);
        if (!n)
            Py_CLEAR(shape);
        else
            PyTuple_SET_ITEM(shape, i, n);
    }
    return shape ? Py_BuildValue("(NN)", PyLong_FromVoidPtr(t->data), shape) : NULL;
}
static PyObject *horusp_infer_arguments(const horusp_model *m, const horus_tensor *t, uint32_t n,
                                        bool input)
{
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (uint32_t i = 0; list && i < n; i++) {
        PyObject *item = horusp_infer_argument(m, &t[i], input);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, item);
    }
    return list;
}
/* Whether a frame is one of its own, that no other output is in. */
static bool horusp_infer_is_fresh(const horusp_frame *f, const horus_infer_call *call, uint32_t i)
{
    void *data = NULL;
    uint64_t bytes;
    bool fresh = f->t.frame.pool && !horusp_is_read_only(f) && horus_tensor_is_contiguous(&f->t) &&
                 horus_frame_data(&f->t.frame, &data, &bytes) == HORUS_OK && data == f->t.data;
    for (uint32_t k = 0; k < call->output_count; k++)
        fresh = fresh && (k == i || call->outputs[k].data != data);
    return fresh;
}
/* What a back end gave for output i, in the pool; a fresh frame is taken as it is. */
static bool horusp_infer_take(const horusp_infer *op, PyObject *o, const horus_infer_call *call,
                              uint32_t i, horus_tensor *out)
{
    horus_pool *pool = op->d.pool;
    if (horusp_is_frame(o)) {
        horusp_frame *f = (horusp_frame *)o;
        if (!horusp_live(f))
            return false;
        *out = f->t;
        if (horusp_infer_is_fresh(f, call, i))
            return horus_frame_hold(&f->t.frame) == HORUS_OK || horusp_error(HORUS_E_CLOSED);
        horus_result r = horusp_copy_tensor(out, &f->t, pool);
        return r == HORUS_OK || horusp_error(r);
    }
    if (!horusp_is_ndarray(o) && PyObject_HasAttrString(o, "__dlpack__"))
        return horusp_from_dlpack(o, pool, out);
    horusp_source s;
    PyObject *keep;
    if (!horusp_source_begin(&s, o, &keep))
        return false;
    bool ok = horusp_source_copy(&s, pool, out);
    horusp_source_end(&s);
    Py_XDECREF(keep);
    return ok;
}
static bool horusp_infer_result(const horusp_model *m, horus_infer_call *call, uint32_t i,
                                PyObject *o)
{
    horus_tensor t, *to = &call->outputs[i];
    char wants[120], has[120];
    if (!horusp_infer_take(m->op, o, call, i, &t))
        return false;
    bool fits = !to->data || (to->dtype == t.dtype && to->ndim == t.ndim &&
                              memcmp(to->shape, t.shape, t.ndim * sizeof *t.shape) == 0);
    if (fits) {
        horusi_drop(to);
        *to = t;
        return true;
    }
    horusi_describe_shape(wants, sizeof wants, (int)to->ndim, to->shape, to->dtype);
    horusi_describe_shape(has, sizeof has, (int)t.ndim, t.shape, t.dtype);
    (void)horus_tensor_release(&t);
    PyErr_Format(HORUSP_VALUE_ERROR, "output %u is %s, not %s", (unsigned)i, has, wants);
    return false;
}
static bool horusp_model_run(horusp_model *m, horus_infer_call *call)
{
    PyObject *in = horusp_infer_arguments(m, call->inputs, call->input_count, true);
    PyObject *out = in ? horusp_infer_arguments(m, call->outputs, call->output_count, false) : NULL;
    PyObject *made = out ? PyObject_CallFunctionObjArgs(m->run, in, out, NULL) : NULL;
    Py_XDECREF(in);
    Py_XDECREF(out);
    bool ok = made != NULL;
    if (ok && made != Py_None) {
        PyObject *list = horusp_items(made, "run() returns a list, an array for each output, or "
                                            "None where it wrote into it");
        ok = list != NULL;
        if (ok && PySequence_Fast_GET_SIZE(list) != (Py_ssize_t)call->output_count)
            ok =
                horusp_refuse(HORUSP_VALUE_ERROR, "run() gave %zd outputs, not %u",
                              PySequence_Fast_GET_SIZE(list), (unsigned)call->output_count) != NULL;
        for (uint32_t i = 0; ok && i < call->output_count; i++) {
            PyObject *item = i < (uint32_t)PySequence_Fast_GET_SIZE(list)
                                 ? horusp_ref(PySequence_Fast_GET_ITEM(list, i))
                                 : horusp_ref(Py_None);
            ok = item == Py_None || horusp_infer_result(m, call, i, item);
            Py_DECREF(item);
        }
        Py_XDECREF(list);
    }
    Py_XDECREF(made);
    return ok;
}
static horus_result horusp_on_run(void *model, horus_infer_call *call)
{
    horusp_model *m = (horusp_model *)model;
    horus_result r = horusp_infer_locked(call->why, sizeof call->why);
    if (r != HORUS_OK)
        return r;
    if (!horusp_model_run(m, call))
        r = horusp_infer_caught(m->op, call->why, sizeof call->why, HORUS_E_SYSTEM);
    horusp_give_lock();
    return r;
}
static void horusp_on_abort(void *model, bool now)
{
    horusp_model *m = (horusp_model *)model;
    if (!m->abort || !horusp_take_lock())
        return;
    PyObject *r = PyObject_CallOneArg(m->abort, now ? Py_True : Py_False);
    if (!r)
        PyErr_WriteUnraisable(m->abort);
    Py_XDECREF(r);
    horusp_give_lock();
}
static void horusp_on_unload(void *model)
{
    horusp_model *m = (horusp_model *)model;
    if (!horusp_take_lock())
        return; /* everything ends */
    PyObject *close = NULL, *r = NULL;
    if (horusp_may_have(m->object, "close", &close) && close)
        r = PyObject_CallNoArgs(close);
    if (PyErr_Occurred())
        PyErr_WriteUnraisable(m->object);
    Py_XDECREF(r);
    Py_XDECREF(close);
    horusp_model_free(m);
    horusp_give_lock();
}
static bool horusp_on_gpu(void *model) { return ((const horusp_model *)model)->gpu; }

static bool horusp_infer_register(const char *name, uint32_t can, PyObject *extensions,
                                  PyObject *load, PyObject *probe)
{
    horusp_backend *b = (horusp_backend *)PyMem_Calloc(1, sizeof *b);
    if (!b) {
        PyErr_NoMemory();
        return false;
    }
    (void)snprintf(b->name, sizeof b->name, "%.31s", name);
    b->table = (horus_infer_backend){.name = strlen(name) > 31 ? name : b->name,
                                     .can = can,
                                     .extensions = extensions ? PyUnicode_AsUTF8(extensions) : NULL,
                                     .probe = horusp_on_probe,
                                     .load = horusp_on_load,
                                     .io_info = horusp_on_io,
                                     .run = horusp_on_run,
                                     .abort = horusp_on_abort,
                                     .unload = horusp_on_unload,
                                     .on_gpu = horusp_on_gpu,
                                     .user = b};
    horus_result r = horus_infer_register(&b->table);
    if (r != HORUS_OK) {
        PyMem_Free(b);
        (void)horusp_infer_raise(NULL, r, horus_last_error());
        return false;
    }
    b->extensions = extensions ? horusp_ref(extensions) : NULL;
    b->load = horusp_ref(load);
    b->probe = probe ? horusp_ref(probe) : NULL;
    return true;
}
/* Registers the module's own back ends, once. */
static bool horusp_infer_ready(void)
{
    static const struct {
        const char *name, *extensions, *load, *probe;
        uint32_t can;
    } own[] = {{"onnxrt", ".onnx .ort", "Onnx", "onnx_probe", HORUS_INFER_CPU | HORUS_INFER_GPU},
               {"trt", ".onnx", "trt_load", "trt_probe",
                HORUS_INFER_GPU | HORUS_INFER_CUDA | HORUS_INFER_FP16 | HORUS_INFER_DLA},
               {"torch", ".pt .pth .pt2", "Torch", "torch_probe",
                HORUS_INFER_CPU | HORUS_INFER_GPU | HORUS_INFER_CUDA}};
    static unsigned done;
    while (done < sizeof own / sizeof *own) {
        const unsigned k = done;
        PyObject *load = horusp_infer_helper(own[k].load);
        PyObject *probe = load ? horusp_infer_helper(own[k].probe) : NULL;
        PyObject *extensions = probe ? PyUnicode_FromString(own[k].extensions) : NULL;
        bool ok = extensions != NULL;
        if (ok && done == k) { /* else another thread was faster */
            ok = horusp_infer_register(own[k].name, own[k].can, extensions, load, probe);
            done += ok;
        }
        Py_XDECREF(extensions);
        if (!ok)
            return false;
    }
    return true;
}
static PyObject *horusp_register_backend(PyObject *module, PyObject *args, PyObject *kw)
{
    static char *names[] = {"name", "load", "extensions", "probe", "cpu", "gpu",
                            "cuda", "fp16", "engine",     "dla",   NULL};
    const char *name;
    PyObject *load, *extensions = Py_None, *probe = Py_None, *joined = NULL;
    int cpu = 1, gpu = 0, cuda = 0, fp16 = 0, engine = 0, dla = 0;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "sO|$OOpppppp:register_backend", names, &name, &load,
                                     &extensions, &probe, &cpu, &gpu, &cuda, &fp16, &engine, &dla))
        return NULL;
    if (!PyCallable_Check(load) || (probe != Py_None && !PyCallable_Check(probe)))
        return PyErr_Format(HORUSP_TYPE_ERROR, "register_backend(): load and probe are callable");
    if (extensions != Py_None) {
        PyObject *blank = PyUnicode_FromString(" ");
        joined = !blank                        ? NULL
                 : PyUnicode_Check(extensions) ? horusp_ref(extensions)
                                               : PyUnicode_Join(blank, extensions);
        Py_XDECREF(blank);
        if (!joined || !horusp_utf8(joined, NULL)) {
            Py_XDECREF(joined);
            return NULL;
        }
    }
    uint32_t can = (uint32_t)((cpu ? HORUS_INFER_CPU : 0) | (gpu ? HORUS_INFER_GPU : 0) |
                              (cuda ? HORUS_INFER_CUDA : 0) | (fp16 ? HORUS_INFER_FP16 : 0) |
                              (engine ? HORUS_INFER_ENGINE : 0) | (dla ? HORUS_INFER_DLA : 0));
    bool ok = horusp_infer_ready() &&
              horusp_infer_register(name, can, joined, load, probe == Py_None ? NULL : probe);
    Py_XDECREF(joined);
    if (!ok)
        return NULL;
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------------------------ >>inference
 *
 * InferenceOp is a Node over the C operator. What is said of parameters is the C library's. While the C
 * operator works nobody holds the interpreter's lock, unless a back end needs it. */

/* Zeroed memory that lives as long as the list `kept`. */
static void horusp_infer_room_end(PyObject *capsule)
{
    PyMem_Free(PyCapsule_GetPointer(capsule, NULL));
}
static void *horusp_infer_room(PyObject *kept, size_t count, size_t bytes)
{
    void *room = PyMem_Calloc(count, bytes);
    PyObject *capsule = room ? PyCapsule_New(room, NULL, horusp_infer_room_end) : PyErr_NoMemory();
    if (!capsule)
        PyMem_Free(room);
    if (!capsule || PyList_Append(kept, capsule) < 0)
        room = NULL;
    Py_XDECREF(capsule);
    return room;
}
static const char *const *horusp_infer_names(PyObject *kept, PyObject *list)
{
    size_t n = (size_t)PyList_GET_SIZE(list);
    const char **to = (const char **)horusp_infer_room(kept, n + 1, sizeof *to);
    for (size_t i = 0; to && i < n; i++)
        if (!(to[i] = PyUnicode_AsUTF8(PyList_GET_ITEM(list, (Py_ssize_t)i))))
            return NULL;
    return to;
}
/* One parameter, as parameters() has made it, into the description. */
static bool horusp_infer_field(PyObject *kept, horus_infer_desc *d, int k, PyObject *v)
{
    char *at = (char *)d + horusp_infer_fields[k].offset;
    const char kind = horusp_infer_fields[k].kind;
    bool ok = true;
    if (kind == 's') {
        const char *text = PyUnicode_AsUTF8(v);
        memcpy(at, &text, sizeof text);
        ok = text != NULL;
    } else if (kind == 'n') {
        const char *const *names = horusp_infer_names(kept, v);
        memcpy(at, &names, sizeof names);
        ok = names != NULL;
    } else if (kind == 'b') {
        *(bool *)(void *)at = v == Py_True;
    } else if (kind == 'c') {
        horus_choice c = v == Py_True ? HORUS_YES : HORUS_NO;
        memcpy(at, &c, sizeof c);
    } else {
        size_t n = (size_t)PyList_GET_SIZE(v);
        const size_t each = kind == 'm' ? sizeof(horus_infer_entry) : sizeof(horus_infer_list);
        char *map = (char *)horusp_infer_room(kept, n + 1, each);
        for (size_t i = 0; map && ok && i < n; i++) {
            PyObject *pair = PyList_GET_ITEM(v, (Py_ssize_t)i), *value = PyTuple_GET_ITEM(pair, 1);
            const char *model = PyUnicode_AsUTF8(PyTuple_GET_ITEM(pair, 0));
            if (kind == 'm') {
                horus_infer_entry e = {model, model ? PyUnicode_AsUTF8(value) : NULL};
                memcpy(map + i * each, &e, sizeof e);
                ok = e.value != NULL;
            } else {
                horus_infer_list l = {model, model ? horusp_infer_names(kept, value) : NULL};
                memcpy(map + i * each, &l, sizeof l);
                ok = l.names != NULL;
            }
        }
        ok = ok && map;
        memcpy(at, &map, sizeof map);
    }
    return ok;
}
/* Where OpenVINO's library is, if a model is to be run by it. */
static bool horusp_infer_library(PyObject *kept, horus_infer_desc *d)
{
    bool wanted = d->backend && strcmp(d->backend, "openvino") == 0;
    for (const horus_infer_entry *e = d->backend_map; e && e->model; e++)
        wanted |= strcmp(e->value, "openvino") == 0;
    PyObject *f = wanted ? horusp_infer_helper("openvino") : NULL;
    PyObject *path = f ? PyObject_CallNoArgs(f) : NULL;
    bool ok = !wanted || (path && PyList_Append(kept, path) == 0);
    if (ok && path && path != Py_None)
        ok = (d->library = PyUnicode_AsUTF8(path)) != NULL;
    Py_XDECREF(path);
    return ok;
}
/* Reads parameters into a description. A new list of problems in lines, those of horus_infer_check()
 * last; *kept is a new list of what the description points into. */
static PyObject *horusp_infer_parameters(PyObject *given, PyObject *more, horus_infer_desc *d,
                                         PyObject **kept)
{
    PyObject *f = horusp_infer_ready() ? horusp_infer_helper("parameters") : NULL;
    PyObject *kinds = PyDict_New(), *both = NULL, *values, *problems = NULL, *lines = NULL;
    bool ok = f && kinds && (*kept = PyList_New(0)) != NULL;
    for (int k = 0; ok && k < HORUSP_INFER_FIELDS; k++) {
        PyObject *kind = PyUnicode_FromStringAndSize(&horusp_infer_fields[k].kind, 1);
        ok = kind && PyDict_SetItemString(kinds, horusp_infer_fields[k].name, kind) == 0;
        Py_XDECREF(kind);
    }
    if (ok)
        both = PyObject_CallFunctionObjArgs(f, given, more, kinds, NULL);
    ok = both && PyArg_ParseTuple(both, "OO", &values, &problems) &&
         PyList_Append(*kept, values) == 0;
    for (int k = 0; ok && k < HORUSP_INFER_FIELDS; k++) {
        PyObject *v;
        ok = horusp_dict_has(values, horusp_infer_fields[k].name, &v) &&
             (!v || horusp_infer_field(*kept, d, k, v));
    }
    ok = ok && horusp_infer_library(*kept, d);
    enum { ROOM = 1 << 16 };
    char *report = ok ? (char *)PyMem_Malloc(ROOM) : NULL;
    if (report) {
        (void)horus_infer_check(d, report, ROOM);
        PyObject *text = PyUnicode_DecodeUTF8(report, (Py_ssize_t)strlen(report), "replace");
        PyObject *told = text ? PyUnicode_Splitlines(text, 0) : NULL;
        lines = told ? PySequence_Concat(problems, told) : NULL;
        Py_XDECREF(told);
        Py_XDECREF(text);
        PyMem_Free(report);
    } else if (ok) {
        PyErr_NoMemory();
    }
    Py_XDECREF(both);
    Py_XDECREF(kinds);
    if (!lines)
        Py_CLEAR(*kept);
    return lines;
}
static PyObject *horusp_infer_check(PyObject *type, PyObject *args, PyObject *kw)
{
    PyObject *given = Py_None, *more = kw ? PyDict_Copy(kw) : PyDict_New(), *named, *kept = NULL;
    horus_infer_desc d;
    (void)type;
    memset(&d, 0, sizeof d);
    bool ok = more && PyArg_ParseTuple(args, "|O:check", &given) &&
              horusp_dict_has(more, "params", &named);
    PyObject *named_ = ok && named ? horusp_ref(named) : NULL;
    if (named_)
        ok = PyDict_DelItemString(more, "params") == 0;
    PyObject *lines = ok ? horusp_infer_parameters(named_ ? named_ : given, more, &d, &kept) : NULL;
    Py_XDECREF(named_);
    Py_XDECREF(kept);
    Py_XDECREF(more);
    return lines;
}

/* ---- making one */

static void horusp_on_announce(void *user, const char *model, const char *text)
{
    horusp_infer *o = (horusp_infer *)user;
    if (!o->on_load || !horusp_take_lock())
        return;
    PyObject *r = PyObject_CallFunction(o->on_load, "ss", model, text);
    if (!r)
        PyErr_WriteUnraisable(o->on_load);
    Py_XDECREF(r);
    horusp_give_lock();
}
static const char *const horusp_infer_own[] = {"params",     "inputs",  "output", "status",
                                               "activation", "newest",  "wait",   "run_budget",
                                               "threads",    "on_load", "pool"};
enum {
    HORUSP_I_PARAMS,
    HORUSP_I_INPUTS,
    HORUSP_I_OUTPUT,
    HORUSP_I_STATUS,
    HORUSP_I_ACTIVATION,
    HORUSP_I_NEWEST,
    HORUSP_I_WAIT,
    HORUSP_I_BUDGET,
    HORUSP_I_THREADS,
    HORUSP_I_ON_LOAD,
    HORUSP_I_POOL,
    HORUSP_I_COUNT
};
/* The text of a name; NULL with an exception. */
static const char *horusp_infer_name(PyObject *name, const char *what)
{
    Py_ssize_t bytes = 0;
    const char *text = PyUnicode_Check(name) ? horusp_utf8(name, &bytes) : NULL;
    if (!PyUnicode_Check(name))
        PyErr_Format(HORUSP_TYPE_ERROR, "%s is a str, not %.100s", what, Py_TYPE(name)->tp_name);
    else if (text && strlen(text) != (size_t)bytes)
        text = (const char *)horusp_refuse(HORUSP_VALUE_ERROR, "%s has no zeros: %R", what, name);
    return text;
}
/* A topic of the operator's: a handle of its own, whatever names it. Borrowed. */
static horusp_topic *horusp_infer_topic(horusp_infer *o, PyObject *what, PyObject *cls,
                                        PyObject *list)
{
    PyObject *name = NULL, *t;
    if (Py_TYPE(what) == &horusp_topic_type) { /* of that name and class */
        horusp_topic *other = (horusp_topic *)what;
        name = PyUnicode_FromString(other->name);
        if (!name)
            return NULL;
        what = other->message ? other->message : cls ? cls : name;
    } else if (PyUnicode_Check(what) && cls) {
        name = horusp_ref(what);
        what = cls;
    }
    t = horusp_node_declare(&o->node, name, what, list);
    if (t && PyList_Append(o->kept, t) < 0) /* as long as the operator, whatever clears the dict */
        t = NULL;
    Py_XDECREF(name);
    return (horusp_topic *)t;
}
static bool horusp_infer_input(horusp_infer *o, PyObject *what, PyObject *tensor, bool newest,
                               horus_infer_input *out)
{
    horusp_topic *t = horusp_infer_topic(o, what, NULL, o->node.subs);
    if (!t)
        return false;
    out->topic = t->handle;
    out->newest = newest;
    if (tensor && tensor != Py_None) {
        out->tensor = horusp_infer_name(tensor, "inputs: a tensor's name");
        if (!out->tensor || PyList_Append(o->kept, tensor) < 0)
            return false;
    }
    return true;
}
/* The only tensor that models take, or NULL. */
static const char *horusp_infer_only(const horus_infer_desc *d)
{
    const char *only = NULL;
    for (const horus_infer_list *l = d->pre_processor_map; l->model; l++)
        for (const char *const *t = l->names; *t; t++) {
            if (only && strcmp(only, *t) != 0)
                return NULL;
            only = *t;
        }
    return only;
}
static bool horusp_infer_inputs(horusp_infer *o, PyObject *given, bool newest)
{
    PyObject *list = NULL;
    bool pairs = PyDict_Check(given), ok = true;
    if (pairs)
        list = PyDict_Items(given);
    else if (PyList_Check(given) || PyTuple_Check(given))
        list = PySequence_List(given);
    else
        list = Py_BuildValue("[O]", given);
    Py_ssize_t n = list ? PyList_GET_SIZE(list) : 0;
    horus_infer_input *to =
        list ? (horus_infer_input *)horusp_infer_room(o->kept, (size_t)n + 1, sizeof *to) : NULL;
    for (Py_ssize_t i = 0; to && ok && i < n; i++) {
        PyObject *item = PyList_GET_ITEM(list, i);
        ok = pairs ? horusp_infer_input(o, PyTuple_GET_ITEM(item, 0), PyTuple_GET_ITEM(item, 1),
                                        newest, &to[i])
                   : horusp_infer_input(o, item, NULL, newest, &to[i]);
        if (ok && !to[i].tensor && !pairs)
            to[i].tensor = horusp_infer_only(&o->d);
    }
    Py_XDECREF(list);
    o->d.inputs = n ? to : NULL;
    return to && ok;
}
/* Its own arguments into the description. */
static bool horusp_infer_arguments_of(horusp_infer *o, PyObject **v)
{
    horus_infer_desc *d = &o->d;
    int64_t threads = 0;
    int newest = 0;
    PyObject *status = horusp_message_class_by_name("InferStatus");
    PyObject *activation = horusp_message_class_by_name("InferActivation");
    struct {
        int k;
        PyObject *cls, *list;
        horus_topic **to;
    } topic[] = {{HORUSP_I_OUTPUT, (PyObject *)&horusp_tensor_type, o->node.pubs, &d->output},
                 {HORUSP_I_STATUS, status, o->node.pubs, &d->status},
                 {HORUSP_I_ACTIVATION, activation, o->node.subs, &d->activation}};
    if ((v[HORUSP_I_NEWEST] && (newest = PyObject_IsTrue(v[HORUSP_I_NEWEST])) < 0) ||
        !horusp_node_seconds(v[HORUSP_I_WAIT] ? v[HORUSP_I_WAIT] : Py_None, "wait", 3600,
                             &d->wait_ns) ||
        !horusp_node_seconds(v[HORUSP_I_BUDGET] ? v[HORUSP_I_BUDGET] : Py_None, "run_budget", 3600,
                             &d->budget_ns) ||
        (v[HORUSP_I_THREADS] && v[HORUSP_I_THREADS] != Py_None &&
         !horusp_int(v[HORUSP_I_THREADS], "threads", 0, 1024, &threads)))
        return false;
    d->threads = (uint32_t)threads;
    if (v[HORUSP_I_ON_LOAD] && v[HORUSP_I_ON_LOAD] != Py_None) {
        if (!PyCallable_Check(v[HORUSP_I_ON_LOAD])) {
            PyErr_Format(HORUSP_TYPE_ERROR, "on_load must be callable, not %.100s",
                         Py_TYPE(v[HORUSP_I_ON_LOAD])->tp_name);
            return false;
        }
        o->on_load = horusp_ref(v[HORUSP_I_ON_LOAD]);
    }
    if (v[HORUSP_I_POOL] && v[HORUSP_I_POOL] != Py_None) {
        if (Py_TYPE(v[HORUSP_I_POOL]) != &horusp_pool_type) {
            PyErr_Format(HORUSP_TYPE_ERROR, "pool must be a TensorPool, not %.100s",
                         Py_TYPE(v[HORUSP_I_POOL])->tp_name);
            return false;
        }
        if (!horusp_pool_live((horusp_pool *)v[HORUSP_I_POOL]))
            return false;
        d->pool = ((horusp_pool *)v[HORUSP_I_POOL])->pool;
    }
    if (v[HORUSP_I_INPUTS] && v[HORUSP_I_INPUTS] != Py_None &&
        !horusp_infer_inputs(o, v[HORUSP_I_INPUTS], newest))
        return false;
    for (int i = 0; i < 3; i++) {
        PyObject *what = v[topic[i].k];
        if (!what || what == Py_None)
            continue;
        horusp_topic *t = horusp_infer_topic(o, what, topic[i].cls, topic[i].list);
        if (!t)
            return false;
        *topic[i].to = t->handle;
    }
    d->name = o->node.name;
    d->user = o;
    d->on_load = horusp_on_announce;
    return true;
}
static bool horusp_infer_raise_lines(PyObject *lines)
{
    PyObject *end = PyUnicode_FromString("\n"), *text = end ? PyUnicode_Join(end, lines) : NULL;
    const char *s = text ? PyUnicode_AsUTF8(text) : NULL;
    if (s)
        (void)horusp_infer_raise(NULL, HORUS_E_ARG, s);
    Py_XDECREF(end);
    Py_XDECREF(text);
    return false;
}
static bool horusp_infer_open(horusp_infer *o)
{
    enum { ROOM = 1 << 16 };
    char *report = (char *)PyMem_Malloc(ROOM);
    horus_infer *op = NULL;
    horus_result r;
    if (!report) {
        PyErr_NoMemory();
        return false;
    }
    report[0] = 0;
    o->busy = true;
    r = horus_infer_create(&op, &o->d, report, ROOM);
    if (r == HORUS_OK) {
        PyMem_Free(o->parts); /* of a try before; without memory its models have no figures */
        o->parts = (const char **)PyMem_Calloc(op->count + 1, sizeof *o->parts);
        for (uint32_t i = 0; o->parts && i < op->count; i++)
            o->parts[i] = o->d.model_path_map[i].model;
        op->thread_ends = horusp_thread_ends;
        HORUSP_UNLOCKED(r = horus_infer_setup(op, report, ROOM));
    }
    char words[sizeof horusi_error_text];
    horusi_text(words, sizeof words, horus_last_error());
    if (r != HORUS_OK && op)
        HORUSP_UNLOCKED(horus_infer_close(op));
    o->busy = false;
    size_t n = strlen(report);
    if (n && report[n - 1] == '\n')
        report[n - 1] = 0;
    if (r == HORUS_OK)
        o->op = op;
    else
        (void)horusp_infer_raise(o, r, n ? report : words);
    PyMem_Free(report);
    return r == HORUS_OK;
}
static PyObject *horusp_infer_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    return horusp_node_new(type, args, kw);
}
/* Parts keywords into its own, a Node's, and parameters. */
static bool horusp_infer_part(PyObject *kw, PyObject **v, PyObject *node, PyObject *more)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (kw && PyDict_Next(kw, &at, &key, &value)) {
        bool mine = false, its = false;
        for (int i = 0; i < HORUSP_I_COUNT; i++)
            if (PyUnicode_CompareWithASCIIString(key, horusp_infer_own[i]) == 0) {
                if (v[i]) {
                    PyErr_Format(PyExc_TypeError,
                                 "InferenceOp() got multiple values for argument '%s'",
                                 horusp_infer_own[i]);
                    return false;
                }
                v[i] = value;
                mine = true;
            }
        for (int i = 0; i < HORUSP_N_COUNT; i++)
            its = its || (i != HORUSP_N_TICK && i != HORUSP_N_INIT && i != HORUSP_N_PUBS &&
                          i != HORUSP_N_SUBS &&
                          PyUnicode_CompareWithASCIIString(key, horusp_node_names[i]) == 0);
        if (!mine && PyDict_SetItem(its ? node : more, key, value) < 0)
            return false;
    }
    return true;
}
static int horusp_infer_init(PyObject *self, PyObject *args, PyObject *kw)
{
    horusp_infer *o = (horusp_infer *)self;
    PyObject *v[HORUSP_I_COUNT], *lines = NULL, *none = PyTuple_New(0);
    PyObject *node = PyDict_New(), *more = PyDict_New(), *on;
    bool ok = none && node && more;
    memset(v, 0, sizeof v);
    if (PyTuple_GET_SIZE(args) > HORUSP_I_ACTIVATION + 1) {
        PyErr_SetString(PyExc_TypeError, "InferenceOp() takes at most 5 positional arguments");
        ok = false;
    }
    for (Py_ssize_t i = 0; ok && i < PyTuple_GET_SIZE(args); i++)
        v[i] = PyTuple_GET_ITEM(args, i);
    ok = ok && horusp_infer_part(kw, v, node, more);
    if (ok && (o->op || o->kept || o->busy)) {
        PyErr_SetString(horusp.by_code[-HORUS_E_BUSY], "this InferenceOp was made already");
        ok = false;
    }
    if (ok) {
        lines = horusp_infer_parameters(v[HORUSP_I_PARAMS] ? v[HORUSP_I_PARAMS] : Py_None, more,
                                        &o->d, &o->kept);
        ok = lines && (PyList_GET_SIZE(lines) == 0 || horusp_infer_raise_lines(lines));
    }
    if (ok && !PyDict_GetItemString(node, "compute")) { /* a topic that wakes it goes without */
        on = PyDict_GetItemString(node, "on");
        on = on ? horusp_ref(on) : PyObject_GetAttrString(self, "on");
        ok = on && PyDict_SetItemString(node, "compute", on == Py_None ? Py_True : Py_False) == 0;
        Py_XDECREF(on);
    }
    PyObject *name = ok ? PyDict_GetItemString(node, "name") : NULL;
    if (ok && (!name || name == Py_None)) { /* one that no other in this process has */
        static unsigned count;
        PyObject *own = PyObject_GetAttrString(self, "name");
        PyObject *usual =
            own == Py_None ? PyUnicode_FromFormat("infer_%u", ++count) : horusp_ref(own);
        ok = usual && PyDict_SetItemString(node, "name", usual) == 0;
        Py_XDECREF(own);
        Py_XDECREF(usual);
    }
    /* topics before the node is read: its `on` may be one of them */
    if (ok) {
        PyObject *cap = PyDict_GetItemString(node, "default_capacity");
        ok = !cap || PyObject_SetAttrString(self, "default_capacity", cap) == 0;
    }
    ok = ok && horusp_infer_arguments_of(o, v) && horusp_node_init(self, none, node) == 0 &&
         horusp_infer_open(o);
    if (!ok && o->kept && !o->op) { /* it may be tried again */
        memset(&o->d, 0, sizeof o->d);
        Py_CLEAR(o->kept);
    }
    Py_XDECREF(lines);
    Py_XDECREF(none);
    Py_XDECREF(node);
    Py_XDECREF(more);
    return ok ? 0 : -1;
}

/* ---- using one */

/* Begins a call that one thread at a time makes. */
static bool horusp_infer_begin(horusp_infer *o, const char *what)
{
    if (!o->op) {
        PyErr_Format(horusp.by_code[-HORUS_E_CLOSED], "%s: this InferenceOp is closed", what);
        return false;
    }
    if (o->busy && !horusi_is_detached(o->op->context)) { /* else that thread is the parent's */
        PyErr_Format(horusp.by_code[-HORUS_E_BUSY], "%s: operator %s is in use by another thread",
                     what, o->node.name);
        return false;
    }
    o->busy = true;
    Py_CLEAR(o->cause);
    return true;
}
static PyObject *horusp_infer_tick(PyObject *self, PyObject *args)
{
    horusp_infer *o = (horusp_infer *)self;
    horus_result r;
    (void)args;
    if (!horusp_infer_begin(o, "tick"))
        return NULL;
    horus_tick *t = horusp_node_tick(&o->node);
    HORUSP_UNLOCKED(r = horusi_infer_frame(o->op, t));
    o->busy = false;
    if (r != HORUS_OK && r != HORUS_EMPTY)
        return horusp_infer_failed(o, r);
    return PyBool_FromLong(r == HORUS_OK);
}
static PyObject *horusp_infer_warm_up(PyObject *self, PyObject *args)
{
    horusp_infer *o = (horusp_infer *)self;
    horus_result r;
    (void)args;
    if (!horusp_infer_begin(o, "init"))
        return NULL;
    HORUSP_UNLOCKED(r = horus_infer_warm_up(o->op));
    o->busy = false;
    if (r != HORUS_OK)
        return horusp_infer_failed(o, r);
    Py_RETURN_NONE;
}
/* A result as an object: published, so that nobody writes into what may be handed out again. */
static PyObject *horusp_infer_result_of(horusp_infer *o, const char *name, bool array)
{
    horus_tensor t;
    horus_result r = horus_infer_get(o->op, name, &t, NULL);
    if (r == HORUS_EMPTY)
        return horusp_ref(Py_None);
    if (r != HORUS_OK)
        return horusp_infer_failed(o, r);
    horusi_mark_published(&t.frame);
    t.readonly = true;
    PyObject *f = horusp_frame_of(HORUS_KIND_TENSOR, &t, NULL);
    if (!f || !array)
        return f;
    PyObject *a = horusp_ndarray((horusp_frame *)f);
    Py_DECREF(f);
    return a;
}
/* One tensor of a frame that is given by hand. `owner` gets what its memory is kept by, if it is not the
 * pool's; *copied is a hold of ours on what was copied there. */
static bool horusp_infer_given(PyObject *value, horus_pool *pool, horus_tensor *t, bool *copied,
                               PyObject **owner)
{
    horusp_source s;
    PyObject *keep;
    *copied = false;
    *owner = NULL;
    if (horusp_is_frame(value)) {
        if (!horusp_live((horusp_frame *)value))
            return false;
        *t = ((horusp_frame *)value)->t;
        *owner = horusp_ref((PyObject *)((horusp_frame *)value)->hold);
        return true;
    }
    if (horusp_torch_type() && PyObject_TypeCheck(value, horusp_torch_type())) {
        PyObject *plain = horusp_plain_torch(value);
        *copied = plain && horusp_from_dlpack(plain, pool, t);
        Py_XDECREF(plain);
        return *copied;
    }
    if (!horusp_source_begin(&s, value, &keep))
        return false;
    *t = s.t;
    bool ok = true;
    if (horus_tensor_is_contiguous(t) && (keep || horusp_is_ndarray(value)))
        *owner = horusp_ref(keep ? keep : value); /* read where it lies */
    else
        ok = *copied = horusp_source_copy(&s, pool, t);
    horusp_source_end(&s);
    Py_XDECREF(keep);
    return ok;
}
/* The exception that is set says of which tensor it is, if it is one of ours. */
static void horusp_infer_blame(PyObject *name)
{
    PyObject *type, *value, *trace;
    if (!PyErr_ExceptionMatches(horusp.error))
        return;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    PyObject *text = PyUnicode_FromFormat("tensor \"%U\": %S", name, value);
    PyObject *args = text ? PyTuple_Pack(1, text) : NULL;
    if (!args || PyObject_SetAttrString(value, "args", args) < 0)
        PyErr_Clear();
    Py_XDECREF(args);
    Py_XDECREF(text);
    PyErr_Restore(type, value, trace);
}
static PyObject *horusp_infer_run(horusp_infer *o, PyObject *items)
{
    Py_ssize_t n = PyList_GET_SIZE(items), set = 0;
    horus_tensor *t = (horus_tensor *)PyMem_Calloc((size_t)n + 1, sizeof *t);
    bool *copied = (bool *)PyMem_Calloc((size_t)n + 1, sizeof *copied), ok = t && copied;
    PyObject *owners = PyTuple_New(n), *result = NULL;
    horus_result r = HORUS_OK;
    if (!ok)
        PyErr_NoMemory();
    ok = ok && owners;
    for (Py_ssize_t i = 0; ok && i < n; i++) {
        PyObject *owner = NULL, *pair = PyList_GET_ITEM(items, i);
        PyObject *name = PyTuple_GET_ITEM(pair, 0);
        ok = horusp_infer_name(name, "infer(): a tensor's name") != NULL;
        if (ok &&
            !horusp_infer_given(PyTuple_GET_ITEM(pair, 1), o->d.pool, &t[i], &copied[i], &owner)) {
            horusp_infer_blame(name);
            ok = false;
        }
        PyTuple_SET_ITEM(owners, i, owner ? owner : horusp_ref(Py_None));
    }
    for (; ok && set < n; set++) {
        const char *name = horusp_utf8(PyTuple_GET_ITEM(PyList_GET_ITEM(items, set), 0), NULL);
        r = name ? horus_infer_set(o->op, name, &t[set], 0) : HORUS_OK;
        if (!name || r != HORUS_OK) {
            ok = false;
            if (name)
                (void)horusp_infer_failed(o, r);
        }
    }
    if (ok) {
        o->given = owners;
        HORUSP_UNLOCKED(r = horus_infer_execute(o->op));
        o->given = NULL;
        ok = r == HORUS_OK || horusp_infer_failed(o, r);
    } else if (!horusi_is_detached(o->op->context)) {
        horusi_drop_feeds(o->op);
    }
    for (Py_ssize_t i = 0; i < n && copied; i++)
        if (copied[i])
            (void)horus_tensor_release(&t[i]);
    result = ok ? PyDict_New() : NULL;
    for (uint32_t i = 0; result && i < o->op->send_count; i++) {
        const char *name = o->op->send[i]->name;
        PyObject *a = horusp_infer_result_of(o, name, true);
        if (!a || (a != Py_None && PyDict_SetItemString(result, name, a) < 0))
            Py_CLEAR(result);
        Py_XDECREF(a);
    }
    Py_XDECREF(owners);
    PyMem_Free(t);
    PyMem_Free(copied);
    return result;
}
static PyObject *horusp_infer_infer(PyObject *self, PyObject *tensors)
{
    horusp_infer *o = (horusp_infer *)self;
    if (!PyDict_Check(tensors))
        return PyErr_Format(HORUSP_TYPE_ERROR,
                            "infer() takes a dict of names and arrays, not %.100s",
                            Py_TYPE(tensors)->tp_name);
    PyObject *items = PyDict_Items(tensors), *result = NULL;
    if (items && horusp_infer_begin(o, "infer")) {
        result = horusp_infer_run(o, items);
        o->busy = false;
    }
    Py_XDECREF(items);
    return result;
}
HORUSP_ONE(horusp_infer_infer, "infer", "tensors")
static bool horusp_infer_live(const horusp_infer *o)
{
    if (!o->op)
        PyErr_SetString(horusp.by_code[-HORUS_E_CLOSED], "this InferenceOp is closed");
    return o->op != NULL;
}
static PyObject *horusp_infer_get(PyObject *self, PyObject *name)
{
    horusp_infer *o = (horusp_infer *)self;
    const char *text = horusp_infer_live(o) ? horusp_infer_name(name, "a tensor's name") : NULL;
    return text ? horusp_infer_result_of(o, text, false) : NULL;
}
HORUSP_ONE(horusp_infer_get, "get", "name")
static PyObject *horusp_infer_age(PyObject *self, PyObject *name)
{
    horusp_infer *o = (horusp_infer *)self;
    horus_tensor t;
    uint64_t age;
    const char *text = horusp_infer_live(o) ? horusp_infer_name(name, "a tensor's name") : NULL;
    if (!text)
        return NULL;
    horus_result r = horus_infer_get(o->op, text, &t, &age);
    if (r == HORUS_OK)
        (void)horus_tensor_release(&t);
    return r == HORUS_OK      ? PyLong_FromUnsignedLongLong(age)
           : r == HORUS_EMPTY ? horusp_ref(Py_None)
                              : horusp_infer_failed(o, r);
}
HORUSP_ONE(horusp_infer_age, "age", "name")
static PyObject *horusp_infer_set_active(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                         PyObject *kw)
{
    static horusp_sig sig = {"set_active", 2, 2, 2, {{"model", 0}, {"active", 0}}};
    horusp_infer *o = (horusp_infer *)self;
    PyObject *v[2];
    if (!horusp_args(&sig, args, nargs, kw, v) || !horusp_infer_live(o))
        return NULL;
    const char *text = horusp_infer_name(v[0], "a model's name");
    int active = text ? PyObject_IsTrue(v[1]) : -1;
    if (active < 0 || !horusp_infer_live(o))
        return NULL;
    horus_result r = horus_infer_set_active(o->op, text, active != 0);
    if (r != HORUS_OK)
        return horusp_infer_failed(o, r);
    Py_RETURN_NONE;
}
/* What a model takes or gives: (its name, ours, dtype or None, shape or None). */
static PyObject *horusp_infer_io_list(horusp_infer *o, uint32_t model, bool output, uint32_t count)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < count; i++) {
        horus_infer_io io;
        horus_result r = horus_infer_get_io(o->op, model, output, i, &io);
        if (r != HORUS_OK) {
            Py_DECREF(list);
            return horusp_infer_failed(o, r);
        }
        PyObject *shape = io.ndim < 0 ? horusp_ref(Py_None) : PyTuple_New(io.ndim);
        for (int k = 0; shape && k < io.ndim; k++) {
            PyObject *side =
                io.shape[k] < 0 ? horusp_ref(Py_None) : PyLong_FromLongLong(io.shape[k]);
            if (!side)
                Py_CLEAR(shape);
            else
                PyTuple_SET_ITEM(shape, k, side);
        }
        PyObject *name = PyUnicode_DecodeUTF8(io.name, (Py_ssize_t)strlen(io.name), "replace");
        PyObject *item =
            shape && name
                ? Py_BuildValue("(NszN)", name, io.tensor,
                                io.dtype < 0 ? NULL : horus_dtype_name((horus_dtype)io.dtype),
                                shape)
                : NULL;
        if (!item && !(shape && name)) {
            Py_XDECREF(shape);
            Py_XDECREF(name);
        }
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}
static PyObject *horusp_infer_stats(PyObject *self, PyObject *none)
{
    horusp_infer *o = (horusp_infer *)self;
    (void)none;
    if (!horusp_infer_live(o))
        return NULL;
    PyObject *all = PyDict_New();
    size_t count = o->op->count;
    horus_infer_stats *s = (horus_infer_stats *)PyMem_Calloc(count, sizeof *s);
    if (!s)
        PyErr_NoMemory();
    horus_result r = s ? horus_infer_get_stats(o->op, s, count, &count) : HORUS_OK;
    if (r != HORUS_OK)
        (void)horusp_infer_failed(o, r);
    for (uint32_t i = 0; all && s && r == HORUS_OK && i < count; i++) {
        PyObject *in = horusp_infer_io_list(o, i, false, s[i].inputs);
        PyObject *out = in ? horusp_infer_io_list(o, i, true, s[i].outputs) : NULL;
        PyObject *run = out ? horusp_spread_dict(&s[i].run) : NULL;
        PyObject *one =
            run ? Py_BuildValue(
                      "{ss ss sO sI sK sK sK sK sK sN sN sN}", "backend", s[i].backend, "device",
                      s[i].device, "active", s[i].active ? Py_True : Py_False, "every", s[i].every,
                      "frames", (unsigned long long)s[i].frames, "runs",
                      (unsigned long long)s[i].runs, "failures", (unsigned long long)s[i].failures,
                      "aborts", (unsigned long long)s[i].aborts, "resent",
                      (unsigned long long)s[i].resent, "run", run, "inputs", in, "outputs", out)
                : NULL;
        if (!run) {
            Py_XDECREF(in);
            Py_XDECREF(out);
        }
        if (!one || PyDict_SetItemString(all, s[i].model, one) < 0)
            Py_CLEAR(all);
        Py_XDECREF(one);
    }
    PyMem_Free(s);
    if (PyErr_Occurred())
        Py_CLEAR(all);
    return all;
}
static const char *const *horusp_infer_parts(horusp_node *n)
{
    return PyObject_TypeCheck((PyObject *)n, &horusp_infer_type) ? ((horusp_infer *)n)->parts
                                                                 : NULL;
}
/* Those of its models, into a node's, if it is an operator. */
static bool horusp_infer_figures(horusp_node *n, PyObject *figures)
{
    if (!PyObject_TypeCheck((PyObject *)n, &horusp_infer_type) || !((horusp_infer *)n)->op)
        return true;
    PyObject *models = horusp_infer_stats((PyObject *)n, NULL);
    bool ok = models && PyDict_SetItemString(figures, "models", models) == 0;
    Py_XDECREF(models);
    return ok;
}
static void horusp_infer_end(horusp_infer *o)
{
    horus_infer *op = o->op;
    o->op = NULL;
    if (op)
        HORUSP_UNLOCKED(horus_infer_close(op));
}
static PyObject *horusp_infer_close(PyObject *self, PyObject *none)
{
    horusp_infer *o = (horusp_infer *)self;
    (void)none;
    if (o->busy && o->op && !horusi_is_detached(o->op->context))
        return PyErr_Format(horusp.by_code[-HORUS_E_BUSY],
                            "close: operator %s is in use by another thread", o->node.name);
    horusp_infer_end(o);
    Py_RETURN_NONE;
}
static PyObject *horusp_infer_exit(PyObject *self, PyObject *args)
{
    (void)args;
    return horusp_infer_close(self, NULL);
}
static PyObject *horusp_infer_enter(PyObject *self, PyObject *none)
{
    (void)none;
    return horusp_infer_live((horusp_infer *)self) ? horusp_ref(self) : NULL;
}
static int horusp_infer_traverse(PyObject *self, visitproc visit, void *arg)
{
    horusp_infer *o = (horusp_infer *)self;
    Py_VISIT(o->on_load);
    Py_VISIT(o->cause);
    return horusp_node_traverse(self, visit, arg);
}
static int horusp_infer_clear(PyObject *self)
{
    Py_CLEAR(((horusp_infer *)self)->on_load);
    Py_CLEAR(((horusp_infer *)self)->cause);
    return horusp_node_clear(self);
}
static void horusp_infer_dealloc(PyObject *self)
{
    horusp_infer *o = (horusp_infer *)self;
    PyObject_GC_UnTrack(self);
    if (o->node.weak)
        PyObject_ClearWeakRefs(self);
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    horusp_infer_end(o);
    PyErr_Restore(type, value, trace);
    Py_CLEAR(o->on_load);
    Py_CLEAR(o->cause);
    Py_CLEAR(o->kept);
    PyMem_Free(o->parts);
    horusp_node_dealloc(self);
}
static PyMethodDef horusp_infer_methods[] = {
    {"check", HORUSP_FN(horusp_infer_check), METH_VARARGS | METH_KEYWORDS | METH_STATIC,
     "check(params=None, **parameters)\n--\n\nAll problems of the parameters, a line each, in the "
     "order of the documented checks, which names the parameter, the value and what would be "
     "right. "
     "Loads nothing; files are looked at."},
    {"infer", HORUSP_FN(horusp_infer_infer_), HORUSP_FAST,
     "infer($self, tensors)\n--\n\nRuns a frame without a scheduler: {tensor: array} in, "
     "{tensor: array} out. Contiguous arrays of NumPy and frames are read where they lie, others "
     "are "
     "copied once; what comes is read-only arrays of pool memory. A model that is not due or not "
     "active gives its last result, or nothing before its first. Sends nothing. InferenceError "
     "names "
     "each model that failed; the others have run, and get() has their results."},
    {"tick", horusp_infer_tick, METH_VARARGS,
     "tick($self, info=None)\n--\n\nTakes a frame from the inputs, runs it, and sends what comes: "
     "the scheduler calls it. False if nothing came."},
    {"init", horusp_infer_warm_up, METH_VARARGS,
     "init($self, info=None)\n--\n\nRuns each model once on zeros, so that the first frame is as "
     "fast as others: the scheduler calls it. Models whose inputs are open are passed over."},
    {"get", HORUSP_FN(horusp_infer_get_), HORUSP_FAST,
     "get($self, name)\n--\n\nThe newest result of that name, a read-only Tensor; None before the "
     "first."},
    {"age", HORUSP_FN(horusp_infer_age_), HORUSP_FAST,
     "age($self, name)\n--\n\nHow many frames ago that result was computed; None: never."},
    {"set_active", HORUSP_FN(horusp_infer_set_active), HORUSP_FAST,
     "set_active($self, model, active)\n--\n\nRuns a model from the next frame on, or does not. "
     "Any "
     "thread."},
    {"stats", horusp_infer_stats, METH_NOARGS,
     "stats($self)\n--\n\nA dict for each model: backend, device, active, every (temporal_map), "
     "frames, runs, failures, aborts, resent, run (its latency: count, mean_ns, p50_ns, p99_ns, "
     "p99_9_ns, max_ns), inputs and outputs: (the model's name, the tensor, dtype, shape), None "
     "where "
     "anything goes."},
    {"close", horusp_infer_close, METH_NOARGS,
     "close($self)\n--\n\nFrees the models. Results that were handed out stay valid."},
    {"__enter__", horusp_infer_enter, METH_NOARGS, NULL},
    {"__exit__", horusp_infer_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL}};
static PyTypeObject horusp_infer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus.InferenceOp",
    .tp_basicsize = sizeof(horusp_infer),
    .tp_dealloc = horusp_infer_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = horusp_infer_traverse,
    .tp_clear = horusp_infer_clear,
    .tp_base = &horusp_node_type,
    .tp_doc =
        "InferenceOp(params=None, inputs=None, output=None, status=None, activation=None, *, "
        "newest=False, wait=None, run_budget=None, threads=0, on_load=None, pool=None, "
        "**more)\n--\n\n"
        "Runs one or many models on what topics carry, and sends what they give: a Node, which "
        "also "
        "works alone: infer().\n\n"
        "params: a dict, or the path of a YAML file (PyYAML), with or without the block "
        "`inference:` "
        "around it; parameters may be keywords, too: backend (\"onnxrt\", \"torch\", \"trt\", "
        "\"openvino\", or one of register_backend()) or backend_map, model_path_map, "
        "pre_processor_map, inference_map, "
        "in_tensor_names, out_tensor_names, temporal_map, activation_map, device_map, "
        "dla_core_map, "
        "trt_opt_profile, infer_on_cpu, enable_fp16, is_engine_path, dynamic_input_dims, "
        "input_on_cuda, "
        "output_on_cuda, transmit_on_cuda (or transmit_on_host), parallel_inference, "
        "enable_cuda_graphs, dla_gpu_fallback. Values may be str, numbers or bools. What is not "
        "given "
        "adapts to the machine and the back end.\n"
        "inputs: {topic: tensor}, or a topic or a list of them whose frames have tensors' names as "
        "their frame_id; if models take one tensor only, any frame is it. A topic is a name, a "
        "class, a "
        "Sub or a Topic, of which the operator opens a handle of its own. newest: take the newest "
        "frame, not each. wait: seconds to wait for the other tensors once one has come.\n"
        "output: topic that gets a Tensor for each result, its frame_id the tensor's name. status: "
        "topic of InferStatus, one for each frame. activation: topic of InferActivation, obeyed "
        "before "
        "each frame.\n"
        "run_budget: seconds after which a model is aborted, where its back end can. threads: of "
        "the "
        "runtime, for each model; 0: as it likes. on_load(model, text): told before a model is "
        "loaded or "
        "an engine built. pool: a TensorPool for the results.\n"
        "The rest is a Node's: name, rate, order, on and so on; compute=True unless `on` is "
        "given.\n\n"
        "InferenceError (a ValueError) has a line for each problem.",
    .tp_new = horusp_infer_new,
    .tp_init = horusp_infer_init,
    .tp_methods = horusp_infer_methods,
};
static const char horusp_register_doc[] =
    "register_backend(name, load, *, extensions=None, probe=None, cpu=True, gpu=False, cuda=False, "
    "fp16=False, engine=False, dla=False)\n--\n\n"
    "Makes a back end for InferenceOp, for the process; 13 at most. load(how) returns a model, an "
    "object "
    "with run(inputs, outputs): lists of Tensors, read-only ones and ones to write into, None "
    "where the "
    "output's shape is open; it may return a list of arrays instead, None for each that it wrote. "
    "The "
    "object may have inputs and outputs, lists of (name, dtype or None, shape or None, of ints or "
    "None), "
    "abort(now), which another thread calls to end a run (False takes it back), close() and gpu. "
    "how has "
    "model, path, inputs and outputs (how many are named), device, dla_core, profile, threads, "
    "models, "
    "announce(text) and the parameters' values. probe(how) raises UnsupportedError where it cannot "
    "run. "
    "extensions: of its files (\".net .mlp\" or a list); the flags say which parameters it has a "
    "use "
    "for. What it raises is the cause of an InferenceError.";

/* ------------------------------------------------------------------------------------ >>module */
static PyObject *horusp_get_version(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    return PyUnicode_FromFormat("%d.%d.%d", HORUS_VERSION_MAJOR, HORUS_VERSION_MINOR,
                                HORUS_VERSION_PATCH);
}
static PyObject *horusp_timestamp(PyObject *module, PyObject *none)
{
    struct timespec t;
    (void)module;
    (void)none;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return PyLong_FromUnsignedLongLong((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
}
static PyObject *horusp_sweep(PyObject *module, PyObject *none)
{
    uint32_t rows = 0;
    (void)module;
    (void)none;
    horus_result r = horus_context_sweep(NULL, &rows);
    return r == HORUS_OK ? PyLong_FromUnsignedLong(rows) : horusp_error(r);
}
static PyObject *horusp_audit(PyObject *module, PyObject *none)
{
    horus_audit a;
    (void)module;
    (void)none;
    horus_result r = horus_pool_audit(NULL, &a, NULL, NULL);
    if (r != HORUS_OK)
        return horusp_error(r);
    return Py_BuildValue("{sO sI sI sK sI sI sI ss}", "balanced", a.balanced ? Py_True : Py_False,
                         "slots", a.slots, "holders", a.holders, "bytes",
                         (unsigned long long)a.bytes, "leaked", a.leaked, "misshapen", a.misshapen,
                         "unpinned", a.unpinned, "first", a.first);
}
static PyMethodDef horusp_functions[] = {
    {"wait", HORUSP_FN(horusp_wait_many), HORUSP_FAST,
     "wait(topics, timeout=None)\n--\n\nThe first of up to 64 Topics that has a message, or None "
     "after timeout "
     "seconds (None: at once; inf: for ever)."},
    {"get_version", horusp_get_version, METH_NOARGS,
     "get_version()\n--\n\nThe version, \"0.1.0\"."},
    {"timestamp_ns", horusp_timestamp, METH_NOARGS,
     "timestamp_ns()\n--\n\nNanoseconds since 1970."},
    {"get_timestamp_ns", horusp_timestamp, METH_NOARGS,
     "get_timestamp_ns()\n--\n\nAs timestamp_ns()."},
    {"run", HORUSP_FN(horusp_run), METH_VARARGS | METH_KEYWORDS,
     "run(*nodes, duration=None, tick_rate=1000.0, rt=False, deterministic=False, blackbox_mb=0, "
     "watchdog_ms=0, recording=False, replay=None, name=None, cores=None, "
     "max_deadline_misses=None, verbose=False)\n--\n\nScheduler(**scheduler) with these nodes, "
     "run."},
    {"now", horusp_clock_now, METH_NOARGS,
     "now()\n--\n\nSeconds on a monotonic clock; in a deterministic scheduler's tick: its clock."},
    {"dt", horusp_clock_dt, METH_NOARGS,
     "dt()\n--\n\nSeconds from when the node's last tick was due to when this one was; outside 0."},
    {"elapsed", horusp_clock_elapsed, METH_NOARGS,
     "elapsed()\n--\n\nSeconds since the run began; outside of ticks 0."},
    {"tick", horusp_clock_tick, METH_NOARGS,
     "tick()\n--\n\nTicks of the node before this one; outside 0."},
    {"budget_remaining", horusp_clock_budget, METH_NOARGS,
     "budget_remaining()\n--\n\nSeconds left of the tick's budget, below 0 when it is over; "
     "without one "
     "inf."},
    {"rng_float", horusp_clock_rng, METH_NOARGS,
     "rng_float()\n--\n\nA random number from 0 to below 1; in a tick it depends on the node and "
     "the "
     "tick alone."},
    {"preprocess", HORUSP_FN(horusp_preprocess), HORUSP_FAST, horusp_preprocess_doc},
    {"softmax", HORUSP_FN(horusp_softmax_), HORUSP_FAST, horusp_softmax_doc},
    {"topk", HORUSP_FN(horusp_topk), HORUSP_FAST, horusp_topk_doc},
    {"argmax", HORUSP_FN(horusp_argmax_), HORUSP_FAST, horusp_argmax_doc},
    {"yolo_decode", HORUSP_FN(horusp_yolo_decode), HORUSP_FAST, horusp_yolo_doc},
    {"register_backend", HORUSP_FN(horusp_register_backend), METH_VARARGS | METH_KEYWORDS,
     horusp_register_doc},
    {"_stop_all", horusp_stop_all, METH_NOARGS, "For the interpreter's end."},
    {"sweep", horusp_sweep, METH_NOARGS,
     "sweep()\n--\n\nTakes back what dead processes held, and counts them. Rarely needed."},
    {"audit", horusp_audit, METH_NOARGS,
     "audit()\n--\n\nChecks the books of the pool: a dict with balanced, slots, holders, bytes, "
     "leaked, "
     "misshapen, unpinned, first."},
    {"_rebuild", horusp_rebuild, METH_VARARGS, "For pickle."},
    {"_remake", horusp_message_remake, METH_VARARGS, "For pickle."},
    {"_pack", horusp_codec_pack, METH_VARARGS, "A value as MessagePack."},
    {"_unpack", horusp_codec_unpack, METH_O, "MessagePack as a value."},
    {NULL, NULL, 0, NULL}};

static int horusp_add_type(PyObject *module, PyTypeObject *type, const char *name)
{
    if (PyType_Ready(type) < 0)
        return -1;
    Py_INCREF(type);
    if (PyModule_AddObject(module, name, (PyObject *)type) < 0) {
        Py_DECREF(type);
        return -1;
    }
    return 0;
}
static int horusp_add_frame_type(PyObject *module, PyTypeObject *type, const char *name)
{
    if (horusp_add_type(module, type, name) < 0)
        return -1;
    PyObject *high = PyFloat_FromDouble(1000); /* ndarray + frame is the frame's to answer */
    PyObject *table = horusp_exchange_capsule();
    int r = high && table ? PyDict_SetItemString(type->tp_dict, "__array_priority__", high) : -1;
    if (r == 0)
        r = PyDict_SetItemString(type->tp_dict, "__dlpack_c_exchange_api__", table);
    PyType_Modified(type);
    Py_XDECREF(table);
    Py_XDECREF(high);
    return r;
}
/* What "from horus import *" takes: not the errors that would take the names of builtins. */
static int horusp_all_init(PyObject *module)
{
    PyObject *all = PyList_New(0), *builtins = PyEval_GetBuiltins(), *key, *value;
    Py_ssize_t at = 0;
    int bad = all ? 0 : -1;
    while (bad == 0 && PyDict_Next(PyModule_GetDict(module), &at, &key, &value)) {
        int hidden = PyUnicode_READ_CHAR(key, 0) == '_' ? 1 : PyDict_Contains(builtins, key);
        bad = hidden < 0 ? -1 : hidden == 0 ? PyList_Append(all, key) : 0;
    }
    if (bad == 0)
        bad = PyObject_SetAttrString(module, "__all__", all);
    Py_XDECREF(all);
    return bad;
}
static int horusp_exec(PyObject *module)
{
    static bool used;
    if (used) {
        PyErr_SetString(PyExc_ImportError,
                        "horus is loaded by another interpreter of this process, or was "
                        "loaded before");
        return -1;
    }
    horusp.module = module;
    horusp_dynamic_tag = horus_type_tag(&horusp_dynamic_type);
    PyObject *version = horusp_get_version(module, NULL);
    horusp.pools = PyDict_New();
    if (!version || !horusp.pools || horusp_errors_init(module) < 0 ||
        PyType_Ready(&horusp_hold_type) < 0 ||
        horusp_add_frame_type(module, &horusp_image_type, "Image") < 0 ||
        horusp_add_frame_type(module, &horusp_cloud_type, "PointCloud") < 0 ||
        horusp_add_frame_type(module, &horusp_depth_type, "DepthImage") < 0 ||
        horusp_add_frame_type(module, &horusp_tensor_type, "Tensor") < 0 ||
        horusp_add_type(module, &horusp_tensor_type, "TensorHandle") < 0 ||
        horusp_add_type(module, &horusp_pool_type, "TensorPool") < 0 ||
        horusp_add_type(module, &horusp_topic_type, "Topic") < 0 ||
        horusp_add_type(module, &horusp_pub_type, "Pub") < 0 ||
        horusp_add_type(module, &horusp_sub_type, "Sub") < 0 ||
        horusp_add_type(module, &horusp_node_type, "Node") < 0 ||
        horusp_add_type(module, &horusp_info_type, "NodeInfo") < 0 ||
        horusp_add_type(module, &horusp_scheduler_type, "Scheduler") < 0 ||
        horusp_add_type(module, &horusp_rate_type, "Rate") < 0 ||
        horusp_add_type(module, &horusp_infer_type, "InferenceOp") < 0 ||
        !(horusp_infer_error =
              horusp_exception(module, "InferenceError", HORUSP_VALUE_ERROR, PyExc_ValueError,
                               "Of an InferenceOp: a line for each problem.")) ||
        horusp_scheduler_init(module) < 0 || horusp_vision_init(module) < 0 ||
        PyModule_AddObject(module, "__version__", version) < 0 ||
        PyModule_AddObject(module, "us", PyFloat_FromDouble(1e-6)) < 0 ||
        PyModule_AddObject(module, "ms", PyFloat_FromDouble(1e-3)) < 0 ||
        horusp_messages_init(module) < 0 || horusp_all_init(module) < 0)
        return -1;
    PyObject *modules = PyImport_GetModuleDict(); /* programs in the wild import horus._horus */
    if (PyDict_SetItemString(modules, "horus._horus", module) < 0)
        return -1;
    Py_INCREF(module);
    if (PyModule_AddObject(module, "_horus", module) < 0)
        return -1;
    used = true;
    return 0;
}
static void horusp_free(void *module)
{
    (void)module;
    horusp_codec_clear();
}
static PyModuleDef_Slot horusp_slots[] = {
    {Py_mod_exec, NULL}, /* horusp_exec: see below */
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030d0000
    {Py_mod_gil, Py_MOD_GIL_USED}, /* it guards handles, counters and tables: see the manual */
#endif
    {0, NULL}};
static PyModuleDef horusp_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "horus",
    .m_doc = "Crash-safe shared memory for robots: images, point clouds, depth and tensors in a "
             "pool, lock-free "
             "topics; zero-copy into NumPy, PyTorch, JAX and others.",
    .m_methods = horusp_functions,
    .m_slots = horusp_slots,
    .m_free = horusp_free,
};
PyMODINIT_FUNC PyInit_horus(void);
PyMODINIT_FUNC PyInit_horus(void)
{
    int (*exec)(PyObject *) = horusp_exec;
    memcpy(&horusp_slots[0].value, &exec, sizeof exec); /* ISO C has no cast for it */
    return PyModuleDef_Init(&horusp_module);
}

#endif /* HORUS_PYTHON_IMPLEMENTATION */
#endif /* HORUS_PYTHON_H */
