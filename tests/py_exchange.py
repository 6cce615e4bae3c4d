"""DLPack's exchange table as ctypes sees it, for the tests that call its functions."""
import ctypes as c

import horus

READ_ONLY, IS_COPIED = 1, 2


class Device(c.Structure):
    _fields_ = [("type", c.c_int32), ("id", c.c_int32)]


class DType(c.Structure):
    _fields_ = [("code", c.c_uint8), ("bits", c.c_uint8), ("lanes", c.c_uint16)]


class DLTensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("device", Device), ("ndim", c.c_int32), ("dtype", DType),
                ("shape", c.POINTER(c.c_int64)), ("strides", c.POINTER(c.c_int64)), ("byte_offset", c.c_uint64)]


class Managed(c.Structure):
    pass


DELETER = c.CFUNCTYPE(None, c.POINTER(Managed))
Managed._fields_ = [("major", c.c_uint32), ("minor", c.c_uint32), ("manager_ctx", c.c_void_p), ("deleter", DELETER),
                    ("flags", c.c_uint64), ("tensor", DLTensor)]
MANAGED = c.POINTER(Managed)
SET_ERROR = c.CFUNCTYPE(None, c.c_void_p, c.c_char_p, c.c_char_p)


class Table(c.Structure):  # PYFUNCTYPE keeps the interpreter's lock and raises what was set; CFUNCTYPE gives it up
    _fields_ = [("major", c.c_uint32), ("minor", c.c_uint32), ("older", c.c_void_p),
                ("allocate", c.CFUNCTYPE(c.c_int, c.POINTER(DLTensor), c.POINTER(MANAGED), c.c_void_p, SET_ERROR)),
                ("from_object", c.PYFUNCTYPE(c.c_int, c.py_object, c.POINTER(MANAGED))),
                ("to_object", c.PYFUNCTYPE(c.c_int, MANAGED, c.POINTER(c.c_void_p))),
                ("view", c.PYFUNCTYPE(c.c_int, c.py_object, c.POINTER(DLTensor))),
                ("stream", c.CFUNCTYPE(c.c_int, c.c_int32, c.c_int32, c.POINTER(c.c_void_p)))]


def table_of(kind):
    get = c.pythonapi.PyCapsule_GetPointer
    get.argtypes, get.restype = [c.py_object, c.c_char_p], c.c_void_p
    return Table.from_address(get(kind.__dlpack_c_exchange_api__, b"dlpack_exchange_api"))


TABLE = table_of(horus.Tensor)


def export(frame):
    """An owning tensor. Its deleter is the caller's to call."""
    out = MANAGED()
    TABLE.from_object(frame, c.byref(out))
    return out


def delete(managed):
    managed.contents.deleter(managed)


def view(frame):
    out = DLTensor()
    TABLE.view(frame, c.byref(out))
    return out


def taken(managed):
    """The object that the table makes of an owning tensor, whose owner it becomes."""
    out = c.c_void_p()
    TABLE.to_object(managed, c.byref(out))
    made = c.cast(out, c.py_object).value
    c.pythonapi.Py_DecRef(c.py_object(made))
    return made


def prototype(shape, code=2, bits=32, lanes=1, device=(1, 0), data=None, strides=None):
    def array(values):
        return c.cast((c.c_int64 * max(len(values), 1))(*values), c.POINTER(c.c_int64))
    return DLTensor(data, Device(*device), len(shape), DType(code, bits, lanes), array(shape),
                    array(strides) if strides is not None else None, 0)


def foreign(deleted, tensor, flags=0, major=1):
    """An owning tensor of somebody else, which notes its deletion."""
    made = Managed(major, 0, None, DELETER(lambda m: deleted.append(1)), flags, tensor)
    return c.pointer(made)


def allocate(tensor):
    """An owning tensor of the table's allocator, and what it said about a failure."""
    said = []
    out = MANAGED()
    code = TABLE.allocate(c.byref(tensor), c.byref(out), 7,
                          SET_ERROR(lambda context, kind, text: said.append((context, kind.decode(), text.decode()))))
    return code, out, said
