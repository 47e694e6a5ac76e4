"""A hash of a UFL form by what it says: symbols by name, sums and products as multisets.

UFL's own signature orders operands by the numbers that it counted its symbols with, so that the same description
built twice in a process can have two signatures.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from physics_twin.fem._dolfinx import ufl

_COMMUTATIVE = ("Sum", "Product", "MinValue", "MaxValue", "Inner", "Dot")


def form_hash(form: Any, names: Mapping[Any, str]) -> str:
    """Hash of a form; names: its constants and coefficients -> what the model calls them. Free indices look alike."""
    known: dict[Any, str] = {}
    parts = []
    for integral in form.integrals():
        metadata = sorted((str(k), str(v)) for k, v in integral.metadata().items())
        where = f"{integral.integral_type()} {integral.subdomain_id()} {metadata}"
        parts.append(_digest(where, _hashed(integral.integrand(), names, known)))
    return _digest("form", *sorted(parts))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _hashed(expression: Any, names: Mapping[Any, str], known: dict[Any, str]) -> str:
    if expression in known:
        return known[expression]
    kind = type(expression).__name__
    if expression in names:
        result = _digest("symbol", names[expression])
    elif isinstance(expression, ufl.classes.Variable):
        result = _hashed(expression.ufl_operands[0], names, known)
    elif isinstance(expression, ufl.classes.MultiIndex):
        fixed = [str(int(i)) if isinstance(i, ufl.classes.FixedIndex) else "free" for i in expression.indices()]
        result = _digest("index", *fixed)
    elif isinstance(expression, ufl.classes.Argument):
        result = _digest("argument", str(expression.number()), repr(expression.ufl_element()))
    elif isinstance(expression, ufl.classes.ConstantValue):
        result = _digest(kind, repr(expression))
    elif not expression.ufl_operands:
        result = _digest(kind)  # coordinates, normals, sizes of cells
    else:
        children = [_hashed(child, names, known) for child in expression.ufl_operands]
        result = _digest(kind, *(sorted(children) if kind in _COMMUTATIVE else children))
    known[expression] = result
    return result
