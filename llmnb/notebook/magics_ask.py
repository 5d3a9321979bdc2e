"""`%llm` and `%%llm`: a prompt in a cell, its answer under it."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import traitlets
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from llmnb.notebook.choices import LIMITS, check_limits
from llmnb.notebook.forms import FORMS, Form
from llmnb.notebook.interpolation import fill
from llmnb.notebook.options import (
    argument,
    arguments,
    parsed,
    split_line,
    table_options,
    variable,
    variable_name,
)
from llmnb.notebook.plain_errors import plain_errors
from llmnb.options import checked, with_params

if TYPE_CHECKING:
    from llmnb.running.asking import Model

_EMPTY = (
    "There is no prompt. Write one:\n"
    "    %llm Why is the sky blue?\n"
    "or, over several lines, with the options that %%llm? lists:\n"
    "    %%llm -m openai/gpt-4o-mini -o answer\n"
    "    Summarise this: {text}"
)


@magics_class
class LLMMagics(Magics):
    """Asking a model from a cell; its options hold for the magics of this notebook."""

    model = traitlets.Unicode(
        "",
        help="Model that %llm asks, such as openai/gpt-4o-mini; empty: the one of %llm_config.",
    ).tag(config=True)
    project_name = traitlets.Unicode(
        "", help="Project that keeps the answers of %llm; empty: the one of %llm_config."
    ).tag(config=True)
    system = traitlets.Unicode("", help="System message of every prompt.").tag(config=True)
    format = traitlets.Enum(
        FORMS, default_value="markdown", help="Form in which answers are asked for and shown."
    ).tag(config=True)
    stream = traitlets.Bool(True, help="Whether answers are shown while they come.").tag(
        config=True
    )
    limits: traitlets.Dict[str, Any] = traitlets.Dict(
        help=f"Limits of a request: {', '.join(LIMITS)}."
    ).tag(config=True)
    budget = traitlets.Float(
        None, allow_none=True, help="Dollars that one prompt, or one --df, may cost."
    ).tag(config=True)

    @traitlets.validate("limits")
    def _check_limits(self, proposal: Any) -> dict[str, Any]:
        try:
            return check_limits(proposal["value"])
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None

    @arguments()
    @argument(
        "-m",
        "--model",
        metavar="MODEL",
        action="append",
        help="model to ask, such as openai/gpt-4o-mini, or a variable that holds one as an object; "
        "several times: whom to ask where one fails",
    )
    @argument("-o", "--output", metavar="NAME", help="variable that the answer is bound to as well")
    @argument("-s", "--system", metavar="SYSTEM", help="system message, in quotes")
    @argument(
        "-f", "--format", choices=FORMS, help="form in which the answer is asked for and shown"
    )
    @argument(
        "--schema",
        metavar="NAME",
        help="variable with a pydantic model, dataclass, TypedDict or JSON schema to be filled in",
    )
    @table_options()
    @argument("--no-cache", action="store_true", help="ask anew; the answer is kept all the same")
    @argument(
        "--df",
        metavar="NAME",
        help="frame whose every row is asked about: the cell is a template with {columns}",
    )
    @argument("--into", metavar="COL", help="column of that frame to be made")
    @argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show the answer while it comes, or only when it is whole",
    )
    @no_var_expand
    @line_cell_magic
    @plain_errors
    def llm(self, line: str, cell: str | None = None) -> Any:
        """Ask a model; the answer is shown as Markdown, and is the value of the cell.

        Variables are filled in where {name}, {name.attribute} or {name[0]} stands; other
        braces are left alone. {In[3]}, {Out[3]} and {Err}, the last exception, work too.
        """
        if cell is None:
            options, prompt = split_line(line)
        else:
            options, prompt = line, cell.strip("\n")
        args = parsed(self, "llm", options)
        if not prompt.strip():
            raise UsageError(_EMPTY)
        if args.output is not None:
            variable_name(args.output, "-o")
        if (args.df is None) != (args.into is None):
            raise UsageError("--df NAME and --into COL go together: which frame, which column.")
        if args.df is not None:
            self._ask_rows(prompt, args)
            return None
        answer = self._ask(prompt, args)
        if args.output is not None:
            self._namespace[args.output] = answer
        return answer

    @property
    def _namespace(self) -> dict[str, Any]:
        assert self.shell is not None
        names: dict[str, Any] = self.shell.user_ns
        return names

    # ----------------------------------------------------------------------- one prompt

    def _ask(self, prompt: str, args: argparse.Namespace) -> Any:
        from llmnb.notebook.live import live_text
        from llmnb.notebook.question import Question, ask

        shell = self.shell
        output = self._output(args)
        is_streamed = self.stream if args.stream is None else args.stream
        form: Form = args.format or self.format
        question = Question(
            prompt=fill(prompt, variables(shell)),
            system=self.system if args.system is None else args.system,
            model=self._model(args),
            project_name=self.project_name or None,
            form="json" if output is not None else form,
            output=output,
            use_cache=not args.no_cache,
            budget_usd=self.budget,
            options={**self.limits, **_patience(args)},
            params=_params(args),
        )
        live = live_text(shell, is_streamed=is_streamed)
        answer = ask(question, live)
        if live.end(answer.bundle()):
            answer.stands_in(shell.execution_count)  # type: ignore[union-attr]
        return answer

    def _model(self, args: argparse.Namespace) -> Model | list[Model] | None:
        named: list[str] = args.model or [self.model]
        found = [self._object_or_name(name) for name in named]
        return found if len(found) > 1 else found[0] or None

    def _object_or_name(self, name: str) -> Model:
        """Return the model that a variable of this name holds, else the name."""
        from llmnb.running.asking import is_model

        found = self._namespace.get(name)
        return name if isinstance(found, str) or not is_model(found) else found

    def _output(self, args: argparse.Namespace) -> Any:
        if args.schema is None:
            return None
        from llmnb.schemas import output_of

        return output_of(variable(self._namespace, args.schema, "--schema"))

    # ------------------------------------------------------------------------- each row

    def _ask_rows(self, template: str, args: argparse.Namespace) -> None:
        from llmnb.notebook.question import announce

        frame = variable(self._namespace, args.df, "--df")
        rows = _rows_of(frame, args.df)
        schema = args.schema and variable(self._namespace, args.schema, "--schema")
        model = self._model(args)
        announce(model)
        made = rows.generate(
            template,
            into=args.into,
            model=model,
            system=(self.system if args.system is None else args.system) or None,
            schema=schema,
            project_name=self.project_name or None,
            use_cache=not args.no_cache,
            budget_usd=self.budget,
            **{**self.limits, **_patience(args)},
            **_params(args),
        )
        # The frame itself is never changed: the name gets another one, with the column.
        self._namespace[args.output or args.df] = made


def _params(args: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of the request that stand on the line."""
    beside = {"max_tokens": args.max_tokens, "temperature": args.temperature}
    return with_params(None, beside)


