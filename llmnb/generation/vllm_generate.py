"""`ModelGenerator`: texts and log-probabilities from a model that vLLM runs in this process.

``python -m llmnb.generation.vllm_generate [--model MODEL]`` tries it out: without a
model it makes one of random numbers on the spot, so that nothing has to be fetched.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmnb.adapters import files, tiny_model, tokens, vllm
from llmnb.adapters.vllm_engine import Engine
from llmnb.display import durations
from llmnb.errors import ConfigurationError
from llmnb.models.in_process import VLLMModel
from llmnb.models.llm import LLMParams
from llmnb.records import UnchosenLength

logger = logging.getLogger("llmnb")

# ------------------------------------------------------------------- log-probabilities


class TokenLogprob(float):
    """The natural logarithm of a token's probability, given all before it.

    Sums, means and numpy take it as the number that it is.

    Args:
        value: The log-probability.
        token: The token's text.
        id: The token's number.
        top: Likeliest tokens in its place, where they were asked for: texts and numbers.

    Example:
        >>> logprob = TokenLogprob(-0.5, "the", 4)
        >>> logprob.token, logprob + logprob
        ('the', -1.0)
        >>> logprob
        TokenLogprob(-0.5, 'the')
    """

    __slots__ = ("id", "token", "top")

    token: str
    id: int
    top: tuple[tuple[str, float], ...]

    def __new__(
        cls, value: float, token: str, id: int, top: tuple[tuple[str, float], ...] = ()
    ) -> TokenLogprob:
        """Make a number with a token."""
        made = super().__new__(cls, value)
        made.token = token
        made.id = id
        made.top = top
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return what a copy or a pickle is made from."""
        return float(self), self.token, self.id, self.top

    def __repr__(self) -> str:
        return f"TokenLogprob({float(self)!r}, {self.token!r})"


Logprobs = list[TokenLogprob | None]
"""Log-probabilities by token; None where vLLM has none, as for the first of a prompt."""


def token_logprobs(
    ids: Iterable[int],
    positions: Iterable[Mapping[int, Any] | None] | None,
    alternatives: int | None,
) -> Logprobs | None:
    """Return each token's log-probability; None where vLLM has none, as for the first of a prompt.

    Args:
        ids: The tokens.
        positions: For each, vLLM's candidates by their number; None where it tells none.
        alternatives: How many of the likeliest were asked for; None where nothing was.
    """
    if alternatives is None or positions is None:
        return None
    return [
        None if candidates is None else _token_logprob(token, candidates, alternatives)
        for token, candidates in zip(ids, positions, strict=True)
    ]


def _token_logprob(token: int, candidates: Mapping[int, Any], alternatives: int) -> TokenLogprob:
    ranked = sorted(candidates.values(), key=lambda candidate: -float(candidate.logprob))
    top = tuple(
        (candidate.decoded_token or "", float(candidate.logprob))
        for candidate in ranked[:alternatives]
    )
    return TokenLogprob(
        candidates[token].logprob, candidates[token].decoded_token or "", token, top
    )


def total(logprobs: Sequence[TokenLogprob | None]) -> float:
    """Return the log-probability of a whole text: the sum, without the first token's.

    Example:
        >>> total([None, TokenLogprob(-1.0, "a", 1), TokenLogprob(-2.0, "b", 2)])
        -3.0
    """
    return sum(logprob for logprob in logprobs if logprob is not None)


# --------------------------------------------------------------- prompts that are cut

Side = Literal["left", "right"]
"""Which end of a prompt is cut. vLLM's own habit is the left: the end stands next to the answer."""

SPARE_TOKENS = 8
"""Tokens that a tokenizer may add to a text by itself."""

MOST_NAMED = 5
"""Prompts that a warning names one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A prompt that was cut."""

    prompt: int
    """Position of the prompt, from 0."""

    tokens: int
    """Tokens it had."""

    kept: int
    """Tokens that the model read."""

    side: Side

    @property
    def lost(self) -> int:
        """Tokens that were cut."""
        return self.tokens - self.kept


def kept_tokens(
    ids: Sequence[int], room: int, side: Side, *, first: int | None = None
) -> list[int]:
    """Return the first or last tokens of a prompt, as many as fit.

    Args:
        ids: The prompt.
        room: Tokens it may have, at least 1.
        side: Which end is cut.
        first: Token that begins every text of this model, and stays; None: there is none.

    Example:
        >>> kept_tokens([1, 5, 6, 7, 8], 3, "left", first=1)
        [1, 7, 8]
        >>> kept_tokens([5, 6, 7, 8], 3, "right")
        [5, 6, 7]
    """
    if len(ids) <= room:
        return list(ids)
    if side == "right":
        return list(ids[:room])
    if first is not None and room > 1 and ids[0] == first:
        return [first, *ids[len(ids) - room + 1 :]]
    return list(ids[len(ids) - room :])


