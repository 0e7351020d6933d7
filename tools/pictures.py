"""`make pictures`: the pictures of README.md and the documentation, from dvc.yaml, the metrics and a clip of the demo.

Each is one SVG without anything from elsewhere, which follows the reader's choice of light or dark. The same inputs and
libraries give the same bytes.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import yaml

WIDTH = 400
STYLE = """
.paper{fill:#fff}.box{fill:#eef3f8;stroke:#5b7083}.line,.arrow{stroke:#5b7083;fill:none}.tip{fill:#5b7083}
.grid{stroke:#d5dce3}.mark{stroke:#1565c0;fill:#1565c0}text{font:14px system-ui,sans-serif;fill:#1b2733}
.small{font-size:12px;fill:#4a5a68}.end{text-anchor:end}.mid{text-anchor:middle}
@media(prefers-color-scheme:dark){.paper{fill:#161b22}.box{fill:#212b36;stroke:#9db0c2}.line,.arrow{stroke:#9db0c2}
.tip{fill:#9db0c2}.grid{stroke:#303b47}.mark{stroke:#6cb6ff;fill:#6cb6ff}text{fill:#e6edf3}.small{fill:#adbac7}}
"""
CLIP = "3/robert_schumann-quartets_and_songs-06-opus48no2-40-69.mp3"
SHOWN = {"mel spectrogram": "mel", "constant-Q transform": "constant-Q", "scattering, order 1": "scattering, order 1"}


def svg(height: float, title: str, told: str, parts: Sequence[str], width: float = WIDTH) -> str:
    """Return a picture; title and told are for those who do not see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img"><title>{escape(title)}</title><desc>{escape(told)}</desc>'
        f'<style>{STYLE.strip()}</style><rect class="paper" width="{width:g}" height="{height:g}"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Return a line of text; kind: classes of STYLE."""
    chosen = f" class={quoteattr(kind)}" if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{chosen}>{escape(words)}</text>'


# --- the stages

NODE, ROW, TALL = 112, 64, 34
# Where a stage stands from left to right, if not in the middle. What is there, and what leads where, dvc.yaml says.
COLUMNS = {"encode": 66, "labels": 334, "standardize": 130, "train": 130, "evaluate": 130, "crossvalidate": 290}


def stages(pipeline: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the stages of dvc.yaml in its order, each with those whose outs it reads.

    A stage that another one repeats for encoders (``standardize-encoded``) is one with it.
    """

    def plain(path: Any) -> str:
        name = str(path if isinstance(path, str) else next(iter(path)))
        named = re.sub(r"\$\{corpus\.(\w+)\}", lambda key: str(params["corpus"].get(key[1], "")), name)
        return re.sub(r"/?\$\{.*", "", named)

    bodies = {name: stage.get("do", stage) for name, stage in pipeline["stages"].items()}
    made: list[tuple[str, str]] = [
        (plain(out), name)
        for name, body in bodies.items()
        for kind in ("outs", "metrics", "plots")
        for out in body.get(kind, ())
    ]
    found: dict[str, set[str]] = {}
    for name, body in bodies.items():
        deps = [plain(dep) for dep in body.get("deps", ())]
        above = {
            _once(other) for out, other in made for dep in deps if dep and (_within(dep, out) or _within(out, dep))
        }
        found[_once(name)] = found.get(_once(name), set()) | above - {_once(name)}
    return found


def _once(stage: str) -> str:
    return stage.removesuffix("-encoded")


def _within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(f"{outer}/")


def pipeline_picture(pipeline: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """Return the graph of the stages, each below all that it needs; arrows that others imply are left out."""
    needs = stages(pipeline, params)
    several = {_once(name) for name, stage in pipeline["stages"].items() if "foreach" in stage or "matrix" in stage}
    everything = {name: _all(name, needs) for name in needs}
    arrows = [
        (other, name)
        for name, above in needs.items()
        for other in sorted(above)
        if not any(other in everything[between] for between in above)
    ]
    rank: dict[str, int] = {}
    while len(rank) < len(needs):
        ready = [name for name, above in needs.items() if name not in rank and above <= set(rank)]
        rank |= {name: 1 + max((rank[other] for other in needs[name]), default=-1) for name in ready}
    for name in sorted(rank, key=rank.__getitem__, reverse=True):  # what needs little stands beside what it leads to
        below = [rank[other] for above, other in arrows if above == name]
        if below and len([1 for _, other in arrows if other == name]) == 1:
            rank[name] = min(below) - 1
    lowest = max(rank.values())
    place = {name: (COLUMNS.get(name, WIDTH // 2), 20 + ROW * number) for name, number in rank.items()}
    parts = [
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="tip" d="M0 0L8 4L0 8Z"/></marker>'
    ]
    for above, below in arrows:
        (x1, y1), (x2, y2) = place[above], place[below]
        start, end = y1 + TALL, y2 - 4 * (below in several)
        bend = min(ROW, end - start) / 2
        parts.append(
            f'<path class="arrow" marker-end="url(#tip)" d="M{x1} {start}C{x1} {start + bend:g} '
            f'{x2} {end - bend:g} {x2} {end}"/>'
        )
    for name, (x, y) in place.items():
        parts += [_box(x + 4, y - 4)] * (name in several)
        parts += [_box(x, y), text(x, y + 22, name, "mid")]
    told = "; ".join(f"{name} needs {', '.join(sorted(above))}" for name, above in needs.items() if above)
    return svg(20 + ROW * lowest + TALL + 16, "The stages of the pipeline", told, parts)


def _box(x: float, y: float) -> str:
    return f'<rect class="box" x="{x - NODE / 2:g}" y="{y:g}" width="{NODE}" height="{TALL}" rx="6"/>'


def _all(name: str, needs: Mapping[str, set[str]]) -> set[str]:
    return set().union(*({other} | _all(other, needs) for other in needs[name]))


# --- the results

Row = tuple[str, float, float, float]


def results(metrics: Path) -> list[Row]:
    """Return ROC-AUC and its interval of every experiment, the best one first."""
    found = []
    for file in sorted((metrics / "experiments").glob("*.json")):
        held = json.loads(file.read_text(encoding="utf-8"))
        found.append((file.stem, *(round(held[key], 4) for key in ("roc_auc", "low", "high"))))
    return sorted(found, key=lambda row: -row[1])


def results_picture(rows: Sequence[Row]) -> str:
    """Return a line per experiment: its name, its ROC-AUC, and the interval of 95 %."""
    left, right, step, top = 20, WIDTH - 20, 52, 46
    low = min(0.5, *(row[2] for row in rows)) if min(row[2] for row in rows) < 0.6 else 0.6
    bottom = top + step * len(rows)

    def x(value: float) -> float:
        return left + (right - left) * (value - low) / (1 - low)

    parts = [text(left, 24, "ROC-AUC, test split, 95 % intervals over songs")]
    for tick in range(round(low * 10), 11):
        parts.append(f'<path class="grid" d="M{x(tick / 10):.1f} {top - 8}V{bottom}"/>')
        parts.append(text(x(tick / 10), bottom + 16, f"{tick / 10:.1f}", "small mid"))
    for number, (name, value, least, most) in enumerate(rows):
        y = top + step * number + 12
        parts.append(text(left, y + 2, name))
        parts.append(text(right, y + 2, f"{value:.3f} ({least:.3f} to {most:.3f})", "small end"))
        y += 18
        parts.append(f'<path class="mark" stroke-width="3" d="M{x(least):.1f} {y}H{x(most):.1f}"/>')
        parts.append(f'<circle class="mark" cx="{x(value):.1f}" cy="{y}" r="6"/>')
    told = "; ".join(f"{name} {value:.4f} ({least:.4f} to {most:.4f})" for name, value, least, most in rows)
    return svg(bottom + 28, "ROC-AUC of the experiments", told, parts)


# --- a clip

HIGH, GAP, SIDE = 108, 44, 52


def clip_picture(audio: Path, params: Path) -> str:
    """Return one clip in three representations, levels in dB over seconds and Hz."""
    from earmark.config import load
    from earmark.decode.audio import decode_whole
    from earmark.inspection import picture

    config = load(params)
    rates = {setting.rate for setting in picture.settings(config).values()}
    found = picture.panels({rate: decode_whole(audio, rate, 1.0) for rate in rates}, config)
    chosen = [(SHOWN[panel.title], panel) for panel in found if panel.title in SHOWN]
    parts = []
    for number, (title, panel) in enumerate(chosen):
        parts += _panel(panel, title, 30 + number * (HIGH + GAP))
    height = 30 + len(chosen) * (HIGH + GAP) - GAP + 26
    told = (
        f"{audio.name}: {', '.join(title for title, _ in chosen)}; time from left to right, pitch from below to above"
    )
    return svg(height, "A clip in three representations", told, parts)


def _panel(panel: Any, title: str, top: float) -> list[str]:
    import numpy as np

    wide = WIDTH - SIDE - 14
    seconds = panel.step * panel.levels.shape[1]
    shown = _resampled(panel.levels, int(wide))
    png = base64.b64encode(_png(np.flipud(shown))).decode()
    parts = [
        text(SIDE, top - 8, title),
        f'<image x="{SIDE}" y="{top}" width="{wide}" height="{HIGH}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{png}"/>',
    ]
    for hz in (100, 1000, 4000):
        if panel.hz[0] <= hz <= panel.hz[-1]:
            row = float(np.interp(hz, panel.hz, np.arange(len(panel.hz)))) + 0.5
            y = top + HIGH * (1 - row / len(panel.hz))
            parts.append(f'<path class="line" d="M{SIDE - 5} {y:.1f}H{SIDE}"/>')
            parts.append(text(SIDE - 8, y + 4, f"{hz} Hz" if hz < 1000 else f"{hz // 1000} kHz", "small end"))
    for second in range(0, int(seconds) + 1, 5):
        x = SIDE + wide * second / seconds
        parts.append(f'<path class="line" d="M{x:.1f} {top + HIGH}v4"/>')
        parts.append(text(x, top + HIGH + 17, f"{second} s" if second else "0", "small mid"))
    return parts


def _resampled(levels: Any, columns: int) -> Any:
    """Return as many columns as the picture has, each the mean of the frames that fall into it, or the nearest."""
    import numpy as np

    edges = np.linspace(0, levels.shape[1], columns + 1)
    return np.stack([levels[:, int(a) : max(int(a) + 1, int(b))].mean(1) for a, b in zip(edges, edges[1:])], axis=1)  # noqa: B905, RUF007


def _png(levels: Any) -> bytes:
    """Return levels of -80 to 0 dB as a PNG in 64 colours."""
    import numpy as np
    from matplotlib import colormaps
    from PIL import Image

    steps = np.clip((levels + 80) / 80 * 63, 0, 63).round().astype(np.uint8)
    image = Image.fromarray(steps, mode="P")
    palette = (colormaps["magma"](np.linspace(0, 1, 64))[:, :3] * 255).round().astype(np.uint8)
    image.putpalette(palette.tobytes())
    held = io.BytesIO()
    image.save(held, "PNG", optimize=True, bits=8)
    return held.getvalue()


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pictures; that of the clip only where the demo corpus is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="the project")
    parser.add_argument("--audio", type=Path, help="the demo's audio (default: data/demo/audio)")
    args = parser.parse_args(argv)
    out = args.root / "docs/pictures"
    held = [yaml.safe_load((args.root / name).read_text(encoding="utf-8")) for name in ("dvc.yaml", "params.yaml")]
    drawn = {
        "pipeline.svg": pipeline_picture(*held),
        "results.svg": results_picture(results(args.root / "metrics")),
    }
    clip = (args.audio or args.root / "data/demo/audio") / CLIP
    if clip.is_file():
        drawn["clip.svg"] = clip_picture(clip, args.root / "params.yaml")
    else:
        print(f"{clip} is not there, so that clip.svg stays as it is: `dvc repro demo` renders it", file=sys.stderr)
    for name, content in drawn.items():
        (out / name).write_text(content, encoding="utf-8")
        print(f"{out / name}: {len(content) / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
