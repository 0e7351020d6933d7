"""The model card of a bundle: what the model hears and says, how good it is and on what, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from earmark.models.saved import SavedModel


def describe(
    models: Sequence[SavedModel], corpus: str, licence: str, metrics: Mapping[str, float], counts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a bundle says of its models, ready for JSON.

    corpus: its name. metrics: of the test split (``roc_auc``, ``low``, ``high``, ``pr_auc``), empty if there are none.
    counts: ``clips`` and ``songs`` of that split.
    """
    first = models[0]
    return {
        "experiment": first.experiment,
        "corpus": corpus,
        "licence": licence,
        "tags": list(first.tags),
        "thresholds": [list(model.thresholds) for model in models],
        "exclusive": first.exclusive,
        "representation": first.representation.model_dump(mode="json"),
        "waveform": first.waveform.stored(first.representation.rate),
        "network": dict(first.network),
        "seeds": [model.training.get("seed") for model in models],
        "test": dict(metrics),
        "measured_on": {key: counts[key] for key in ("clips", "songs") if key in counts},
        "code": dict(first.code),
        "makers": dict(first.makers),
    }


def card(about: Mapping[str, Any]) -> str:
    """Return the card as Markdown, of what ``describe`` returned."""
    heard, network, test = about["representation"], about["network"], about["test"]
    options = {key: value for key, value in heard.items() if key not in ("kind", "rate", "samples", "dtype")}
    seconds = heard["samples"] / heard["rate"]
    of_clips = about["measured_on"]
    figures = "not measured"
    if test:
        figures = (
            f"macro ROC-AUC {test['roc_auc']:.3f} (95 % interval over songs {test['low']:.3f} to {test['high']:.3f}), "
            f"macro PR-AUC {test['pr_auc']:.3f}"
        )
        if of_clips:
            figures += f", on {of_clips['clips']} clips of {of_clips['songs']} songs that were not trained on"
    kind = (
        "exclusive classes, of which a clip has one" if about["exclusive"] else "tags, of which a clip may have several"
    )
    thresholds = about["thresholds"][0]
    rows = [
        f"| {tag} | {'' if value is None else f'{value:.3f}'} |"
        for tag, value in zip(about["tags"], thresholds, strict=True)
    ]
    lines = [
        f"# {about['experiment']}",
        "",
        f"A tagger of music. It gives a probability to {len(about['tags'])} {kind}.",
        "",
        f"- **Trained on** {about['corpus']}, from seeds {', '.join(map(str, about['seeds']))}; several are averaged.",
        f"- **Measured**: {figures}.",
        f"- **Hears** mono at {heard['rate']} Hz, {seconds:.1f} s at a time, as {heard['kind']}: "
        f"`{json.dumps(options, sort_keys=True)}`.",
        f"- **Network**: {network['family']}, `{json.dumps(network['options'], sort_keys=True)}`.",
        f"- **Licence**: {about['licence']}.",
        f"- **Made by** {', '.join(f'{name} {version}' for name, version in sorted(about['makers'].items()))}.",
        "",
        "A figure holds for music like that of its corpus. Tags are what listeners or catalogues of that corpus called",
        "music, with their errors and their culture; a tag that is absent there is unknown here.",
        "",
        "```console",
        f"$ earmark predict --model {about['experiment']}.earmark song.mp3",
        "```",
        "",
        "| tag | threshold |",
        "|---|--:|",
        *rows,
    ]
    return "\n".join(lines) + "\n"
