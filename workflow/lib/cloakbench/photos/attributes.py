"""Attributes of the attacked faces, from a user's file: subjects have numbers there, and nobody a name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.files.reading import read_table
from cloakbench.photos.sample import FORMULA
from cloakbench.study.attributes import Attributes

FACE = ["subject", "photo"]


def of_faces(attributes: Attributes, subjects: pd.DataFrame) -> pd.DataFrame:
    """A row a face with subject, photo and the columns of the file, empty where it says nothing.

    subjects: rows of subjects.csv that are attacked. A value that a spreadsheet would take for a formula gets a ' in
    front. Raises InputError for a file that says nothing of anybody.
    """
    names = subjects[attributes.who]
    if not names.isin(attributes.rows).any():
        attacked = f"{names.nunique()} attacked {'people' if attributes.who == 'identity' else 'photos'}"
        none = f"dataset.attributes: none of the file's {len(attributes.rows)} rows is about one of the {attacked}"
        raise InputError(f"{none}; give each {attributes.who} as in subjects.csv")
    none = ("",) * len(attributes.names)
    values = [attributes.rows.get(name, none) for name in names]
    told = pd.DataFrame(values, columns=list(attributes.names), index=subjects.index)
    return pd.concat(
        [subjects[FACE], told.map(lambda value: f"'{value}" if value.startswith(FORMULA) else value)], axis=1
    )


def read_faces_attributes(path: Path) -> pd.DataFrame:
    """What was written of it: values are text, whatever they look like. Raises InputError for a damaged file."""
    return read_table(path, dtype=str, keep_default_na=False).astype(dict.fromkeys(FACE, "Int64"))