def cut_warning(cuts: Sequence[Cut], prompts: int, max_len: int) -> str:
    """Return the warning that says what was cut.

    Example:
        >>> print(cut_warning([Cut(prompt=3, tokens=90, kept=60, side="left")], 200, 64))
        1 of 200 prompts was too long beside its answer for the model's 64 tokens, and lost its \
beginning: prompt 3 lost 30 of 90 tokens.
    """
    side = "beginning" if cuts[0].side == "left" else "end"
    named = [
        f"prompt {cut.prompt} lost {cut.lost} of {cut.tokens} tokens" for cut in cuts[:MOST_NAMED]
    ]
    if len(cuts) > MOST_NAMED:
        named.append(f"and {len(cuts) - MOST_NAMED} more")
    were, its = ("was", "its") if len(cuts) == 1 else ("were", "their")
    return (
        f"{len(cuts)} of {prompts} prompts {were} too long beside {its} answer for the model's "
        f"{max_len} tokens, and lost {its} {side}: {', '.join(named)}."
    )


# ------------------------------------------------------------------------ the generator

Generated = tuple[
    list[str],
    list[str] | list[list[str]],
    list[Logprobs | None],
    list[Logprobs | None] | list[list[Logprobs | None]],
]
"""Prompts as they were read, answers, and the log-probabilities of both."""


