"""Show functions in the reference as `help()` shows them: with every option one by one.

mkdocstrings reads the code without running it, and would see ``**options``; the signatures and
the documentation of options are written when llmnb is imported (`llmnb/signatures.py`).
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from contextlib import suppress
from typing import Any

from griffe import (
    Class,
    Docstring,
    Extension,
    Function,
    Object,
    Parameter,
    ParameterKind,
    Parameters,
)

KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: ParameterKind.positional_only,
    inspect.Parameter.POSITIONAL_OR_KEYWORD: ParameterKind.positional_or_keyword,
    inspect.Parameter.VAR_POSITIONAL: ParameterKind.var_positional,
    inspect.Parameter.KEYWORD_ONLY: ParameterKind.keyword_only,
    inspect.Parameter.VAR_KEYWORD: ParameterKind.var_keyword,
}


class Shown(Extension):
    """Gives functions that take ``**options`` the signature and the text that a person sees."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Have examples read as such: griffe knows a section by the name of several."""
        if obj.docstring is not None:
            obj.docstring.value = with_examples(obj.docstring.value)

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Replace what was read of a function by what it shows, where the two differ."""
        if not any("Unpack[" in str(parameter.annotation) for parameter in func.parameters):
            return
        value = at_run_time(func)
        func.parameters = parameters(value)
        owner = func.parent if func.name == "__init__" and func.parent else func
        describe(owner, at_run_time(owner))

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Show methods that another function made of a method."""
        for name, member in list(cls.members.items()):
            if member.is_attribute and str(member.value).startswith("with_keywords("):
                value = at_run_time(member)
                method = Function(name, parameters=parameters(value), parent=cls)
                method.returns = str(inspect.signature(value).return_annotation)
                method.docstring = member.docstring or Docstring("", parent=method)
                describe(method, value)
                cls.members[name] = method


def at_run_time(seen: Object) -> Any:
    """Return the function or the class that griffe has read."""
    value: Any = importlib.import_module(seen.module.path)
    for name in seen.path.removeprefix(f"{seen.module.path}.").split("."):
        value = getattr(value, name)
    return value


def describe(seen: Object, value: Any) -> None:
    """Give what griffe has read the text that it has at run time."""
    if value.__doc__ and seen.docstring is not None:
        text = with_examples(inspect.cleandoc(value.__doc__))
        seen.docstring = Docstring(text, parser=seen.docstring.parser, parent=seen)


def with_examples(text: str) -> str:
    """Return a docstring whose example griffe takes for one."""
    return re.sub(r"^Example:$", "Examples:", text, flags=re.M)


def parameters(value: Any) -> Parameters:
    """Return the parameters that a function shows, those of a list of keywords one by one."""
    *own, last = inspect.signature(value).parameters.values()
    shown = [parameter(each) for each in own]
    listed = re.search(r"Unpack\[(\w+)\]", str(last.annotation))
    if listed is None:
        return Parameters(*shown, parameter(last))
    keywords = value.__globals__[listed[1]].__annotations__
    one = ParameterKind.keyword_only
    more = (
        Parameter(name, annotation=type_, kind=one, default="...")
        for name, type_ in keywords.items()
    )
    return Parameters(*shown, *more)


def parameter(shown: inspect.Parameter) -> Parameter:
    """Return a parameter of `inspect` as one of griffe."""
    empty = inspect.Parameter.empty
    return Parameter(
        shown.name,
        annotation=None if shown.annotation is empty else str(shown.annotation),
        kind=KINDS[shown.kind],
        default=None if shown.default is empty else source_of(shown.default),
    )


def source_of(value: Any) -> str:
    """Return a default as code; what is none, such as ``<unchanged>``, would spoil the lines."""
    with suppress(SyntaxError):
        ast.parse(repr(value), mode="eval")
        return repr(value)
    return "..."
