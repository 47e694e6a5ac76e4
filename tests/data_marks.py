"""Marks for tests on measured data that the repository does not carry."""

import functools

import pytest

from physics_twin import datasets
from physics_twin.errors import DataError


@functools.cache
def why_not(name: str) -> str:
    """Why a data set cannot be had here, or "" if it can."""
    dataset = datasets.load(name)
    try:
        dataset.path(next(file for file in dataset.files if file.endswith(".csv")))
    except DataError as error:
        return str(error)
    return ""


def needs_data(name: str) -> pytest.MarkDecorator:
    """Skip a test, saying why, where the data set is neither in PHYSICS_TWIN_DATA nor to be fetched."""
    return pytest.mark.skipif(bool(why_not(name)), reason=why_not(name) or "available")
