"""Small dense linear algebra written out in CasADi symbols."""

import casadi as ca


def lower_root(factors: ca.SX) -> ca.SX:
    """L (n, n) lower triangular, diagonal not negative, L L^T = factors factors^T; factors (n, m) with m >= n.

    Householder reflections (Golub and Van Loan, Matrix Computations, sec. 5.2), as LAPACK takes them.
    """
    n = factors.shape[0]
    r = ca.densify(factors.T)
    for j in range(n):
        length = ca.norm_2(r[j:, j])
        end = ca.if_else(r[j, j] > 0.0, -length, length)
        normal = ca.vertcat(r[j, j] - end, r[j + 1 :, j])
        size = ca.sumsqr(normal)
        size = ca.if_else(size > 0.0, size, 1.0)
        for k in range(j + 1, n):
            r[j:, k] -= 2.0 * ca.dot(normal, r[j:, k]) / size * normal
        r[j, j] = end
    root = ca.SX.zeros(n, n)
    for j in range(n):
        sign = ca.if_else(r[j, j] < 0.0, -1.0, 1.0)
        for k in range(j, n):
            root[k, j] = sign * r[j, k]
    return root


def divided(left: ca.SX, matrix: ca.SX) -> ca.SX:
    """left matrix^-1 of a positive definite matrix, by Cholesky's factors; NaN where it is not positive definite."""
    n = matrix.shape[0]
    root = ca.SX.zeros(n, n)
    for j in range(n):
        for i in range(j, n):
            rest = matrix[i, j] - sum((root[i, k] * root[j, k] for k in range(j)), ca.SX(0.0))
            root[i, j] = ca.sqrt(rest) if i == j else rest / root[j, j]
    columns: list[ca.SX] = []
    for i in range(n):
        rest = left[:, i] - sum((root[i, k] * columns[k] for k in range(i)), ca.SX.zeros(left.shape[0], 1))
        columns.append(rest / root[i, i])
    for i in reversed(range(n)):
        rest = columns[i] - sum((root[k, i] * columns[k] for k in range(i + 1, n)), ca.SX.zeros(left.shape[0], 1))
        columns[i] = rest / root[i, i]
    return ca.horzcat(*columns)
