"""The table of the published systems fits a terminal and leaves nothing out; so does all that is said about one."""

from __future__ import annotations

import pytest
import yaml
from helpers import ROOT

from earmark.cli import main
from earmark.config import Config, ConfigError
from earmark.systems import listing
from earmark.systems.published import SYSTEMS
from earmark.training import validation

MEL_2D_CNN = "mel 16k 261x128 362,418 362,418 0.894 TPR 0.827 FPR 0.173"
CRNN = "mel 12k 1366x96 393,906 0.893 acc 0.94 loss 0.15"


def test_the_table_has_all_systems_and_papers_and_fits_a_terminal():
    lines = listing.table().splitlines()
    assert [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in SYSTEMS] == list(
        dict.fromkeys(name for source in sources() for name, system in SYSTEMS.items() if system.source == source)
    )
    assert max(map(len, lines)) <= listing.WIDTH
    for source in sources():
        assert any(line.startswith(source[:60]) for line in lines)


def sources() -> list[str]:
    return list(dict.fromkeys(system.source for system in SYSTEMS.values()))


def test_a_row_has_input_counts_and_figures():
    rows = {line.split()[0]: line for line in listing.table().splitlines() if line}
    assert rows["mel-2d-cnn"].split()[1:] == MEL_2D_CNN.split()
    assert rows["crnn"].split()[1:] == CRNN.split()
    assert rows["linear"].split()[1:] == ["scattering", "16k", "114x433"]


def test_a_paper_is_headed_by_the_recipe_of_its_systems():
    text = listing.table()
    for source in sources():
        for recipe in {system.recipe for system in SYSTEMS.values() if system.source == source and system.recipe}:
            heading = next(line for line in text.splitlines() if line.startswith(source[:60]))
            assert heading.endswith(f"(recipe {recipe})")


@pytest.mark.parametrize("name", SYSTEMS)
def test_all_about_one_holds_its_data_and_lines_that_can_be_pasted(name):
    system, text = SYSTEMS[name], listing.about(name)
    facts, _, lines = text.partition(f"earmark add {name} writes what of these lines params.yaml lacks:\n")
    shown = " ".join(facts.split())
    assert max(map(len, facts.splitlines())) <= listing.WIDTH
    for part in (system.source, system.note, str(system.labels or ""), system.recipe or "it fits itself"):
        assert part in shown
    for figure in system.published.values():
        assert str(figure) in shown
    assert system.parameters is None or f"{system.parameters:,}" in shown
    own = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    config = Config.model_validate(
        {"corpus": own["corpus"], "evaluation": own["evaluation"], "experiments": {}} | yaml.safe_load(lines)
    )
    if name != "earmark-best-musicnn":  # which needs weights that no repository holds
        validation.require(config)
    assert name in config.experiments | config.crossvalidations


def test_the_command_shows_the_table_one_system_and_near_names(capsys):
    assert main(["systems"]) == 0
    assert capsys.readouterr().out == listing.table()
    assert main(["systems", "crnn"]) == 0
    assert capsys.readouterr().out == listing.about("crnn")
    with pytest.raises(ConfigError, match="got 'crn': close to crnn"):
        listing.about("crn")
