# SPDX-License-Identifier: MIT
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer


@pytest.fixture(scope="session")
def table():
    """The Wisconsin breast-cancer table as float32, and 1 where a row is malignant."""
    data = load_breast_cancer()
    return np.ascontiguousarray(data.data, dtype=np.float32), 1 - data.target
