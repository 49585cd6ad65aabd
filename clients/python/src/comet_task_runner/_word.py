"""What the enums of the contract have in common."""

from enum import StrEnum
from typing import Self


class Word(StrEnum):
    """A word of the contract. Equal to its text; the one that says nothing is empty, and so false."""

    @classmethod
    def unknown(cls, number: int) -> Self:
        """Stands for a word that a newer service knows and this client does not."""
        word = str.__new__(cls, f"UNKNOWN_{number}")
        word._name_ = word._value_ = f"UNKNOWN_{number}"
        return word
