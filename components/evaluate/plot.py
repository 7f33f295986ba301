# ruff: noqa: E501
"""Plots as static SVG: no script, nothing from outside, the same bytes each time."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, EDGE = 560, 420, 60


def _axes(title: str, x_name: str, y_name: str, x_max: float, y_max: float) -> list[str]:
    """Return the frame with five ticks a side."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{WIDTH / 2:.0f}" y="24" text-anchor="middle" font-size="15">{escape(title)}</text>',
        f'<text x="{WIDTH / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_name)}</text>',
        f'<text transform="translate(16 {HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_name)}</text>",
    ]
    for step in range(6):
        x, y = (
            place(step / 5 * x_max, 0.0, x_max, y_max),
            place(0.0, step / 5 * y_max, x_max, y_max),
        )
        parts += [
            f'<line x1="{x[0]:.1f}" y1="{EDGE - 20}" x2="{x[0]:.1f}" y2="{x[1]:.1f}" stroke="#e3e3e3"/>',
            f'<line x1="{EDGE}" y1="{y[1]:.1f}" x2="{WIDTH - 20}" y2="{y[1]:.1f}" stroke="#e3e3e3"/>',
            f'<text x="{x[0]:.1f}" y="{HEIGHT - 36}" text-anchor="middle">{step / 5 * x_max:.3g}</text>',
            f'<text x="{EDGE - 6}" y="{y[1] + 4:.1f}" text-anchor="end">{step / 5 * y_max:.3g}</text>',
        ]
    return parts


def place(x: float, y: float, x_max: float, y_max: float) -> tuple[float, float]:
    """Return where a value stands on the sheet.

    >>> place(0.0, 0.0, 1.0, 1.0)
    (60.0, 366.0)
    """
    wide, high = WIDTH - 20 - EDGE, HEIGHT - 54 - (EDGE - 20)
    return EDGE + wide * x / x_max, HEIGHT - 54 - high * y / y_max


def reliability_svg(bins: Sequence[Mapping[str, float]], *, title: str) -> str:
    """Draw foretold against observed shares with their intervals, and the line where both agree.

    Args:
        bins: as `components.evaluate.binary.reliability` gives them.
        title: what is shown.
    """
    top = max((max(b["foretold"], b["high"]) for b in bins), default=1.0) * 1.05 or 1.0
    parts = _axes(title, "foretold share", "observed share (95 % interval)", top, top)
    a, b = place(0.0, 0.0, top, top), place(top, top, top, top)
    parts.append(
        f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" '
        'stroke="#888" stroke-dasharray="4 4"/>'
    )
    for one in bins:
        x, y = place(one["foretold"], one["observed"], top, top)
        low, high = (place(0.0, one[k], top, top)[1] for k in ("low", "high"))
        parts.append(
            f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" stroke="#1f6f8b"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#1f6f8b"/>'
        )
    return "\n".join([*parts, "</svg>", ""])


def curve_svg(
    points: Sequence[tuple[float, float, str]], *, title: str, x_name: str, y_name: str
) -> str:
    """Draw labelled points joined in their order; all values at least 0."""
    x_max = max((p[0] for p in points), default=1.0) * 1.08 or 1.0
    y_max = max((p[1] for p in points), default=1.0) * 1.08 or 1.0
    parts = _axes(title, x_name, y_name, x_max, y_max)
    places = [place(x, y, x_max, y_max) for x, y, _ in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#1f6f8b" stroke-width="2"/>')
    for (x, y), (_, _, label) in zip(places, points, strict=True):
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#1f6f8b"/>'
            f'<text x="{x + 6:.1f}" y="{y - 6:.1f}">{escape(label)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])