def _patience(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of a run that stand on the line."""
    found = {
        "max_wait": args.max_wait,
        "good_finish": args.good_finish,
        "burst": args.burst,
    }
    return checked({name: value for name, value in found.items() if value is not None})


def _rows_of(frame: Any, name: str) -> Any:
    """Return what asks about a table's rows, whoever owns the table's `llm`."""
    if type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns"):
        from llmnb.frames.accessors import DataFrameLLM

        return DataFrameLLM(frame)
    if not (hasattr(frame, "columns") and hasattr(getattr(frame, "llm", None), "generate")):
        kind = type(frame).__name__
        raise UsageError(f"--df {name}: {name} is no table but of type {kind}. Nothing was sent.")
    return frame.llm


def variables(shell: Any) -> Mapping[str, Any]:
    """Return what a prompt may refer to: a notebook's variables, and the last exception's text."""
    # IPython puts its own commands there as well; nobody means them in a prompt.
    own = ("exit", "quit", "open", "get_ipython")
    found = {
        name: value
        for name, value in shell.user_ns.items()
        if name not in own or shell.user_ns_hidden.get(name) is not value
    }
    error = getattr(sys, "last_value", None)
    if error is not None and "Err" not in found:
        found["Err"] = "".join(traceback.format_exception_only(error)).strip()
    return found
