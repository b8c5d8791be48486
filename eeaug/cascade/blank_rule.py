"""When a model's own outputs say that a sample holds nothing: a small language of expressions.

    max(scores) < 0.3
    mean(output > 0.5) < 0.01                  less than 1 % of a mask
    max(output[..., 1:]) < 0.5                 no class but the first
    mean(abs(output - input)) < 0.02 and not max(alarm) >= 0.9

Python's parser reads the text, and nothing of it is ever run as Python: what ALLOWED does not list is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

from eeaug.errors import InputError
from eeaug.support.spelling import nearest

if TYPE_CHECKING:  # options are parsed before NumPy is imported
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ALLOWED", "INPUT", "ONLY", "BlankRule"]

LONGEST = 500  # letters, so that nesting stays shallow
LARGEST = 10**300  # of a whole number: NumPy's are no larger
INPUT = "input"  # the prepared sample, of a model with one input
ONLY = "output"  # the only output, whatever its name
REDUCTIONS = ("max", "min", "mean", "sum")
ALLOWED = (
    "names of outputs, numbers, max, min, mean, sum and abs of one value, [index], + - * /, < <= > >= == !=, "
    "and, or, not, parentheses"
)
# what stands in the tree → NumPy's function
_COMPARED: Mapping[type[ast.AST], str] = {
    ast.Lt: "less", ast.LtE: "less_equal", ast.Gt: "greater", ast.GtE: "greater_equal", ast.Eq: "equal",
    ast.NotEq: "not_equal",
}  # fmt: skip
_SUMS: Mapping[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "true_divide",
}  # fmt: skip
_SIGNS: Mapping[type[ast.AST], str] = {ast.USub: "negative", ast.UAdd: "positive", ast.Not: "logical_not"}
_JOINED: Mapping[type[ast.AST], str] = {ast.And: "logical_and", ast.Or: "logical_or"}


@dataclass(frozen=True)
class BlankRule:
    """An expression that is true of samples that hold nothing.

    A name stands for an output of the model. A reduction is over all values of a sample; an index is one into the
    values of a sample; comparisons, sums and ``abs`` are value by value.

    Parameters
    ----------
    text : as it was given

    Raises
    ------
    InputError : it is none of this language; says what is allowed
    """

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > LONGEST:
            raise self._refused(f"it has {len(self.text):,} letters, at most {LONGEST} are read")
        if not self._answers(self._tree):
            raise self._refused("it is a number and must be a comparison, such as max(output) < 0.3")

    @property
    def names(self) -> tuple[str, ...]:
        """What it speaks of: outputs, or inputs."""
        called = {id(node.func) for node in ast.walk(self._tree) if isinstance(node, ast.Call)}
        names = [node for node in ast.walk(self._tree) if isinstance(node, ast.Name) and id(node) not in called]
        return tuple(dict.fromkeys(name.id for name in sorted(names, key=lambda name: name.col_offset)))

    def of(self, outputs: Mapping[str, NDArray[Any]], inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """Which of n samples hold nothing, (n,), by the model's outputs and prepared inputs (n, ...) by name.

        Raises
        ------
        InputError : there is no such output, shapes do not fit each other, or a sample has more than one answer
        """
        import numpy as np

        with np.errstate(all="ignore"):
            blank = np.asarray(self._value(self._tree, self._tensors(outputs, inputs)))
        count = len(next(iter(outputs.values())))
        if blank.ndim > 1 and blank.size != count:
            raise self._unfit(
                f"a sample has {blank[0].size:,} answers and must have one: put max, min, mean or sum around names"
            )
        return np.broadcast_to(blank.reshape(-1), (count,)).astype(bool)

    def compared(
        self, outputs: Mapping[str, NDArray[Any]], inputs: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """What it compares that is one number of a sample, (n,) by its text: what limits could be."""
        import numpy as np

        tensors = self._tensors(outputs, inputs)
        pairs = [(each.left, *each.comparators) for each in ast.walk(self._tree) if isinstance(each, ast.Compare)]
        with np.errstate(all="ignore"):
            sides = {ast.unparse(side): np.asarray(self._value(side, tensors)) for pair in pairs for side in pair}
        return {text: values for text, values in sides.items() if values.ndim == 1}

    def _tensors(
        self, outputs: Mapping[str, NDArray[Any]], inputs: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """What names mean; an output's name wins."""
        tensors: dict[str, NDArray[Any]] = {**inputs, **outputs}
        if len(outputs) == 1:
            tensors.setdefault(ONLY, next(iter(outputs.values())))
        for name in self.names:
            if name not in tensors:
                hint = nearest(name, tensors) or f"; there are {', '.join(tensors)}"
                raise self._unfit(f"no output is called {name!r}{hint}")
        return tensors

    @cached_property
    def _tree(self) -> ast.expr:
        try:
            return ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._refused("it is no expression") from error

    def _answers(self, node: ast.expr) -> bool:
        """Whether a part is true or false, not a number; raises where it is none of the language."""
        match node:
            case ast.Name():
                return False
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                if isinstance(value, int) and value > LARGEST:
                    raise self._refused(f"{ast.unparse(node)[:20]}... is too large a number")
                return False
            case ast.Call(func=ast.Name(id=called), args=[inner], keywords=[]) if called in (*REDUCTIONS, "abs"):
                return self._answers(inner) and called in ("max", "min")  # any, all
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _SUMS:
                for part in (left, right):
                    self._answers(part)
                return False
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return self._true_or_false(inner)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
                self._answers(inner)
                return False
            case ast.BoolOp(values=parts):
                return all(map(self._true_or_false, parts))
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARED for op in ops):
                for part in (left, *others):
                    self._answers(part)
                return True
            case ast.Subscript(value=ast.Name(), slice=index):
                if all(map(_is_index, index.elts if isinstance(index, ast.Tuple) else [index])):
                    return False
                raise self._refused(f"{ast.unparse(node)}: an index is of whole numbers and :")
        raise self._refused(f"{ast.unparse(node)} is not allowed")

    def _true_or_false(self, node: ast.expr) -> bool:
        if not self._answers(node):
            raise self._refused(f"{ast.unparse(node)} is a number, where a comparison must stand")
        return True

    def _value(self, node: ast.expr, tensors: Mapping[str, NDArray[Any]]) -> Any:
        """A number, or an array with an axis of samples first."""
        import numpy as np

        def applied(name: str, *parts: ast.expr) -> Any:
            values = [self._value(part, tensors) for part in parts]
            if name in (*_SUMS.values(), "negative", "positive"):  # of truths, 1 and 0
                values = [np.asarray(value, np.float64) for value in values]
            try:
                return getattr(np, name)(*values)
            except ValueError as error:  # shapes that do not fit each other
                shapes = " and ".join("×".join(map(str, np.shape(value)[1:])) or "a number" for value in values)
                raise self._unfit(f"{ast.unparse(node)}: {shapes} do not fit each other") from error

        match node:
            case ast.Name(id=name):
                return tensors[name]
            case ast.Constant(value=number):
                return number
            case ast.Call(func=ast.Name(id=called), args=[inner]):
                value = np.asarray(self._value(inner, tensors))
                if called == "abs":
                    return np.abs(value.astype(np.float64))
                if value.ndim < 2:
                    return value
                wide = value if value.dtype == bool and called in ("max", "min") else value.astype(np.float64)
                return getattr(wide.reshape(len(value), -1), called)(axis=1)
            case ast.BinOp(left=left, op=op, right=right):
                return applied(_SUMS[type(op)], left, right)
            case ast.UnaryOp(op=sign, operand=inner):
                return applied(_SIGNS[type(sign)], inner)
            case ast.BoolOp(op=join, values=parts):
                return reduce(getattr(np, _JOINED[type(join)]), (self._value(part, tensors) for part in parts))
            case ast.Compare(left=left, ops=ops, comparators=others):
                pairs = zip((left, *others), ops, others, strict=False)
                return reduce(np.logical_and, [applied(_COMPARED[type(op)], a, b) for a, op, b in pairs])
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                try:
                    return tensors[name][(slice(None), *_index(index))]
                except IndexError as error:
                    shape = "×".join(map(str, tensors[name].shape[1:]))
                    raise self._unfit(f"{ast.unparse(node)}: {name} has the shape {shape}") from error
        raise AssertionError(ast.dump(node))

    def _refused(self, why: str) -> InputError:
        return self._unfit(f"{why}; allowed are {ALLOWED}")

    def _unfit(self, why: str) -> InputError:
        shown = self.text if len(self.text) <= 80 else f"{self.text[:77]}..."
        return InputError(f'--blank-when "{shown}": {why}')


def _is_index(node: ast.expr) -> bool:
    match node:
        case ast.Slice(lower=lower, upper=upper, step=step):
            return all(part is None or _whole(part) is not None for part in (lower, upper, step))
        case ast.Constant(value=value) if value is Ellipsis:
            return True
    return _whole(node) is not None


def _whole(node: ast.expr | None) -> int | None:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)) if not isinstance(value, bool):
            return -value
    return None


def _index(node: ast.expr) -> tuple[Any, ...]:
    return tuple(
        slice(_whole(part.lower), _whole(part.upper), _whole(part.step))
        if isinstance(part, ast.Slice)
        else ... if isinstance(part, ast.Constant) and part.value is Ellipsis else _whole(part)
        for part in (node.elts if isinstance(node, ast.Tuple) else [node])
    )  # fmt: skip
