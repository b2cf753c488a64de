"""Allow-list of the code that an exported reward program may have: constructs, modules, builtins, attributes.

Inside the seal a program can do no harm whatever it names. An exported file runs with its reader's rights, so its
program may only use what computes on arrays: what is listed here. Everything else is refused by `refused_code`, whether
it would do harm or not. Nothing that the static checks forbid is in it; they let more pass, as their programs are
sealed.
"""

from __future__ import annotations

import ast
import math
import types
from collections.abc import Mapping
from typing import Final

_NUMPY = """
    abs absolute acos acosh add all allclose amax amin angle any append apply_along_axis apply_over_axes arange arccos
    arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argpartition argsort argwhere around array array_equal
    array_equiv array_split asanyarray asarray asarray_chkfinite ascontiguousarray asin asinh astype atan atan2 atanh
    atleast_1d atleast_2d atleast_3d average bartlett bincount bitwise_and bitwise_count bitwise_invert
    bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman block bool bool_
    broadcast_arrays broadcast_shapes broadcast_to cbrt ceil choose clip column_stack complex128 complex64 compress
    concat concatenate conj conjugate convolve copy copysign corrcoef correlate cos cosh count_nonzero cov cross
    cumprod cumsum cumulative_prod cumulative_sum deg2rad degrees delete diag diag_indices diag_indices_from diagflat
    diagonal diff digitize divide divmod dot dsplit dstack e ediff1d einsum empty empty_like equal errstate euler_gamma
    exp exp2 expand_dims expm1 extract eye fabs finfo fix flatnonzero flip fliplr flipud float16 float32 float64
    float_power floating floor floor_divide fmax fmin fmod frexp fromfunction fromiter frompyfunc full full_like gcd
    geomspace gradient greater greater_equal hamming hanning heaviside histogram histogram2d histogram_bin_edges
    histogramdd hsplit hstack hypot i0 identity iinfo imag indices inf inner insert int16 int32 int64 int8 int_ integer
    interp intersect1d intp invert isclose iscomplex iscomplexobj isfinite isin isinf isnan isneginf isposinf isreal
    isrealobj isscalar issubdtype ix_ kaiser kron lcm ldexp left_shift less less_equal lexsort linspace log log10 log1p
    log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logspace matmul matrix_transpose matvec
    max maximum mean median meshgrid min minimum mod modf moveaxis multiply nan nan_to_num nanargmax nanargmin
    nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar
    ndenumerate ndim ndindex negative newaxis nextafter nonzero not_equal number ones ones_like outer pad partition
    percentile permute_dims pi piecewise poly polyadd polyder polydiv polyfit polyint polymul polysub polyval positive
    pow power prod ptp quantile rad2deg radians ravel ravel_multi_index real reciprocal remainder repeat reshape resize
    result_type right_shift rint roll rollaxis roots rot90 round row_stack searchsorted select setdiff1d setxor1d shape
    sign signbit sin sinc single sinh size sort spacing split sqrt square squeeze stack std subtract sum swapaxes take
    take_along_axis tan tanh tensordot tile trace transpose trapezoid trapz tri tril tril_indices triu triu_indices
    true_divide trunc uint16 uint32 uint64 uint8 union1d unique unravel_index unstack unwrap vander var vdot vecdot
    vecmat vectorize vsplit vstack where zeros zeros_like
"""
"""Functions, types and constants that compute on arrays. Not among them: what reads or writes files, loads code,
prints, changes NumPy's settings, looks at the caller, or gives access to memory (`lib`, `nditer`, `frombuffer`, and
`ndarray`, which takes a buffer's bytes for the addresses of objects)."""
_LINALG = """
    LinAlgError cholesky cond cross det diagonal eig eigh eigvals eigvalsh inv lstsq matmul matrix_norm matrix_power
    matrix_rank matrix_transpose multi_dot norm outer pinv qr slogdet solve svd svdvals tensordot tensorinv tensorsolve
    trace vecdot vector_norm
"""
_FFT = (
    "fft fft2 fftfreq fftn fftshift hfft ifft ifft2 ifftn ifftshift ihfft irfft irfft2 irfftn rfft rfft2 rfftfreq rfftn"
)
_POLYNOMIAL = (
    "polyadd polyder polydiv polyfit polyfromroots polyint polymul polypow polyroots polysub polyval polyvander"
)
_SHAPING = "clip_surplus delta distance kinesthetic potential smooth_step tolerance wrap_angle"
_TYPING = """
    Any Callable Dict Final FrozenSet Iterable Iterator List Literal Mapping MutableMapping Optional Sequence Set Tuple
    TypeAlias Union cast
"""
MODULES: Final[Mapping[str, frozenset[str]]] = {
    "numpy": frozenset(_NUMPY.split()),
    "numpy.linalg": frozenset(_LINALG.split()),
    "numpy.fft": frozenset(_FFT.split()),
    "numpy.polynomial": frozenset({"Polynomial"}),
    "numpy.polynomial.polynomial": frozenset(_POLYNOMIAL.split()),
    "math": frozenset(name for name in dir(math) if not name.startswith("_")),
    "shaping": frozenset(_SHAPING.split()),
    "typing": frozenset(_TYPING.split()),
}
"""Modules by their path, with the names that may be used of each."""
BUILTINS: Final = frozenset(
    """
    abs all any bool complex dict divmod enumerate filter float frozenset int isinstance len list map max min next pow
    range repr reversed round set slice sorted str sum tuple zip Ellipsis ArithmeticError AssertionError AttributeError
    Exception FloatingPointError IndexError KeyError LookupError NameError OverflowError RuntimeError TypeError
    ValueError ZeroDivisionError
""".split()
)
ATTRIBUTES: Final = frozenset(
    """
    T all any argmax argmin argpartition argsort astype choose clip compress conj conjugate copy cumprod cumsum
    diagonal dot dtype fill flat flatten imag item itemsize mT max mean min nbytes ndim nonzero partition prod ravel
    real repeat reshape round searchsorted shape size sort squeeze std sum swapaxes take tolist trace transpose var
    view accumulate at outer reduce reduceat bits eps epsneg kind resolution smallest_normal tiny add append clear
    count discard endswith extend get index insert intersection is_integer isdisjoint issubset issuperset items join
    keys lower pop remove replace reverse setdefault split startswith strip union update upper values
""".split()
)
"""Attributes of arrays, ufuncs, `finfo`, and of Python's numbers, strings and containers."""
_INNER_TYPES = (
    *(types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType, types.FrameType, types.TracebackType),
    *(types.CodeType, types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.ModuleType),
)
RISKY_SIGNALS: Final = frozenset(
    """
    base ctypes data dump dumps format format_map getfield mro newbyteorder obj pyfunc resize setfield setflags strides
    tobytes tofile to_device with_traceback
    """.split()
) | {name for inner_type in _INNER_TYPES for name in dir(inner_type)}
"""Attributes of objects that a program can come by, refused even where the environment has a signal of that name."""

