"""Arrays become bytes and come back to the last bit; other bytes are refused."""

import numpy as np
import pytest

from physics_twin.errors import FileFormatError
from physics_twin.packed_arrays import pack, unpack

NAMED = {
    "value": np.array(-0.0),
    "slope": np.array([1.0, np.nan, -np.inf, 5e-324]),
    "nothing": np.empty((0, 3)),
    "turned": np.arange(6.0).reshape(2, 3).T,
    "other order": np.arange(3, dtype=">f4"),
    "größe": np.array([True, False]),
    "count": np.arange(3, dtype=np.int8),
}


def test_there_and_back() -> None:
    """Names in their order, types, shapes and bits; what comes back may be written to."""
    found = unpack(pack(NAMED))
    assert list(found) == list(NAMED)
    for name, array in NAMED.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
        found[name][...] = 0
    assert unpack(pack({})) == {}


@pytest.mark.parametrize("other", [np.array([{}]), np.array(["text"]), np.array(["2020-01-01"], dtype="M8[D]")])
def test_only_numbers_are_packed(other: np.ndarray) -> None:
    """Objects would have to be executed to come back."""
    with pytest.raises(TypeError, match="only numbers"):
        pack({"it": other})


def test_damaged_bytes_are_refused() -> None:
    """Cut anywhere inside a record, or naming a type of objects, or of a size that is not there."""
    whole = pack({"slope": np.arange(3.0)})
    for end in range(1, len(whole)):
        with pytest.raises(FileFormatError, match="is damaged"):
            unpack(whole[:end])
    for wrong in (b"|O8", b"<U8", b"<q9"):
        with pytest.raises(FileFormatError, match="is damaged"):
            unpack(whole.replace(b"<f8", wrong))
    with pytest.raises(FileFormatError, match="is damaged"):
        unpack(whole.replace((3).to_bytes(8, "little"), (2**63).to_bytes(8, "little")))
