"""Record the moving picture of the README and the site: a run is paused, limited and resumed.

    .venv/bin/python tools/site/moving_picture.py [docs/pictures/run.png]

A real JupyterLab in the system's Chromium asks the simulated provider; what its page shows is
photographed some times a second and put together as an animated PNG, light and, beside it, dark.
"""

from __future__ import annotations

import csv
import io
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import lab as laboratories  # noqa: E402 - the tests' own JupyterLab and browser
from browsers import chromium  # noqa: E402
from laboratory import Laboratory  # noqa: E402
from PIL import Image  # noqa: E402

from llmnb.testing import Lognormal  # noqa: E402

WIDTH = 790
HEIGHT = 405
SECONDS_A_FRAME = 0.5
COLOURS = 20

REVIEWS = ROOT / "examples" / "data" / "reviews.csv"
BEFORE = f"""\
import pandas as pd
import llmnb
%load_ext llmnb
df = pd.read_csv({str(REVIEWS)!r})
"""
CELL = """\
run = df.llm.start("Positive or negative? {text}", model="openai/gpt-4o-mini")
"""
with REVIEWS.open(encoding="utf-8", newline="") as file:
    LABELS = {row["text"]: row["label"] for row in csv.DictReader(file)}
THEMES = "@jupyterlab/apputils-extension/themes"
POINTER = """() => {
  const pointer = document.createElement("div");
  pointer.id = "pointer";
  pointer.innerHTML = '<svg width="22" height="22" viewBox="0 0 24 24"><path fill="#000" '
    + 'stroke="#fff" stroke-width="1.5" d="M4 2l15 11-7 1 4 7-3 1-4-7-5 5z"/></svg>';
  pointer.style = "position:fixed;left:60%;top:60%;z-index:99999;pointer-events:none";
  document.body.append(pointer);
}"""


class Camera:
    """Photographs one part of a page."""

    def __init__(self, page: Any, clip: dict[str, float]) -> None:
        self._page = page
        self._clip = clip
        self._at = (clip["x"] + clip["width"] * 0.6, clip["y"] + clip["height"] * 0.8)
        self.frames: list[tuple[Image.Image, float]] = []

    def shoot(self, seconds: float = SECONDS_A_FRAME) -> None:
        """Take a frame, which is shown for some seconds."""
        taken = self._page.screenshot(clip=self._clip)
        self.frames.append((Image.open(io.BytesIO(taken)).convert("RGB"), seconds))

    def watch(self, seconds: float) -> None:
        """Look on for some seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            self.shoot()
            time.sleep(max(0.0, SECONDS_A_FRAME - (time.monotonic() - began)))

    def point(self, target: Any) -> None:
        """Lead the pointer to something, and click it."""
        box = target.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        (from_x, from_y), steps = self._at, 3
        for step in range(1, steps + 1):
            part = step / steps
            self._page.evaluate(
                "([x, y]) => Object.assign(document.getElementById('pointer').style,"
                " {left: `${x}px`, top: `${y}px`})",
                [from_x + (x - from_x) * part, from_y + (y - from_y) * part],
            )
            self.shoot(0.1)
        self._at = (x, y)
        self._page.mouse.click(x, y)
        self.shoot()

    def save(self, path: Path) -> None:
        """Write what was seen; frames that show the same become one."""
        sheet = Image.new("RGB", (WIDTH, sum(frame.height for frame, _ in self.frames[::6])))
        top = 0
        for frame, _ in self.frames[::6]:
            sheet.paste(frame, (0, top))
            top += frame.height
        palette = sheet.quantize(COLOURS, dither=Image.Dither.NONE)
        frames, seconds = [], []
        for frame, shown in self.frames:
            image = frame.quantize(palette=palette, dither=Image.Dither.NONE)
            if frames and image.tobytes() == frames[-1].tobytes():
                seconds[-1] += shown
            else:
                frames.append(image)
                seconds.append(shown)
        frames[0].save(
            path,
            save_all=True,
            append_images=frames[1:],
            duration=[round(1000 * each) for each in seconds],
            loop=0,
            optimize=True,
        )
        print(f"{path}: {len(frames)} frames, {sum(seconds):.1f} s, {path.stat().st_size:,} bytes")


def as_labelled(prompt: str) -> str:
    """Answer as the person did who labelled the review."""
    return LABELS[prompt.partition("? ")[2]]


def record(path: Path, theme: str) -> None:
    """Record it in one of JupyterLab's themes."""
    laboratories._SETTINGS[THEMES] = {"theme": theme}
    latency = Lognormal(0.5, 0.5)
    with (
        tempfile.TemporaryDirectory() as folder,
        Laboratory(
            latency=latency, reply=as_labelled, requests_per_minute=1200, burst_seconds=1
        ) as sim,
    ):
        lab = laboratories.Lab(Path(folder))
        try:
            with chromium(Path(folder)) as program, program.lent():
                environment = {**sim.environment, "LLMNB_CACHE_DIR": f"{folder}/cache"}
                notebook = lab.open(program, "run", [BEFORE, CELL], environment)
                try:
                    act(notebook, path)
                except BaseException:
                    notebook.page.screenshot(path=Path(tempfile.gettempdir()) / "failed.png")
                    raise
        finally:
            lab.end_kernels()
            lab.close()


def act(notebook: Any, path: Path) -> None:
    """Do what a person does, before the camera."""
    page = notebook.page
    notebook.done(0)
    notebook.cell(0).evaluate("cell => { cell.style.display = 'none'; }")
    box = notebook.cell(1).bounding_box()
    left = box["x"] + 64  # without the cells' numbers
    clip = {"x": left, "y": box["y"], "width": WIDTH, "height": HEIGHT}
    page.set_viewport_size({"width": int(left) + WIDTH + 40, "height": 900})
    page.set_default_timeout(20_000)
    page.add_style_tag(content=".jp-cell-toolbar, .jp-Toolbar-item { display: none !important; }")
    page.evaluate(POINTER)
    camera = Camera(page, clip)
    camera.shoot(1.0)
    notebook.run(1)
    card = notebook.output(1).get_by_role("region").first
    card.get_by_role("button", name="Pause").wait_for()
    camera.watch(2)
    camera.point(card.get_by_role("button", name="Details"))
    camera.frames.clear()  # what stands first stands alone where nothing moves
    camera.watch(2)
    camera.point(card.get_by_role("button", name="Pause"))
    camera.watch(1.2)
    limit = card.get_by_label(re.compile("limit.*requests", re.IGNORECASE)).first
    camera.point(limit)
    limit.fill("600")
    camera.shoot(0.8)
    limit.press("Enter")
    camera.watch(1)
    camera.point(card.get_by_role("button", name="Resume"))
    camera.watch(3)
    limit.fill("")
    limit.press("Enter")
    end = time.monotonic() + 60
    while card.get_by_role("button", name="Stop").is_visible() and time.monotonic() < end:
        camera.watch(1)
    camera.watch(1)
    camera.shoot(3.0)
    camera.save(path)


if __name__ == "__main__":
    where = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "pictures" / "run.png"
    record(where, "JupyterLab Light")
    record(where.with_name(f"{where.stem}-dark.png"), "JupyterLab Dark")