class ModelGenerator:
    """A model in an engine of vLLM's, which writes for many prompts at once.

    Args:
        model: A folder with a model, or its name on the hub.
        tokenizer: Another tokenizer; None: the model's own.
        seed: Seed of the engine: the same calls in the same order give the same texts.
        hf_token: Token for private models of the hub; it is shown and kept nowhere.
        cache_dir: Where files from the hub are kept.
        gpu_memory_utilization: Share of the GPU's memory that may be taken. Without a GPU it counts
            the machine's memory, and only where it is given.
        tensor_parallel_size: GPUs that share the model.
        max_model_len: Tokens that prompt and answer may have together; the default gives way to
            a model that can do less.
        **engine_options: Further arguments of vLLM's ``LLM``, such as ``dtype``,
            ``enforce_eager`` or ``quantization``.

    Raises:
        MissingExtra: If vLLM is not installed.
        ConfigurationError: If vLLM cannot load the model so.

    Example:
        >>> generator = ModelGenerator("models/tiny")  # doctest: +SKIP
        >>> prompts, texts, *_ = generator.generate_vllm(["Once upon"])  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        tokenizer: str | None = None,
        seed: int = 0,
        hf_token: str | None = None,
        cache_dir: str | None = None,
        gpu_memory_utilization: float = vllm.UnchosenShare(0.9),
        tensor_parallel_size: int = 1,
        max_model_len: int | None = UnchosenLength(2048),
        **engine_options: Any,
    ) -> None:
        self.engine: Engine = vllm.load(
            os.fspath(model),
            tokenizer=tokenizer,
            seed=seed,
            hf_token=hf_token,
            cache_dir=cache_dir,
            gpu_memory_utilization=gpu_memory_utilization,
            tensor_parallel_size=tensor_parallel_size,
            max_model_len=max_model_len,
            **engine_options,
        )
        self.cuts: tuple[Cut, ...] = ()
        """What the last call had to cut from its prompts."""

    @property
    def max_model_len(self) -> int:
        """Tokens that prompt and answer may have together."""
        return self.engine.max_len

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, such as for its chat template."""
        return self.engine.tokenizer

    def generate_vllm(
        self,
        prompts: Sequence[str],
        temperature: float = 1,
        top_p: float = 0.95,
        top_k: int = -1,
        sample: bool = True,
        max_new_tokens: int | Sequence[int] = 256,
        min_tokens: int = 0,
        extra_stop_tokens: Sequence[str] | None = None,
        n: int = 1,
        *,
        logprobs: int | None = 0,
        prompt_logprobs: int | None = 0,
        truncation_side: Side = "left",
        progress: bool = False,
        **sampling: Any,
    ) -> Generated:
        """Continue every prompt; return the answers and the log-probability of each token.

        A prompt that is too long beside its answer is cut; what was cut is told in a
        warning and in `cuts`, and the first list holds what the model really read.

        Args:
            prompts: Texts, each to be continued; see `make_prompts` for instruct models.
            temperature: Spread of the choice; 0 always takes the likeliest token.
            top_p: Chooses among the likeliest tokens that have this probability together.
            top_k: Chooses among so many of the likeliest; -1: among all.
            sample: False always takes the likeliest token, whatever the temperature.
            max_new_tokens: Longest answer in tokens, for all prompts or for each its own.
            min_tokens: Shortest answer in tokens.
            extra_stop_tokens: Texts at which an answer ends; they are not part of it.
            n: Answers to each prompt.
            logprobs: For answers: 0 tells each token's own log-probability, k those of the k
                likeliest too, None none.
            prompt_logprobs: The same for prompts. Long prompts with a large vocabulary take
                memory for it: None where nobody reads them.
            truncation_side: Which end of a prompt is cut: ``"left"`` or ``"right"``.
            progress: Whether vLLM draws its own bar.
            **sampling: Further parameters of vLLM's ``SamplingParams``, such as ``seed``.

        Returns:
            Four lists with an entry for each prompt: the prompt as it was read; the answer, or
            with n above 1 a list of answers; the prompt's log-probabilities; the answer's, or
            with n above 1 a list of them. A log-probability is a number that knows its token.

        Raises:
            ConfigurationError: If the arguments make no sense, or vLLM refuses them.
        """
        lengths = _lengths(prompts, max_new_tokens, self.max_model_len)
        _check(n, sample and temperature > 0, truncation_side)
        shared = {
            "temperature": temperature if sample else 0.0,
            "top_p": top_p if sample else 1.0,
            "top_k": top_k if sample else -1,
            "min_tokens": min_tokens,
            "stop": list(extra_stop_tokens) if extra_stop_tokens else None,
            "n": n,
            "logprobs": logprobs,
            "prompt_logprobs": prompt_logprobs,
            **sampling,
        }
        made = {
            length: self.engine.sampling(max_tokens=length, **shared) for length in set(lengths)
        }
        final, read = self._fitted(prompts, lengths, truncation_side)
        outputs = self.engine.generate(read, [made[length] for length in lengths], bar=progress)
        of_prompts = [
            token_logprobs(output.prompt_token_ids, output.prompt_logprobs, prompt_logprobs)
            for output in outputs
        ]
        answers = [[answer.text for answer in output.outputs] for output in outputs]
        of_answers = [
            [
                token_logprobs(answer.token_ids, answer.logprobs, logprobs)
                for answer in output.outputs
            ]
            for output in outputs
        ]
        if n > 1:
            return final, answers, of_prompts, of_answers
        first = [texts[0] for texts in answers]
        return final, first, of_prompts, [of_samples[0] for of_samples in of_answers]

    def as_model(
        self,
        name: str | None = None,
        *,
        llm_params: LLMParams | Mapping[str, Any] | None = None,
        project_name: str | None = None,
    ) -> VLLMModel:
        """Return a model for `AsyncLLM`, frames and ``%%llm`` that shares this engine.

        It can be named as ``vllm/NAME`` for as long as it is kept. Closing either of the two closes
        the engine of both.

        Args:
            name: The NAME; None: that of the folder, or the model's name on the hub.
            llm_params: An `LLMParams` or a mapping of body fields.
            project_name: Project that keeps the answers.
        """
        return VLLMModel(self.engine, name=name, llm_params=llm_params, project_name=project_name)

    def close(self) -> None:
        """Let go of the model and its memory."""
        self.engine.close()

    def _fitted(
        self, prompts: Sequence[str], lengths: Sequence[int], side: Side
    ) -> tuple[list[str], list[str | list[int]]]:
        """Return the prompts as texts and as what the engine reads, cut where they must be."""
        rooms = [self.max_model_len - length for length in lengths]
        final, read = list(prompts), list[str | list[int]](prompts)
        doubtful = [
            position
            for position, text in enumerate(prompts)
            if not text or tokens.may_exceed(text, rooms[position] - SPARE_TOKENS)
        ]
        cuts = []
        first = getattr(self.tokenizer, "bos_token_id", None)
        counted = self.engine.encode([prompts[position] for position in doubtful])
        for position, ids in zip(doubtful, counted, strict=True):
            if not ids:
                if first is None:
                    raise ConfigurationError(
                        f"Prompt {position} is empty, and this model has no token that begins a "
                        "text: give it a word to go on from. Nothing was generated."
                    )
                read[position] = [first]
            if len(ids) <= rooms[position]:
                continue
            fitting = kept_tokens(ids, rooms[position], side, first=first)
            final[position], read[position] = self.engine.decode(fitting), fitting
            cuts.append(Cut(prompt=position, tokens=len(ids), kept=len(fitting), side=side))
        self.cuts = tuple(cuts)
        if cuts:
            logger.warning(cut_warning(cuts, len(prompts), self.max_model_len))
        return final, read

    def __repr__(self) -> str:
        return f"<ModelGenerator {self.engine.name}>"


