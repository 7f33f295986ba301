# ruff: noqa: E501
"""The accessibility engine axe-core in a page: what it finds, in lines a person can act on."""

import functools
from importlib.resources import files

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """async (tags) => {
  const found = await axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] });
  return found.violations.flatMap((v) => v.nodes.slice(0, 3).map((n) => `${v.id}: ${n.target.join(' ')}: ${n.html.slice(0, 140)}`));
}"""


@functools.cache
def _engine() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def violations(page) -> list[str]:
    """Run all rules of WCAG 2.2 AA and good practice over the page as it stands."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(_engine())
    return page.evaluate(_RUN, TAGS)
