"""References to variables in the body of a magic, filled in without running anything in braces.

Only ``{name}``, ``{name.attribute}`` and ``{name[0]}`` or ``{name["key"]}`` are references,
and only where a variable of that name exists; where none does the person is told. Every other
brace is part of the prompt, so JSON and code can be pasted as they are. A name in two braces,
``{{name}}``, stays so.
What was filled in is data: it is never looked through for further references.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from llmnb.errors import InputError
from llmnb.frames.template import cell_text

_REFERENCE = re.compile(
    r"""\{
    (?P<name> [^\W\d]\w* )
    (?: \. (?P<attribute> [^\W\d]\w* )
      | \[ (?P<index> -?\d+ | '[^'\\\n]*' | "[^"\\\n]*" ) \]
    )?
    \}""",
    re.VERBOSE,
)


def fill(text: str, variables: Mapping[str, Any]) -> str:
    """Return the text with its references replaced by what they refer to.

    Args:
        text: A prompt.
        variables: What may be referred to.

    Raises:
        InputError: If a variable exists and has no such attribute or item.

    Example:
        >>> fill('{who}: {"a": {b}} {{who}} {facts["x"]}', {"who": "{b}", "facts": {"x": 1}})
        '{b}: {"a": {b}} {{who}} 1'
    """

    def replaced(reference: re.Match[str]) -> str:
        is_private = (reference["attribute"] or "").startswith("__")
        if reference["name"] not in variables or _is_doubled(reference) or is_private:
            return reference[0]
        value = _value(variables[reference["name"]], reference)
        # Dictionaries and lists as they are in a table's cells: as JSON.
        return (cell_text(value) or "") if isinstance(value, (dict, list)) else str(value)

    return _REFERENCE.sub(replaced, text)


def note_on_unknown(text: str, variables: Mapping[str, Any]) -> str:
    """Return a line on references to no variable, which stay as they are; empty where none is.

    Example:
        >>> note_on_unknown("Shorten {artcle}: {{this}}", {"article": "A long story."})
        '{artcle} is sent as it stands: there is no such variable. Did you mean {article}?'
    """
    unknown = {
        reference["name"]: reference[0]
        for reference in _REFERENCE.finditer(text)
        if reference["name"] not in variables and not _is_doubled(reference)
    }
    if not unknown:
        return ""
    names = [name for name in variables if not name.startswith("_")]
    near = (difflib.get_close_matches(name, names, n=1) for name in unknown)
    meant = ", ".join(f"{{{name}}}" for match in near for name in match)
    stay = "is sent as it stands" if len(unknown) == 1 else "are sent as they stand"
    hint = f" Did you mean {meant}?" if meant else ""
    return f"{', '.join(unknown.values())} {stay}: there is no such variable.{hint}"


def _is_doubled(reference: re.Match[str]) -> bool:
    start, end = reference.span()
    text = reference.string
    return text[start - 1 : start] == "{" and text[end : end + 1] == "}"


def _value(variable: Any, reference: re.Match[str]) -> Any:
    try:
        if (attribute := reference["attribute"]) is not None:
            return getattr(variable, attribute)
        if (index := reference["index"]) is not None:
            return variable[index[1:-1] if index[0] in "'\"" else int(index)]
    except (AttributeError, LookupError, TypeError) as error:
        name = type(variable).__name__
        kind = f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"
        raise InputError(
            f"{reference[0]} cannot be filled in: {type(error).__name__}: {str(error)[:200]}.\n"
            f"The variable {reference['name']!r} exists and is {kind}. Nothing was sent."
        ) from None
    return variable