def _lengths(prompts: Sequence[str], wanted: int | Sequence[int], max_len: int) -> list[int]:
    """Return the longest answer to each prompt."""
    if isinstance(prompts, str) or not all(isinstance(prompt, str) for prompt in prompts):
        raise ConfigurationError("prompts is a list of texts, one for each answer.")
    lengths = [wanted] * len(prompts) if isinstance(wanted, int) else list(wanted)
    if len(lengths) != len(prompts):
        raise ConfigurationError(
            f"max_new_tokens has {len(lengths)} numbers for {len(prompts)} prompts: give one "
            "number for all, or one for each."
        )
    for length in lengths:
        if not 1 <= length < max_len:
            raise ConfigurationError(
                f"max_new_tokens must be 1 to {max_len - 1}, got {length}: the model reads and "
                f"writes {max_len} tokens together, and a prompt needs one at least."
            )
    return lengths


def _check(n: int, is_random: bool, side: str) -> None:
    if n < 1:
        raise ConfigurationError(f"n must be at least 1, got {n}.")
    if n > 1 and not is_random:
        raise ConfigurationError(
            f"n={n} answers that always take the likeliest token would be the same one: "
            "leave sample=True and a temperature above 0, or take n=1."
        )
    if side not in ("left", "right"):
        raise ConfigurationError(f"truncation_side must be 'left' or 'right', got {side!r}.")


# ------------------------------------------------------------------------ self-check

_SELF_CHECK = "Whether vLLM works on this machine: generates with it and looks at what comes."
_PROMPTS = ("Once upon a time", "The label of the text", "yes no yes")
_SMALL = {"enforce_eager": True, "max_num_seqs": 8}
"""Options of a quick start, which change no answer."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate with vLLM and check what comes; returns the exit status."""
    parser = argparse.ArgumentParser(prog="llmnb.generation.vllm_generate", description=_SELF_CHECK)
    parser.add_argument("--model", help="a folder or a name; default: one made on the spot")
    parser.add_argument("--max-new-tokens", type=int, default=16)
    parser.add_argument("--gpu-memory-utilization", type=float)
    options = parser.parse_args(arguments)
    further: dict[str, Any] = dict(_SMALL)
    if options.gpu_memory_utilization is not None:
        further["gpu_memory_utilization"] = options.gpu_memory_utilization
    try:
        if options.model is None:
            further["dtype"] = "float32"  # the type in which the tiny model is written
        with files.scratch_folder(prefix="llmnb-vllm-") as folder:
            model = options.model or str(tiny_model.make(folder))
            faults = check(model, options.max_new_tokens, **further)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    print("vLLM works here." if not faults else f"{len(faults)} faults.")
    return 1 if faults else 0


def check(model: str, max_new_tokens: int, **options: Any) -> list[str]:
    """Load a model, generate in two ways, and return what is wrong with the result."""
    began = time.monotonic()
    generator = ModelGenerator(model, **options)
    took = durations.span(time.monotonic() - began)
    print(f"loaded {model} in {took}, {generator.max_model_len} tokens")
    prompts = list(_PROMPTS)
    final, outputs, prompt_logprobs, output_logprobs = generator.generate_vllm(
        prompts, temperature=0.7, max_new_tokens=max_new_tokens
    )
    for prompt, output, logprobs in zip(final, outputs, prompt_logprobs, strict=True):
        print(f"  {prompt!r} ({total(logprobs or ()):.2f}) -> {output!r}")
    greedy = [
        generator.generate_vllm(prompts, sample=False, max_new_tokens=max_new_tokens)[1]
        for _ in range(2)
    ]
    generator.close()
    wrong = {
        "the prompts came back otherwise": final != prompts,
        "a prompt has no log-probabilities": not all(prompt_logprobs),
        "an answer has no log-probabilities": not all(
            answer is not None for answer in output_logprobs
        ),
        "two greedy answers differ": greedy[0] != greedy[1],
    }
    return [fault for fault, is_so in wrong.items() if is_so]


if __name__ == "__main__":
    raise SystemExit(main())
