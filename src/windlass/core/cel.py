"""Expressions in CEL: compiled once, asked of plain JSON values, within a budget. The only home of the CEL library.

Called by the API server's validation rules and by policies. The library is imported with the first expression, for it
is large. It hands out errors as values that are true; here an error is always a `CelError`, so that no gate opens on
one. Functions that Kubernetes adds and this module does not have (``url``, ``ip``, ``cidr``, ``quantity``, ``format``,
``semver``, ``authorizer``) are compile errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

LENGTH = 16_384
"""Characters that an expression may have."""
_NAME = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(?<![.\w])[A-Za-z_]\w*")


class CelError(ValueError):
    """An expression that can't be compiled, or failed on a value. The text says why."""


class Program:
    """A compiled expression. ``names`` are the identifiers it uses, variables among them."""

    __slots__ = ("_expression", "names", "text")

    def __init__(self, text: str, expression: Any) -> None:
        self.text = text
        self.names = frozenset(found for found in _NAME.findall(text) if found[0] not in "\"'")
        self._expression = expression

    def value(self, variables: Mapping[str, Any]) -> Any:
        """What the expression gives, as plain Python. Raises `CelError`."""
        library = _library()
        try:
            found = self._expression.eval(data=dict(variables))
        except (RuntimeError, TypeError, ValueError) as error:
            raise CelError(_words(str(error))) from error
        kind = found.type()
        if kind == library.Type.ERROR:
            raise CelError(_words(str(found.value())))
        if kind == library.Type.UNKNOWN:
            raise CelError("the expression depends on a value that is not known")
        return found.plain_value()

    def ask(self, variables: Mapping[str, Any]) -> bool:
        """The expression's yes or no. Raises `CelError` where it gives anything else."""
        found = self.value(variables)
        if not isinstance(found, bool):
            raise CelError(f"the expression gives {type(found).__name__}, not a yes or no")
        return found


def compile_expression(text: str, variables: Iterable[str]) -> Program:
    """Compile an expression over variables of any type. Raises `CelError`."""
    if len(text) > LENGTH:
        raise CelError(f"an expression may have {LENGTH} characters")
    try:
        return Program(text, _environment(tuple(variables)).compile(text))
    except (RuntimeError, ValueError, TypeError) as error:
        raise CelError(_words(str(error))) from error


@cache
def _library() -> Any:
    from cel_expr_python import cel

    return cel


@cache
def _environment(variables: tuple[str, ...]) -> Any:
    from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

    library = _library()
    extensions = [
        ext_strings.ExtStrings(),
        ext_math.ExtMath(),
        ext_optional.ExtOptional(),
        ext_encoders.ExtEncoders(),
        ext_bindings.ExtBindings(),
        library.CelExtension("kubernetes.lists", _list_functions(library)),
    ]
    return library.NewEnv(variables=dict.fromkeys(variables, library.Type.DYN), extensions=extensions)


def _list_functions(library: Any) -> list[Any]:
    """Functions of lists and texts that Kubernetes adds to CEL."""
    kinds = library.Type
    whole = kinds.List(kinds.DYN)

    def member(name: str, parameters: list[Any], result: Any, run: Any) -> Any:
        overload = library.Overload(f"kubernetes_{name}_{len(parameters)}", result, parameters, True, run)
        return library.FunctionDecl(name, [overload])

    return [
        member("isSorted", [whole], kinds.BOOL, lambda found: all(a <= b for a, b in pairwise(found))),
        member("sum", [whole], kinds.DYN, lambda found: sum(found)),
        member("min", [whole], kinds.DYN, lambda found: min(found)),
        member("max", [whole], kinds.DYN, lambda found: max(found)),
    ]


def _words(text: str) -> str:
    """The library's message on one line, without its drawing of the place."""
    lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("|")]
    return " ".join(line for line in lines if line).removeprefix("INVALID_ARGUMENT: ")
