"""The small mistakes that a module is given, each alone: a comparison, a constant, a return, a row of a table."""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final


@dataclass(frozen=True)
class Mutant:
    """A module with one mistake."""

    line: int
    text: str
    """The line, without what stands before and behind."""
    says: str
    """The mistake, in words."""
    tree: ast.Module


_COMPARED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_CALCULATED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_CALLED: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_SHOWN_CHARS: Final = 60

Change = Callable[[Any], ast.AST]
"""Makes the mistake in a copy of the node, and returns what stands in its place."""


def mutants(source: str) -> Iterator[Mutant]:
    """Every mistake, in the order of the lines.

    Not in what no test can see or should: annotations, decorators, docstrings, and the words of messages.
    """
    tree, lines = ast.parse(source), source.splitlines()
    for path, node in _visible(tree, ()):
        for says, change in _changes(node, is_of_module=len(path) < _DEPTH_OF_TABLES):
            mutated = copy.deepcopy(tree)
            _put(mutated, path, change)
            line = getattr(node, "lineno", 0)
            shown = f"{ast.unparse(node)[:_SHOWN_CHARS]!r}: {says}"
            yield Mutant(line, lines[line - 1].strip() if line else "", shown, mutated)


_DEPTH_OF_TABLES: Final = 14
"""Tables are near the top of a module; what is deeper in the tree than this stands within a function."""

Path = tuple[tuple[str, int | None], ...]


def _visible(node: ast.AST, path: Path) -> Iterator[tuple[Path, ast.AST]]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params") or isinstance(node, ast.JoinedStr):
            continue
        if isinstance(node, ast.Raise) or _is_type(node):
            continue
        children = enumerate(value) if isinstance(value, list) else [(None, value)]
        for at, child in children:
            if isinstance(child, ast.AST) and not _is_text(child):
                here = (*path, (name, at))
                yield here, child
                yield from _visible(child, here)


def _is_text(node: ast.AST) -> bool:
    """A docstring, or a string below an attribute that explains it."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_type(node: ast.AST) -> bool:
    """A type that is given a name, as annotations are."""
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Callable"


def _put(tree: ast.AST, path: Path, change: Change) -> None:
    parent: Any = tree
    for name, at in path[:-1]:
        parent = getattr(parent, name) if at is None else getattr(parent, name)[at]
    name, at = path[-1]
    if at is None:
        setattr(parent, name, change(getattr(parent, name)))
    else:
        getattr(parent, name)[at] = change(getattr(parent, name)[at])
    ast.fix_missing_locations(tree)


def _changes(node: ast.AST, *, is_of_module: bool) -> Iterator[tuple[str, Change]]:
    yield from _of_expression(node)
    yield from _of_statement(node)
    if is_of_module and isinstance(node, (ast.Tuple, ast.List, ast.Set, ast.Dict)):
        yield from _without_each_row(node)
    if is_of_module and isinstance(node, ast.Call):
        yield from _with_cells_exchanged(node)


def _of_expression(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            if type(operator) in _COMPARED:
                yield _COMPARED[type(operator)].__name__, _compares(at)
    elif isinstance(node, ast.BoolOp):
        yield "and for or, or for and", _joins
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "without not", lambda found: found.operand
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _CALCULATED:
        yield _CALCULATED[type(node.op)].__name__, _calculates
    elif isinstance(node, ast.Constant) and type(node.value) in (bool, int):
        yield "another constant", _counts
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLED:
        yield _CALLED[node.func.id], _calls


def _of_statement(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield "the condition's contrary", _denies
    elif isinstance(node, ast.Return) and node.value is not None and not _is_falsy(node.value):
        yield "None", lambda _: ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield "left out", lambda _: ast.Pass()
    elif isinstance(node, ast.Continue):
        yield "break", lambda _: ast.Break()


def _without_each_row(node: ast.Tuple | ast.List | ast.Set | ast.Dict) -> Iterator[tuple[str, Change]]:
    rows = node.keys if isinstance(node, ast.Dict) else node.elts
    for at, row in enumerate(rows):
        yield f"without {ast.unparse(row)[:_SHOWN_CHARS] if row is not None else '**'}", _lacks(at)


def _with_cells_exchanged(node: ast.Call) -> Iterator[tuple[str, Change]]:
    """A row of a table that is made by a call: two of its cells beside each other change places.

    Cells are constants by their names. Other arguments are of different types, and exchanged they do not run at all.
    """
    for at, (one, other) in enumerate(pairwise(node.args)):
        if ast.dump(one) != ast.dump(other) and _is_cell(one) and _is_cell(other):
            yield f"{ast.unparse(one)} and {ast.unparse(other)} exchanged", _exchanges(at)


def _is_cell(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.isupper()


def _exchanges(at: int) -> Change:
    def change(found: Any) -> ast.AST:
        found.args[at : at + 2] = reversed(found.args[at : at + 2])
        return _node(found)

    return change


def _lacks(at: int) -> Change:
    def change(found: Any) -> ast.AST:
        if isinstance(found, ast.Dict):
            del found.keys[at], found.values[at]
        else:
            del found.elts[at]
        return found if not isinstance(found, ast.Set) or found.elts else ast.parse("set()", mode="eval").body

    return change


def _compares(at: int) -> Change:
    def change(found: Any) -> ast.AST:
        found.ops[at] = _COMPARED[type(found.ops[at])]()
        return _node(found)

    return change


def _joins(found: Any) -> ast.AST:
    found.op = ast.Or() if isinstance(found.op, ast.And) else ast.And()
    return _node(found)


def _calculates(found: Any) -> ast.AST:
    found.op = _CALCULATED[type(found.op)]()
    return _node(found)


def _denies(found: Any) -> ast.AST:
    found.test = ast.UnaryOp(ast.Not(), found.test)
    return _node(found)


def _counts(found: Any) -> ast.AST:
    return ast.Constant(not found.value if isinstance(found.value, bool) else found.value + 1)


def _calls(found: Any) -> ast.AST:
    found.func.id = _CALLED[found.func.id]
    return _node(found)


def _node(found: ast.AST) -> ast.AST:
    return found


def _is_falsy(node: ast.AST) -> bool:
    """Whether None in its place would be the same to whoever only asks whether it is true."""
    return isinstance(node, ast.Constant) and not node.value
