"""A hash of equations that does not depend on their order.

Sums and products are hashed as multisets of their operands and symbols by name, so declaring states or terms in
another order gives the same hash; changing a constant, a sign or an exponent does not.
"""

import hashlib
from collections.abc import Mapping, Sequence

import casadi as ca


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


_SYMMETRIC = (ca.OP_MUL, ca.OP_FMIN, ca.OP_FMAX, ca.OP_EQ, ca.OP_NE, ca.OP_AND, ca.OP_OR)


class _Node:
    """A subexpression: a sum of signed hashes, or a product of hashes, or one hash."""

    __slots__ = ("factors", "terms")

    def __init__(self, terms: tuple[tuple[str, int], ...] = (), factors: tuple[str, ...] = ()) -> None:
        self.terms, self.factors = terms, factors

    def key(self) -> str:
        if self.factors:
            return self.factors[0] if len(self.factors) == 1 else _digest("product", *sorted(self.factors))
        if len(self.terms) == 1 and self.terms[0][1] == 1:
            return self.terms[0][0]
        return _digest("sum", *sorted(f"{sign:+d}{term}" for term, sign in self.terms))

    def as_terms(self) -> tuple[tuple[str, int], ...]:
        return self.terms or ((self.key(), 1),)

    def as_factors(self) -> tuple[str, ...]:
        return self.factors or (self.key(),)


def expression_hashes(symbols: Sequence[tuple[str, ca.SX]], expressions: Sequence[ca.SX]) -> list[str]:
    """One hash per scalar expression; `symbols` names every free symbol, two of one name being the same."""
    names = [name for name, _ in symbols]
    function = ca.Function(
        "f", [symbol for _, symbol in symbols], [ca.vertcat(*expressions)] if expressions else [ca.SX(0)]
    )
    work: dict[int, _Node] = {}
    results: dict[int, str] = {}
    for k in range(function.n_instructions()):
        op = function.instruction_id(k)
        ins, outs = function.instruction_input(k), function.instruction_output(k)
        if op == ca.OP_OUTPUT:
            results[outs[1]] = work[ins[0]].key()
        elif op == ca.OP_INPUT:
            work[outs[0]] = _Node(factors=(_digest("symbol", names[ins[0]], str(ins[1])),))
        elif op == ca.OP_CONST:
            work[outs[0]] = _Node(factors=(_digest("constant", repr(float(function.instruction_constant(k)))),))
        else:
            args = [work[i] for i in ins]
            work[outs[0]] = _combine(op, args)
    return [results.get(i, _digest("constant", "0.0")) for i in range(len(expressions))]


def _combine(op: int, args: list[_Node]) -> _Node:
    if op == ca.OP_ADD:
        return _Node(terms=args[0].as_terms() + args[1].as_terms())
    if op == ca.OP_SUB:
        return _Node(terms=args[0].as_terms() + tuple((t, -s) for t, s in args[1].as_terms()))
    if op == ca.OP_NEG:
        return _Node(terms=tuple((t, -s) for t, s in args[0].as_terms()))
    if op == ca.OP_MUL:
        return _Node(factors=args[0].as_factors() + args[1].as_factors())
    if op == ca.OP_SQ:
        return _Node(factors=args[0].as_factors() * 2)
    keys = [a.key() for a in args]
    return _Node(factors=(_digest(str(op), *(sorted(keys) if op in _SYMMETRIC else keys)),))


def model_hash(parts: Mapping[str, str]) -> str:
    """One fingerprint from named parts, whatever their order; 16 hexadecimal digits."""
    return _digest(*(f"{name}={parts[name]}" for name in sorted(parts)))[:16]
