"""Pages in a real browser: Chromium of the system, without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (1300, 390)
THEMES = ("light", "dark")


@contextmanager
def started() -> Iterator[Any]:
    """A browser; where there is none, or nothing to drive it, the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra test)")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    alone = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=program, args=alone)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, html: Path, width: int = 1300, theme: str = "light", **options: Any) -> Iterator[Any]:
    """A page of the browser; nothing may be refused by its policy, or fail in its script."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce", **options
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(html.as_uri())
    yield page
    context.close()
    assert not problems, problems


# what lies on something else or beyond its place: a list of sentences, empty if all is well
FAULTS = r"""() => {
  const faults = [], wide = document.documentElement.clientWidth, full = document.documentElement.scrollWidth;
  const box = (e) => e.getBoundingClientRect(), words = (e) => JSON.stringify(e.textContent.slice(0, 40));
  const over = (a, b, by = 1) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > by &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > by;
  if (full > wide) faults.push(`the page is ${full} wide`);
  for (const e of document.querySelectorAll("body *")) {
    if (e.closest("svg, .wide, .skip, .tip, script") || !e.childElementCount && !e.textContent) continue;
    if (box(e).right > wide + 1 || box(e).left < -1) faults.push(`beyond the page: ${e.tagName} ${words(e)}`);
  }
  for (const chart of document.querySelectorAll("svg.chart")) {
    const frame = box(chart), texts = [...chart.querySelectorAll("text")];
    texts.forEach((one, k) => {
      const at = box(one);
      if (Math.max(frame.left - at.left, at.right - frame.right, frame.top - at.top, at.bottom - frame.bottom) > 1)
        faults.push(`beyond its chart: ${words(one)}`);
      for (const other of texts.slice(k + 1))
        if (over(at, box(other))) faults.push(`${words(one)} on ${words(other)}`);
      if (!one.getAttribute("class")) return;  // axes
      // a line of text is higher than its letters
      const less = at.height / 5;
      const ink = { left: at.left, right: at.right, top: at.top + less, bottom: at.bottom - less };
      for (const mark of chart.querySelectorAll("path[data-id], rect[data-id]"))
        if (over(ink, box(mark), 2)) faults.push(`${words(one)} on a mark (${mark.dataset.id})`);
      for (const line of chart.querySelectorAll("polyline")) {
        const to = line.getScreenCTM(), seen = box(line.ownerSVGElement);
        for (let s = 0; s <= line.getTotalLength(); s += 1) {
          const p = line.getPointAtLength(s).matrixTransform(to);
          const shown = p.x >= seen.left && p.x <= seen.right && p.y >= seen.top && p.y <= seen.bottom;
          if (shown && p.x > ink.left && p.x < ink.right && p.y > ink.top && p.y < ink.bottom) {
            faults.push(`${words(one)} on a line (${line.getAttribute("class")})`);
            break;
          }
        }
      }
    });
  }
  return faults;
}"""
