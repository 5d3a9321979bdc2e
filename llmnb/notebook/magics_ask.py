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

from llmnb import settings
from llmnb.display.escape import visible
from llmnb.notebook.interpolation import fill, note_on_unknown
from llmnb.notebook.options import (
    LIMITS,
    argument,
    arguments,
    parsed,
    plain_interrupts,
    table_options,
    variable,
)
from llmnb.options import FORMATS, checked, refuse_unknown, with_params

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
        help="Model that %llm asks, such as openai/gpt-4o-mini; empty: the one of %llm_config."
    ).tag(config=True)
    project_name = traitlets.Unicode(
        help="Project that keeps the answers of %llm; empty: the one of %llm_config."
    ).tag(config=True)
    system = traitlets.Unicode(
        help="System message of every prompt; empty: the one of %llm_config."
    ).tag(config=True)
    format = traitlets.Enum(
        ("", *FORMATS),
        "",
        help="Form in which answers are asked for and shown; empty: the one of %llm_config.",
    ).tag(config=True)
    stream = traitlets.Bool(
        None,
        allow_none=True,
        help="Whether answers are shown while they come; None: as %llm_config says.",
    ).tag(config=True)
    limits: traitlets.Dict[str, Any] = traitlets.Dict(
        help=f"Limits of a request: {', '.join(LIMITS)}."
    ).tag(config=True)
    budget = traitlets.Float(
        None, allow_none=True, help="Dollars that one prompt, or one --df, may cost."
    ).tag(config=True)

    @traitlets.validate("limits")
    def _check_limits(self, proposal: Any) -> dict[str, Any]:
        limits = proposal["value"].items()
        try:
            known = {settings.full_name(str(name)): value for name, value in limits}
            refuse_unknown(known, LIMITS, "LLMMagics.limits")
            return checked(known)
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
        "-f", "--format", choices=FORMATS, help="form in which the answer is asked for and shown"
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
    @argument("prompt", nargs=argparse.REMAINDER, help="what is asked, where no cell holds it")
    @no_var_expand
    @line_cell_magic
    @plain_interrupts
    def llm(self, line: str, cell: str | None = None) -> Any:
        """Ask a model; the answer is shown as Markdown, and is the value of the cell.

        Variables are filled in where {name}, {name.attribute} or {name[0]} stands; other
        braces are left alone. {In[3]}, {Out[3]} and {Err}, the last exception, work too.
        """
        args = parsed(self, "llm", line)
        if cell is not None and args.prompt:
            raise UsageError(
                f"{args.prompt[:80]!r} is no argument of this magic; %llm? lists them.\n"
                "A model is named with -m MODEL, and a prompt stands in the lines below."
            )
        prompt = args.prompt if cell is None else cell.strip("\n")
        if not prompt or not prompt.strip():
            raise UsageError(_EMPTY)
        if args.output is not None and not args.output.isidentifier():
            raise UsageError(f"-o {args.output}: that cannot be the name of a variable.")
        if (args.df is None) != (args.into is None):
            raise UsageError("--df NAME and --into COL go together: which frame, which column.")
        if args.df is not None:
            return self._ask_rows(prompt, args)
        answer = self._ask(prompt, args)
        if args.output is not None:
            self._namespace[args.output] = answer
        return answer

    @property
    def _namespace(self) -> dict[str, Any]:
        return self.shell.user_ns  # type: ignore[no-any-return, union-attr]

    def _run_options(self, args: argparse.Namespace) -> dict[str, Any]:
        """Return the options of a run, from the line and from this notebook's settings."""
        of_line = {"max_wait": args.max_wait, "good_finish": args.good_finish, "burst": args.burst}
        return checked(
            {
                "project_name": self.project_name or None,
                "use_cache": not args.no_cache,
                "budget_usd": self.budget,
                **self.limits,
                **{name: value for name, value in of_line.items() if value is not None},
            }
        )

    def _setting(self, name: str, on_line: Any) -> Any:
        """Return a setting: of the line, else of this object, else of `llmnb.configure`."""
        if on_line is not None:
            return on_line
        own = getattr(self, name)
        return getattr(settings.current(), name) if own in ("", None) else own

    def _model(self, args: argparse.Namespace) -> Model | list[Model] | None:
        """Return the models that are named, or that variables of these names hold."""
        from llmnb.running.asking import is_model

        models: list[Model] = []
        for name in args.model or [self.model]:
            value = self._namespace.get(name)
            models.append(name if isinstance(value, str) or not is_model(value) else value)
        return models if len(models) > 1 else models[0] or None

    # ----------------------------------------------------------------------- one prompt

    def _ask(self, prompt: str, args: argparse.Namespace) -> Any:
        from llmnb.notebook.answer import ask, live_text
        from llmnb.running.asking import Asking
        from llmnb.schemas import output_of

        shell = self.shell
        output = None
        if args.schema is not None:
            output = output_of(variable(self._namespace, args.schema, "--schema"))
        known = variables(shell)
        filled = fill(prompt, known)
        if note := note_on_unknown(prompt, known):
            print(visible(note, longest=600), file=sys.stderr)
        form: Any = "json" if output is not None else self._setting("format", args.format)
        live = live_text(shell, form) if self._setting("stream", args.stream) else None
        answer = ask(
            filled,
            Asking(model=self._model(args), output=output, params=_params(args)),
            live,
            system=self._setting("system", args.system) or "",
            form=form,
            **self._run_options(args),
        )
        if live is not None and live.end(answer.bundle()):
            answer.shown_in = shell.execution_count  # type: ignore[union-attr]
        return answer

    # ------------------------------------------------------------------------- each row

    def _ask_rows(self, template: str, args: argparse.Namespace) -> None:
        from llmnb.notebook.answer import announce

        frame = variable(self._namespace, args.df, "--df")
        rows = _rows_of(frame, args.df)
        schema = args.schema and variable(self._namespace, args.schema, "--schema")
        model = self._model(args)
        announce(model)
        table = rows.generate(
            template,
            into=args.into,
            model=model,
            system=self._setting("system", args.system) or None,
            schema=schema,
            **self._run_options(args),
            **_params(args),
        )
        # The frame itself is never changed: the name gets another one, with the column.
        self._namespace[args.output or args.df] = table


def _params(args: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of the request that stand on the line."""
    return with_params(None, {"max_tokens": args.max_tokens, "temperature": args.temperature})


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
    names = {
        name: value
        for name, value in shell.user_ns.items()
        if name not in own or shell.user_ns_hidden.get(name) is not value
    }
    error = getattr(sys, "last_value", None)
    if error is not None and "Err" not in names:
        names["Err"] = "".join(traceback.format_exception_only(error)).strip()
    return names
