"""Which samples follow which: sequences, each in order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sequences"]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Samples in sequences; between two of them is a gap, at which what was remembered is forgotten.

    Parameters
    ----------
    of : int64 (n,), the sequence of every sample, numbered from 0; within one, samples are in order of time
    names : of the sequences; empty: their numbers
    """

    of: NDArray[np.int64]
    names: tuple[str, ...] = ()

    @classmethod
    def given(cls, *names: NDArray[np.generic] | None) -> Sequences:
        """Samples that all of ``names`` (n,) call alike (recordings, sequences of each) are one sequence."""
        given = [np.asarray(each) for each in names if each is not None]
        keys = np.stack([np.unique(each, return_inverse=True)[1] for each in given])
        _, first, number = np.unique(keys, axis=1, return_index=True, return_inverse=True)
        called = tuple("/".join(str(each[i]) for each in given) for i in first)
        return cls(number.reshape(-1).astype(np.int64), called)

    def only(self, samples: NDArray[np.intp]) -> Sequences:
        """Of some of the samples, by number: whole sequences."""
        kept, number = np.unique(self.of[samples], return_inverse=True)
        return Sequences(number.astype(np.int64), tuple(self.names[i] for i in kept) if self.names else ())

    @property
    def samples(self) -> int:
        return len(self.of)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """How many samples each has, (S,)."""
        return np.bincount(self.of)

    @cached_property
    def _order(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Samples sorted by sequence, then time; where each sequence begins among them."""
        return np.argsort(self.of, kind="stable"), np.concatenate([[0], np.cumsum(self.lengths)[:-1]])

    @property
    def members(self) -> list[NDArray[np.intp]]:
        """The samples of every sequence, in order of time."""
        samples, starts = self._order
        return [np.asarray(part) for part in np.split(samples, starts[1:])]

    def before(self, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Of every sample the last ``chosen`` one of its sequence up to it, (n,); without one its first."""
        samples, starts = self._order
        place = np.arange(len(samples))
        begins = np.zeros(len(samples), bool)
        begins[starts] = True
        last = np.maximum.accumulate(np.where(chosen[samples] | begins, place, 0))
        stands = np.empty(len(samples), np.intp)
        stands[samples] = samples[last]
        return stands

    def steps(self) -> Iterator[NDArray[np.intp]]:
        """The t-th sample of every sequence that has one, for t = 0, 1, ...

        Sequences stand from the longest to the shortest: those that have ended are the last of the step before.
        """
        samples, starts = self._order
        longest = np.argsort(-self.lengths, kind="stable")
        starts, lengths = starts[longest], self.lengths[longest]
        for t in range(int(lengths[0]) if len(lengths) else 0):
            yield samples[starts[: np.searchsorted(-lengths, -t)] + t]