NODES: Final[tuple[type[ast.AST], ...]] = (
    *(
        ast.Module,
        ast.FunctionDef,
        ast.arguments,
        ast.arg,
        ast.Return,
        ast.Lambda,
        ast.Import,
        ast.ImportFrom,
        ast.alias,
    ),
    *(
        ast.Assign,
        ast.AugAssign,
        ast.AnnAssign,
        ast.NamedExpr,
        ast.Expr,
        ast.Pass,
        ast.Break,
        ast.Continue,
        ast.Starred,
    ),
    *(ast.For, ast.While, ast.If, ast.IfExp, ast.With, ast.withitem, ast.Assert, ast.Raise, ast.Try, ast.ExceptHandler),
    *(ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.keyword, ast.Constant, ast.Name, ast.Attribute),
    *(ast.Dict, ast.Set, ast.List, ast.Tuple, ast.Subscript, ast.Slice, ast.JoinedStr, ast.FormattedValue),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension),
    *(ast.boolop, ast.operator, ast.unaryop, ast.cmpop, ast.expr_context),
)
"""Constructs that a program may have; classes, `match`, `global`, `del`, `yield` and `async` are not among them."""
ANNOTATION_NODES: Final = (
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.Tuple,
    ast.List,
    ast.Constant,
    ast.BinOp,
    ast.BitOr,
    ast.expr_context,
)
"""Nodes that the annotation of an argument, a result or a name may have."""
